// SPDX-License-Identifier: Apache-2.0
// Roots: finding the active one, making the first, admitting keys.
#include "base/random.h"
#include "crypto/hash.h"
#include "origin/document.h"
#include "origin/origin.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr const char* kRootsFolder = "roots/";
constexpr const char* kFirstRootKey = "roots/first.json";
constexpr size_t kRootIdBytes = 6;
constexpr size_t kSaltIdDigits = 16;
constexpr size_t kListPage = 1000;

std::string SaltContext(const std::string& root) { return "root:" + root; }

// Names the salt without saying anything about it.
std::string SaltId(const SecretKey& salt) {
  Sha256 hash;
  hash.Update(AsBytes("morsel-salt-id-1"));
  hash.Update(salt.bytes());
  return ToHex(hash.Finish()).substr(0, kSaltIdDigits);
}

// The ids below roots/, in order. One look-up for each: after a root's first
// key comes the next root's.
Result<std::vector<std::string>> ListRootIds(ObjectStore& store) {
  std::vector<std::string> ids;
  const std::string folder = kRootsFolder;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page, store.List(folder, after, 1));
    if (page.rows.empty()) return ids;
    const std::string& key = page.rows.front().key;
    const size_t slash = key.find('/', folder.size());
    if (slash == std::string::npos) {  // first.json
      after = key;
      continue;
    }
    const std::string id = key.substr(folder.size(), slash - folder.size());
    if (IsRootId(id)) ids.push_back(id);
    after = folder + id + '0';  // '0' follows '/': past all keys of the root
  }
}

struct FoundRoot {
  std::string id;
  RootState state;
};

// Roots whose creation came to its end.
Result<std::vector<FoundRoot>> FindRoots(ObjectStore& store) {
  std::vector<FoundRoot> found;
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, ListRootIds(store));
  for (const std::string& id : ids) {
    Result<RootState> state = LoadRootState(store, id);
    if (state.ok())
      found.push_back({id, std::move(state).value()});
    else if (state.error().code != Code::kNotFound)
      return std::move(state).error();
  }
  return found;
}

struct ChosenRoot {
  std::string id;  // empty: no active root fits
  size_t fitting_count = 0;
  size_t root_count = 0;  // in any state
};

