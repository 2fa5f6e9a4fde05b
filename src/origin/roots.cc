// SPDX-License-Identifier: Apache-2.0
// Roots: finding the active one, making the first, admitting keys.
#include <utility>

#include "base/random.h"
#include "crypto/hash.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/origin.h"
#include "origin/record_store.h"
#include "origin/root_state.h"
#include "origin/salt.h"

namespace morsel {
namespace {

constexpr const char* kFirstRootKey = "roots/first.json";
constexpr size_t kRootIdBytes = 6;
constexpr size_t kListPage = 1000;
// How often a converter looks for a root while rotations overtake it.
constexpr int kChoiceTries = 8;

struct ChosenRoot {
  std::string id;  // empty: no active root fits
  size_t fitting_count = 0;
  size_t root_count = 0;  // in any state
};

// Rendezvous hashing: of the roots that fit, the one whose hash with the
// affinity is the highest. A root that comes or goes moves only its own share.
Result<ChosenRoot> ChooseActiveRoot(ObjectStore& store,
                                    const RootChoice& choice) {
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store));
  ChosenRoot chosen;
  chosen.root_count = roots.size();
  Digest highest{};
  for (const Root& root : roots) {
    if (!root.Is(kRootActive) || root.state.placement != choice.placement ||
        root.state.tenant != choice.tenant)
      continue;
    const Digest hash = Sha256Of(AsBytes(choice.affinity + "\n" + root.id));
    if (chosen.fitting_count++ > 0 && hash <= highest) continue;
    highest = hash;
    chosen.id = root.id;
  }
  return chosen;
}

// Roots are made before others retire, and none ever goes: who saw no active
// one, and no more of them at a second look, was overtaken by nobody.
Result<ChosenRoot> ChooseAgainIfNone(ObjectStore& store,
                                     const RootChoice& choice) {
  ASSIGN_OR_RETURN(ChosenRoot chosen, ChooseActiveRoot(store, choice));
  for (int tries = 1; chosen.id.empty() && tries < kChoiceTries; ++tries) {
    const size_t root_count = chosen.root_count;
    if (root_count == 0) break;
    ASSIGN_OR_RETURN(chosen, ChooseActiveRoot(store, choice));
    if (chosen.root_count == root_count) break;
  }
  return chosen;
}

Error NoRoot(const RootChoice& choice) {
  std::string which;
  if (!choice.placement.empty()) which += " of placement " + choice.placement;
  if (!choice.tenant.empty()) which += " of tenant class " + choice.tenant;
  return MakeError(Code::kUnavailable,
                   "the origin has no active root" + which +
                       ": see `morsel roots`, and make one");
}

std::string NewRootId(Random& random) {
  return "r" + RandomHex(random, kRootIdBytes);
}

// The state comes after the salt: with it the root is there.
Status WriteActive(ObjectStore& store, Clock& clock, const std::string& id,
                   const std::string& placement, const std::string& tenant) {
  const RootState state{
      .state = std::string(kRootActive),
      .history = {{std::string(kRootActive), clock.UnixSeconds()}},
      .placement = placement,
      .tenant = tenant};
  // What would not be read again is not written.
  RETURN_IF_ERROR(DecodeRootState(EncodeRootState(state)));
  return CreateDocument(store, RootStateKey(id), EncodeRootState(state));
}

// The id that first.json names; whoever reads it may finish what its writer
// began, as the salt was there before it.
Result<std::string> ReadFirstRoot(ObjectStore& store) {
  const Result<Document> document = ReadDocument(store, kFirstRootKey);
  if (!document.ok()) return WithNextStep(document.error(), kFirstRootKey);
  const std::string id = document->json.StringOr("root", "");
  if (!CheckMembers(document->json, {"root"}).ok() || !IsRootId(id))
    return WithNextStep(
        MakeError(Code::kCorrupt, std::string("the origin's ") + kFirstRootKey +
                                      " is damaged: it names no root"),
        kFirstRootKey);
  return id;
}

// Of converters that make the first root at once, first.json lets one win.
Result<std::string> ElectFirstRoot(ObjectStore& store, KeyService& keys) {
  Result<std::string> first = ReadFirstRoot(store);
  if (first.ok() || first.error().code != Code::kNotFound) return first;
  const std::string id = NewRootId(SystemRandom());
  const SecretKey salt = SecretKey::Generate(SystemRandom());
  RETURN_IF_ERROR_AS(WriteSalt(store, id, salt, keys), "make the first root");
  Json json;
  json["root"] = id;
  const Status won = CreateDocument(store, kFirstRootKey, std::move(json));
  // With any other error it may have been written all the same: the salt
  // stays, and harms nothing if it was not.
  if (!won.ok() && won.error().code != Code::kExists) return won.error();
  ASSIGN_OR_RETURN(const std::string winner, ReadFirstRoot(store));
  if (winner != id)  // nobody will ever see this root
    static_cast<void>(store.Delete(SaltKey(id, keys.KeyId())));
  return winner;
}

}  // namespace

