// SPDX-License-Identifier: Apache-2.0
#include "store/object_store.h"

#include <algorithm>
#include <string>

namespace morsel {
namespace {

// Keys come from names that people and images give, so the message shows
// only printable characters of them.
std::string Printable(std::string_view key) {
  std::string out;
  for (const char c : key.substr(0, 80)) out += c > ' ' && c <= '~' ? c : '?';
  return out;
}

Error BadKey(std::string_view key, std::string_view why) {
  return MakeError(Code::kInvalid, "the key \"" + Printable(key) +
                                       "\" is refused: " + std::string(why));
}

Error Ignored(std::string_view what) {
  return MakeError(Code::kInvalid,
                   "the store ignores the condition of a write (" +
                       std::string(what) +
                       "): it cannot be an origin; use another service");
}

constexpr const char* kTrialKey = "scratch/conditions";

ByteSpan TrialBytes() { return AsBytes("conditional writes were tried here"); }

// Ok if the write was refused, as it must be.
Status MustBeRefused(const Status& write, std::string_view what) {
  if (write.ok()) return Ignored(what);
  return write.error().code == Code::kExists ? Ok() : write;
}

Status TryStale(ObjectStore& store) {
  return MustBeRefused(
      store.ReplaceIfUnchanged(kTrialKey, TrialBytes(),
                               "00000000000000000000000000000000"),
      "replace if unchanged");
}

// The object has just been made.
Status TryAll(ObjectStore& store) {
  RETURN_IF_ERROR(MustBeRefused(store.PutIfAbsent(kTrialKey, TrialBytes()),
                                "put if absent"));
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Head(kTrialKey));
  RETURN_IF_ERROR(
      store.ReplaceIfUnchanged(kTrialKey, TrialBytes(), info.version));
  return TryStale(store);
}

}  // namespace

Status CheckKey(std::string_view key) {
  if (key.empty()) return BadKey(key, "it is empty");
  if (key.size() > kMaxKeyBytes) return BadKey(key, "it is too long");
  for (const char c : key)
    if (c <= ' ' || c > '~')
      return BadKey(key, "only printable ASCII characters are allowed");
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view component = key.substr(begin, end - begin);
    if (component.empty()) return BadKey(key, "it has an empty component");
    if (component.front() == '.')
      return BadKey(key, "it has a component that begins with a dot");
    if (component.size() > kMaxKeyComponentBytes)
      return BadKey(key, "it has a component of more than 255 bytes");
    begin = end + 1;
  }
  return Ok();
}

Status CheckConditionalWrites(ObjectStore& store) {
  const std::string what = "try conditional writes";
  const Status made = store.PutIfAbsent(kTrialKey, TrialBytes());
  if (!made.ok() && made.error().code != Code::kExists)
    return Error(made.error()).Wrap(what);
  const Status tried = made.ok() ? TryAll(store) : TryStale(store);
  if (tried.ok()) return Ok();
  // So that the next one tries all of it again.
  static_cast<void>(store.Delete(kTrialKey));
  return Error(tried.error()).Wrap(what);
}

}  // namespace morsel
