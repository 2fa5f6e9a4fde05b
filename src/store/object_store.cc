// SPDX-License-Identifier: Apache-2.0
#include "store/object_store.h"

#include <algorithm>

#include "base/random.h"

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

Status TryConditions(ObjectStore& store, const std::string& key) {
  const ByteSpan first = AsBytes("first");
  const ByteSpan second = AsBytes("second");
  RETURN_IF_ERROR(store.PutIfAbsent(key, first));
  const Status again = store.PutIfAbsent(key, second);
  if (again.ok()) return Ignored("put if absent");
  if (again.error().code != Code::kExists) return again;
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Head(key));
  RETURN_IF_ERROR(store.ReplaceIfUnchanged(key, second, info.version));
  const Status stale = store.ReplaceIfUnchanged(key, first, info.version);
  if (stale.ok()) return Ignored("replace if unchanged");
  if (stale.error().code != Code::kExists) return stale;
  return Ok();
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
  const std::string key = "scratch/" + RandomHex(SystemRandom(), 8);
  const Status tried = TryConditions(store, key);
  const Status deleted = store.Delete(key);
  RETURN_IF_ERROR_AS(tried, "try conditional writes");
  return deleted;
}

}  // namespace morsel
