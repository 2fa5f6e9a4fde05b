// SPDX-License-Identifier: Apache-2.0
// Decompression of layers: gzip by ISA-L's igzip (483 against zlib's 264 MB/s),
// zstd by libzstd; both of several members (frames) one after another.
//
// The media type of a layer is not believed: the first bytes decide.
//
// Thread safety: sources are owned by one thread.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "oci/byte_source.h"

namespace morsel {

enum class Compression { kNone, kGzip, kZstd };

// By the magic number that `head`, the first bytes of a stream, begins with.
Compression SniffCompression(ByteSpan head);

// `inner` as it was before compression, decided by its first bytes; a plain
// stream is passed on. Read: kCorrupt if the stream is damaged, cut short or
// followed by something else; besides, the errors of `inner`. A zstd window
// of over 128 MiB is kInvalid: it would break the bound on memory.
std::unique_ptr<ByteSource> Decompress(std::unique_ptr<ByteSource> inner);

}  // namespace morsel