Result<bool> Origin::HasRoots() {
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store_));
  return !roots.empty();
}

Result<WritableRoot> Origin::OpenActiveRoot(KeyService& keys,
                                            const RootChoice& choice) {
  for (int tries = 1;; ++tries) {
    ASSIGN_OR_RETURN(ChosenRoot chosen, ChooseAgainIfNone(store_, choice));
    if (chosen.root_count == 0) {
      ASSIGN_OR_RETURN(const std::string id, ElectFirstRoot(store_, keys));
      const Status made =
          WriteActive(store_, clock_, id, choice.placement, choice.tenant);
      if (!made.ok() && made.error().code != Code::kExists) return made.error();
      ASSIGN_OR_RETURN(chosen, ChooseAgainIfNone(store_, choice));
    }
    if (chosen.id.empty()) return NoRoot(choice);
    Result<SecretKey> salt = ReadSalt(store_, chosen.id, keys);
    if (salt.ok())
      return WritableRoot{.id = chosen.id,
                          .is_only_choice = chosen.fitting_count == 1,
                          .salt_id = SaltId(*salt),
                          .salt = std::move(salt).value()};
    // The root may have gone to its end since, and its salt with it.
    const Result<bool> active = IsActive(chosen.id);
    if (!active.ok() || *active || tries == kChoiceTries)
      return std::move(salt).error();
  }
}

Result<std::string> Origin::CreateRoot(KeyService& keys, Random& random,
                                       const std::string& placement,
                                       const std::string& tenant) {
  const std::string id = NewRootId(random);
  const SecretKey salt = SecretKey::Generate(random);
  RETURN_IF_ERROR_AS(WriteSalt(store_, id, salt, keys), "make a root");
  RETURN_IF_ERROR_AS(WriteActive(store_, clock_, id, placement, tenant),
                     "make the root " + id);
  return id;
}

Result<bool> Origin::IsActive(const std::string& root) {
  ASSIGN_OR_RETURN(const RootState state, LoadRootState(store_, root));
  return state.state == kRootActive;
}

Status Origin::CheckRoot(const std::string& root, KeyService* keys) {
  const Result<RootState> state = LoadRootState(store_, root);
  if (!state.ok() && state.error().code == Code::kNotFound)
    return MakeError(Code::kCorrupt,
                     "the origin has lost " + RootStateKey(root) +
                         ": restore it from a copy, or convert again");
  if (!state.ok()) return state.error();
  ASSIGN_OR_RETURN(const ObjectPage page,
                   store_.List(SaltFolderKey(root), "", kListPage));
  for (const ObjectPage::Row& row : page.rows) {
    RETURN_IF_ERROR(ReadWrappedSalt(store_, row.key));
  }
  if (keys == nullptr) return Ok();
  const Result<SecretKey> salt = ReadSalt(store_, root, *keys);
  if (salt.ok() || salt.error().code == Code::kDenied) return Ok();
  return salt.error();
}

Result<std::vector<RootRow>> Origin::ListRoots() {
  std::vector<RootRow> rows;
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store_));
  for (const Root& root : roots) {
    RootRow row;
    row.id = root.id;
    row.state = root.state.state;
    row.created_unix_seconds = root.state.history.front().at_unix_seconds;
    const std::string folder = SaltFolderKey(root.id);
    ASSIGN_OR_RETURN(const ObjectPage page, store_.List(folder, "", kListPage));
    for (const ObjectPage::Row& salt : page.rows) {
      const std::string id =
          salt.key.substr(folder.size(), salt.key.rfind('.') - folder.size());
      if (IsKeyId(id)) row.key_ids.push_back(id);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Status Origin::AdmitKey(const std::string& root_id, KeyService& keys,
                        KeyService& admitted) {
  if (!IsRootId(root_id))
    return MakeError(Code::kInvalid,
                     "a root id is \"r\" and 12 hexadecimal digits: see "
                     "`morsel roots`");
  RETURN_IF_ERROR_AS(LoadRootState(store_, root_id), "the root " + root_id);
  ASSIGN_OR_RETURN(const SecretKey salt, ReadSalt(store_, root_id, keys));
  const Status written = WriteSalt(store_, root_id, salt, admitted);
  // Admitted already; its wrapping is as good as a new one.
  if (!written.ok() && written.error().code == Code::kExists) return Ok();
  return written;
}

}  // namespace morsel
