// SPDX-License-Identifier: Apache-2.0
// The plain tar of one layer, with both of its digests checked:
//
//   blob -> SHA-256 (digest) -> igzip or zstd -> SHA-256 (diffID) -> tar
//
// A tar reader stops at the end-of-archive mark and would never see what comes
// after it, so Finish drains the stream before it compares the digests.
//
// Thread safety: owned by one thread; decompression runs on one of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "oci/byte_source.h"

namespace morsel {

// A larger layer fits no image: the largest file system has 256 GiB. It also
// ends a decompression bomb.
inline constexpr uint64_t kMaxLayerBytes = 256 * kGiB;

struct LayerStreamOptions {
  std::string digest;   // "sha256:..." of the blob; empty: not known
  std::string diff_id;  // "sha256:..." of the plain tar
  // Told how many bytes of the blob were read, for progress; called on
  // another thread. May be empty.
  std::function<void(uint64_t)> on_blob_bytes;
  uint64_t limit_bytes = kMaxLayerBytes;  // of the plain tar
};

class LayerStream : public ByteSource {
 public:
  // Reads what is left, then kCorrupt unless both digests are right. Call
  // once, after which there is nothing to read.
  virtual Status Finish() = 0;
};

// Read: the errors of Decompress; kInvalid past `limit_bytes`.
std::unique_ptr<LayerStream> OpenLayerStream(FileRange blob,
                                             LayerStreamOptions options);

}  // namespace morsel
