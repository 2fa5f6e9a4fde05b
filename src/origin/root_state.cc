// SPDX-License-Identifier: Apache-2.0
#include "origin/root_state.h"

#include <algorithm>

#include "origin/document.h"
#include "origin/next_step.h"

namespace morsel {
namespace {

constexpr const char* kRootsFolder = "roots/";
constexpr const char* kClockKey = "scratch/clock";

std::string_view NextState(std::string_view state) {
  if (state == kRootActive) return kRootRetired;
  if (state == kRootRetired) return kRootExpired;
  CHECK(state == kRootExpired);
  return kRootDeleted;
}

}  // namespace

Result<Root> LoadRoot(ObjectStore& store, const std::string& id) {
  const std::string key = RootStateKey(id);
  const Result<Document> document = ReadDocument(store, key);
  if (!document.ok()) return WithNextStep(document.error(), key);
  Result<RootState> state = DecodeRootState(document->json);
  if (!state.ok())
    return WithNextStep(
        std::move(state).error().Wrap("the origin's " + key + " is damaged"),
        key);
  Root root;
  root.id = id;
  root.state = std::move(state).value();
  root.version = document->info.version;
  root.since_unix_seconds = document->info.modified_unix_seconds;
  return root;
}

// One look-up for each: after a root's first key comes the next root's.
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

Result<std::vector<Root>> LoadRoots(ObjectStore& store) {
  std::vector<Root> roots;
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, ListRootIds(store));
  for (const std::string& id : ids) {
    Result<Root> root = LoadRoot(store, id);
    if (root.ok())
      roots.push_back(std::move(root).value());
    else if (root.error().code != Code::kNotFound)
      return std::move(root).error();
  }
  return roots;
}

Status AdvanceRoot(ObjectStore& store, Clock& clock, const Root& root) {
  RootState state = root.state;
  state.state = NextState(state.state);
  state.history.push_back({state.state, clock.UnixSeconds()});
  return ReplaceDocument(store, RootStateKey(root.id), EncodeRootState(state),
                         root.version);
}

Status RetireRoot(ObjectStore& store, Clock& clock, const std::string& id) {
  return RetryWhileChanged("the root " + id, [&]() -> Status {
    ASSIGN_OR_RETURN(const Root root, LoadRoot(store, id));
    if (!root.Is(kRootActive))
      return MakeError(Code::kInvalid, "the root " + id + " is " +
                                           root.state.state +
                                           ", not active: see `morsel roots`");
    ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store));
    const bool has_other =
        std::any_of(roots.begin(), roots.end(), [&](const Root& other) {
          return other.id != id && other.Is(kRootActive) && other.IsLike(root);
        });
    if (!has_other)
      return MakeError(Code::kInvalid,
                       "the root " + id +
                           " is the only active one of its placement and "
                           "tenant class: make another by `morsel roots new` "
                           "first");
    return AdvanceRoot(store, clock, root);
  });
}

Result<int64_t> StoreNow(ObjectStore& store) {
  RETURN_IF_ERROR_AS(store.Put(kClockKey, AsBytes("now")),
                     "ask the store for its time");
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Head(kClockKey));
  return info.modified_unix_seconds;
}

}  // namespace morsel
