// SPDX-License-Identifier: Apache-2.0
// Pass 1: every layer is read once; its entries become records, the contents
// of its files go to the spool, and its digests are checked.
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "image/records.h"
#include "image/spool.h"
#include "oci/image_source.h"

namespace morsel {

// Up to `thread_count` layers are read at a time (each on two threads). The
// records are those of image.layers, in order. Errors name the layer: those
// of LayerReader and LayerStream; kInvalid also past the limits of records.h;
// kExhausted if the spool is full.
Result<std::vector<LayerRecords>> ReadLayers(const SourceImage& image,
                                             Spool& spool, size_t thread_count,
                                             Progress& progress);

}  // namespace morsel