// Rendezvous hashing: of the roots that fit, the one whose hash with the
// affinity is the highest. A root that comes or goes moves only its own share.
Result<ChosenRoot> ChooseActiveRoot(ObjectStore& store,
                                    const RootChoice& choice) {
  ASSIGN_OR_RETURN(const std::vector<FoundRoot> roots, FindRoots(store));
  ChosenRoot chosen;
  chosen.root_count = roots.size();
  Digest highest{};
  for (const FoundRoot& root : roots) {
    if (root.state.state != kRootActive ||
        root.state.placement != choice.placement ||
        root.state.tenant != choice.tenant)
      continue;
    const Digest hash = Sha256Of(AsBytes(choice.affinity + "\n" + root.id));
    if (chosen.fitting_count++ > 0 && hash <= highest) continue;
    highest = hash;
    chosen.id = root.id;
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

Result<SecretKey> UnwrapSalt(ObjectStore& store, const std::string& root,
                             const std::string& object, KeyService& keys) {
  ASSIGN_OR_RETURN(const Document document, ReadDocument(store, object));
  ASSIGN_OR_RETURN_AS(const WrappedKey wrapped, DecodeWrappedKey(document.json),
                      "the origin's " + object + " is damaged");
  return keys.Unwrap(wrapped, SaltContext(root));
}

// By the wrapping of the key service's present key; else by that of an older
// key that it holds, too, as after a rotation.
Result<SecretKey> ReadSalt(ObjectStore& store, const std::string& root,
                           KeyService& keys) {
  const std::string key_id = keys.KeyId();
  if (!IsKeyId(key_id))
    return MakeError(Code::kInvalid, "the key service's key id is no id");
  const std::string where = "the salt of the root " + root;
  Result<SecretKey> salt = UnwrapSalt(store, root, SaltKey(root, key_id), keys);
  if (salt.ok()) return salt;
  if (salt.error().code != Code::kNotFound)
    return std::move(salt).error().Wrap(where);
  ASSIGN_OR_RETURN(const ObjectPage page,
                   store.List(SaltFolderKey(root), "", kListPage));
  for (const ObjectPage::Row& row : page.rows) {
    salt = UnwrapSalt(store, root, row.key, keys);
    if (salt.ok()) return salt;
    if (salt.error().code != Code::kDenied)
      return std::move(salt).error().Wrap(where);
  }
  return MakeError(Code::kDenied,
                   "the key " + key_id + " is not admitted to the root " +
                       root +
                       ": someone whose key is must run `morsel roots admit " +
                       root + " KEY_FILE` with this key's file");
}

Status WriteSalt(ObjectStore& store, const std::string& root,
                 const SecretKey& salt, KeyService& keys) {
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   keys.Wrap(salt, SaltContext(root)));
  if (!IsKeyId(wrapped.key_id))
    return MakeError(Code::kInvalid, "the key service's key id is no id");
  return CreateDocument(store, SaltKey(root, wrapped.key_id),
                        EncodeWrappedKey(wrapped));
}

// The id that first.json names; whoever reads it may finish what its writer
// began, as the salt was there before it.
Result<std::string> ReadFirstRoot(ObjectStore& store) {
  ASSIGN_OR_RETURN(const Document document, ReadDocument(store, kFirstRootKey));
  RETURN_IF_ERROR_AS(CheckMembers(document.json, {"root"}), kFirstRootKey);
  const std::string id = document.json.StringOr("root", "");
  if (!IsRootId(id))
    return MakeError(Code::kCorrupt,
                     std::string("the origin's ") + kFirstRootKey +
                         " is damaged: member root: not as it must be");
  return id;
}

// Of converters that make the first root at once, first.json lets one win.
Result<std::string> ElectFirstRoot(ObjectStore& store, KeyService& keys) {
  Result<std::string> first = ReadFirstRoot(store);
  if (first.ok() || first.error().code != Code::kNotFound) return first;
  const std::string id = "r" + RandomHex(SystemRandom(), kRootIdBytes);
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
  ASSIGN_OR_RETURN(const std::vector<FoundRoot> roots, FindRoots(store_));
  return !roots.empty();
}

Result<WritableRoot> Origin::OpenActiveRoot(KeyService& keys,
                                            const RootChoice& choice) {
  ASSIGN_OR_RETURN(ChosenRoot chosen, ChooseActiveRoot(store_, choice));
  if (chosen.root_count == 0) {
    ASSIGN_OR_RETURN(const std::string id, ElectFirstRoot(store_, keys));
    const int64_t now = clock_.UnixSeconds();
    const RootState state{.state = std::string(kRootActive),
                          .history = {{std::string(kRootActive), now}},
                          .placement = choice.placement,
                          .tenant = choice.tenant};
    const Status made =
        CreateDocument(store_, RootStateKey(id), EncodeRootState(state));
    if (!made.ok() && made.error().code != Code::kExists) return made.error();
    ASSIGN_OR_RETURN(chosen, ChooseActiveRoot(store_, choice));
  }
  if (chosen.id.empty()) return NoRoot(choice);
  WritableRoot root;
  root.id = chosen.id;
  root.is_only_choice = chosen.fitting_count == 1;
  ASSIGN_OR_RETURN(root.salt, ReadSalt(store_, root.id, keys));
  root.salt_id = SaltId(root.salt);
  return root;
}

Result<std::vector<RootRow>> Origin::ListRoots() {
  std::vector<RootRow> rows;
  ASSIGN_OR_RETURN(const std::vector<FoundRoot> roots, FindRoots(store_));
  for (const FoundRoot& root : roots) {
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
