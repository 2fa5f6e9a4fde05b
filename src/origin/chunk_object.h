// SPDX-License-Identifier: Apache-2.0
// A chunk as an object of the origin: its key, and how it is read.
//
// Thread safety: free functions; the source is thread-safe if the store is.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "chunk/chunk_source.h"
#include "store/object_store.h"

namespace morsel {

// roots/<root>/chunks/<first 2 hex of the name>/<name>
std::string ChunkKey(const std::string& root, const ChunkName& name);

// The bytes of the chunk, with length and SHA-256 checked. kNotFound;
// kCorrupt says which of the two is wrong; others as the store's.
Result<Bytes> ReadChunkObject(ObjectStore& store, const ChunkRef& ref);

// The origin as a tier: the ChunkSource behind all caches. `store` and `clock`
// must outlive it. A read that has begun is not cut short by its deadline.
std::unique_ptr<ChunkSource> MakeOriginChunkSource(
    ObjectStore& store, Clock& clock = SystemClock());

}  // namespace morsel
