// SPDX-License-Identifier: Apache-2.0
// Reads a source ahead on a thread of its own, so that decompression and what
// is done with its result run on two cores.
//
// Thread safety: the returned source is owned by one thread; `inner` is used
// by the other thread only, until the end, an error, or the destructor.
#pragma once

#include <memory>

#include "oci/byte_source.h"

namespace morsel {

// Holds copies of 8 pieces, 2 MiB, at most. Errors are those of `inner`, in
// their place in the stream.
std::unique_ptr<ByteSource> ReadAhead(std::unique_ptr<ByteSource> inner);

}  // namespace morsel
