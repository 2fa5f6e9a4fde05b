// SPDX-License-Identifier: Apache-2.0
#include "store/filter_store.h"

namespace morsel {

std::string_view StoreOpName(StoreOp op) {
  static constexpr std::string_view kNames[kStoreOpCount] = {
      "get",  "put if absent", "put",    "replace if unchanged",
      "head", "list",          "delete", "copy"};
  return kNames[static_cast<size_t>(op)];
}

template <typename T, typename Function>
Result<T> FilterStore::Pass(StoreCall call, Function function) {
  RETURN_IF_ERROR(Before(call));
  Result<T> answer = function();
  if constexpr (std::is_same_v<T, ObjectData>)
    call.byte_count = answer.ok() ? answer->bytes.size() : 0;
  RETURN_IF_ERROR(
      After(call, answer.ok() ? Ok() : Status(Error(answer.error()))));
  return answer;
}

Result<ObjectData> FilterStore::Get(std::string_view key, uint64_t offset,
                                    uint64_t limit_bytes) {
  return Pass<ObjectData>({StoreOp::kGet, key},
                          [&] { return next_.Get(key, offset, limit_bytes); });
}

Status FilterStore::PutIfAbsent(std::string_view key, ByteSpan bytes) {
  return Pass<void>({StoreOp::kPutIfAbsent, key, bytes.size()},
                    [&] { return next_.PutIfAbsent(key, bytes); });
}

Status FilterStore::Put(std::string_view key, ByteSpan bytes) {
  return Pass<void>({StoreOp::kPut, key, bytes.size()},
                    [&] { return next_.Put(key, bytes); });
}

Status FilterStore::ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                                       std::string_view version) {
  return Pass<void>({StoreOp::kReplace, key, bytes.size()}, [&] {
    return next_.ReplaceIfUnchanged(key, bytes, version);
  });
}

Result<ObjectInfo> FilterStore::Head(std::string_view key) {
  return Pass<ObjectInfo>({StoreOp::kHead, key},
                          [&] { return next_.Head(key); });
}

Result<ObjectPage> FilterStore::List(std::string_view prefix,
                                     std::string_view after, size_t limit) {
  return Pass<ObjectPage>({StoreOp::kList, prefix},
                          [&] { return next_.List(prefix, after, limit); });
}

Status FilterStore::Delete(std::string_view key) {
  return Pass<void>({StoreOp::kDelete, key}, [&] { return next_.Delete(key); });
}

Status FilterStore::Copy(std::string_view source, std::string_view target) {
  return Pass<void>({StoreOp::kCopy, target},
                    [&] { return next_.Copy(source, target); });
}

}  // namespace morsel
