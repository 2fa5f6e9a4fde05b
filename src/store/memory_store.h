// SPDX-License-Identifier: Apache-2.0
// MemoryStore: an ObjectStore in memory, for tests and simulations. It is
// also the model that the others are compared with.
//
// Thread safety: thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/object_store.h"

namespace morsel {

class MemoryStore final : public ObjectStore {
 public:
  explicit MemoryStore(Clock& clock = SystemClock()) : clock_(clock) {}

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

 private:
  struct Object {
    Bytes bytes;
    uint64_t version = 0;
    int64_t modified_unix_seconds = 0;
  };
  static ObjectInfo InfoOf(const Object& object);
  Error Missing(std::string_view key) const;
  void Store(std::string_view key, ByteSpan bytes) REQUIRES(mutex_);

  Clock& clock_;
  Mutex mutex_;
  uint64_t last_version_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, Object, std::less<>> objects_ GUARDED_BY(mutex_);
};

}  // namespace morsel
