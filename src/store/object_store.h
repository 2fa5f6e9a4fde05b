// SPDX-License-Identifier: Apache-2.0
// ObjectStore: durable objects under string keys, with conditional writes. The
// first of the three interfaces that carry the system (docs/ARCHITECTURE.md).
//
// Keys are relative paths ("roots/r1/state.json"): printable ASCII, up to
// kMaxKeyBytes, no component that is empty, begins with a dot or is longer
// than kMaxKeyComponentBytes; a key is never the folder of another one. A
// write is whole or not at all, and durable when it returns. Versions are
// opaque; a version never returns for other bytes.
//
// Thread safety: implementations are thread-safe.
// Errors of every method: kUnavailable (the store does not answer: try later),
// kTimeout, kDenied (credentials or rights), kExhausted (full), kIo; the
// others are listed where they arise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

inline constexpr size_t kMaxKeyBytes = 1024;
inline constexpr size_t kMaxKeyComponentBytes = 255;

// What a store is opened for: every write of a store opened for reading is
// kDenied. kWriteParts: for who writes small notes below a few folders, and
// must not depend on the store's conditional writes, which are not tried
// (store/open_store.h).
enum class Access { kRead, kWriteParts, kWrite };

struct ObjectInfo {
  std::string version;
  uint64_t size_bytes = 0;
  int64_t modified_unix_seconds = 0;  // the store's clock
};

struct ObjectData {
  Bytes bytes;
  ObjectInfo info;
};

struct ObjectPage {
  struct Row {
    std::string key;
    ObjectInfo info;  // version may be empty: Head tells it
  };
  std::vector<Row> rows;
  bool more = false;  // ask again, after the last key of `rows`
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // The bytes from `offset` on, `limit_bytes` at most (fewer at the end of the
  // object). kNotFound.
  virtual Result<ObjectData> Get(std::string_view key, uint64_t offset,
                                 uint64_t limit_bytes) = 0;
  // kExists if the key holds an object, whatever its bytes.
  virtual Status PutIfAbsent(std::string_view key, ByteSpan bytes) = 0;
  virtual Status Put(std::string_view key, ByteSpan bytes) = 0;
  // kExists if the object's version is not `version` any more; kNotFound if
  // the object is gone.
  virtual Status ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                                    std::string_view version) = 0;
  // kNotFound.
  virtual Result<ObjectInfo> Head(std::string_view key) = 0;
  // Up to `limit` keys that begin with `prefix` and come after `after`, in
  // byte order.
  virtual Result<ObjectPage> List(std::string_view prefix,
                                  std::string_view after, size_t limit) = 0;
  // Ok also if there is no such object.
  virtual Status Delete(std::string_view key) = 0;
  // kNotFound if `source` is missing. Replaces `target`.
  virtual Status Copy(std::string_view source, std::string_view target) = 0;
};

// kInvalid unless `key` has the form above.
Status CheckKey(std::string_view key);

// Tries both conditional writes on a scratch object of `store`, for who opens
// it for writing. The object stays: the next trial is two writes that must be
// refused. kInvalid: the service ignores conditions and must not be used, as
// two converters would overwrite each other.
Status CheckConditionalWrites(ObjectStore& store);

}  // namespace morsel
