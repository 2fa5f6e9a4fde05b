// SPDX-License-Identifier: Apache-2.0
// FilterStore: the base of stores that stand before another one. Every method
// asks Before, calls the next store, and tells After; a decorator overrides
// just those (and Get, if it changes data).
//
// Thread safety: that of the decorator; `next` must outlive it.
#pragma once

#include <string_view>

#include "store/object_store.h"

namespace morsel {

enum class StoreOp {
  kGet,
  kPutIfAbsent,
  kPut,
  kReplace,
  kHead,
  kList,
  kDelete,
  kCopy
};
inline constexpr size_t kStoreOpCount = 8;
// "get", "put if absent", ...
std::string_view StoreOpName(StoreOp op);

// One call. `key` is the prefix for kList and the target for kCopy.
struct StoreCall {
  StoreOp op;
  std::string_view key;
  uint64_t byte_count = 0;  // to be written; after a kGet: those read
};

class FilterStore : public ObjectStore {
 public:
  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override;
  Status PutIfAbsent(std::string_view key, ByteSpan bytes) override;
  Status Put(std::string_view key, ByteSpan bytes) override;
  Status ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                            std::string_view version) override;
  Result<ObjectInfo> Head(std::string_view key) override;
  Result<ObjectPage> List(std::string_view prefix, std::string_view after,
                          size_t limit) override;
  Status Delete(std::string_view key) override;
  Status Copy(std::string_view source, std::string_view target) override;

 protected:
  explicit FilterStore(ObjectStore& next) : next_(next) {}

  // An error is returned in the place of the call.
  virtual Status Before(const StoreCall&) { return Ok(); }
  // An error takes the place of the answer; `answer` is the next store's.
  virtual Status After(const StoreCall&, const Status& answer) {
    return answer;
  }

  ObjectStore& next_;

 private:
  template <typename T, typename Function>
  Result<T> Pass(StoreCall call, Function function);
};

}  // namespace morsel
