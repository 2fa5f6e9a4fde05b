// SPDX-License-Identifier: Apache-2.0
#include "store/memory_store.h"

#include <algorithm>

namespace morsel {

ObjectInfo MemoryStore::InfoOf(const Object& object) {
  return {std::to_string(object.version), object.bytes.size(),
          object.modified_unix_seconds};
}

Error MemoryStore::Missing(std::string_view key) const {
  return MakeError(Code::kNotFound, std::string(key) + ": no such object");
}

void MemoryStore::Store(std::string_view key, ByteSpan bytes) {
  objects_.insert_or_assign(
      std::string(key),
      Object{CopyBytes(bytes), ++last_version_, clock_.UnixSeconds()});
}

Result<ObjectData> MemoryStore::Get(std::string_view key, uint64_t offset,
                                    uint64_t limit_bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  const auto it = objects_.find(key);
  if (it == objects_.end()) return Missing(key);
  const ByteSpan all = it->second.bytes;
  const uint64_t begin = std::min<uint64_t>(offset, all.size());
  const uint64_t length = std::min(limit_bytes, all.size() - begin);
  return ObjectData{CopyBytes(all.subspan(begin, length)), InfoOf(it->second)};
}

Status MemoryStore::PutIfAbsent(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  if (objects_.contains(key))
    return MakeError(Code::kExists, std::string(key) + " exists");
  Store(key, bytes);
  return Ok();
}

Status MemoryStore::Put(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  Store(key, bytes);
  return Ok();
}

Status MemoryStore::ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                                       std::string_view version) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  const auto it = objects_.find(key);
  if (it == objects_.end()) return Missing(key);
  if (InfoOf(it->second).version != version)
    return MakeError(Code::kExists, std::string(key) + " has changed");
  Store(key, bytes);
  return Ok();
}

Result<ObjectInfo> MemoryStore::Head(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  const auto it = objects_.find(key);
  if (it == objects_.end()) return Missing(key);
  return InfoOf(it->second);
}

Result<ObjectPage> MemoryStore::List(std::string_view prefix,
                                     std::string_view after, size_t limit) {
  const MutexLock lock(mutex_);
  ObjectPage page;
  auto it = objects_.lower_bound(prefix);
  if (after >= prefix) it = objects_.upper_bound(after);
  for (; it != objects_.end() && it->first.starts_with(prefix); ++it) {
    if (page.rows.size() == limit) {
      page.more = true;
      break;
    }
    page.rows.push_back({it->first, InfoOf(it->second)});
  }
  return page;
}

Status MemoryStore::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  const MutexLock lock(mutex_);
  if (const auto it = objects_.find(key); it != objects_.end())
    objects_.erase(it);
  return Ok();
}

Status MemoryStore::Copy(std::string_view source, std::string_view target) {
  RETURN_IF_ERROR(CheckKey(source));
  RETURN_IF_ERROR(CheckKey(target));
  const MutexLock lock(mutex_);
  const auto it = objects_.find(source);
  if (it == objects_.end()) return Missing(source);
  const Bytes bytes = it->second.bytes;
  Store(target, bytes);
  return Ok();
}

}  // namespace morsel
