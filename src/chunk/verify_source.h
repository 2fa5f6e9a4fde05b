// SPDX-License-Identifier: Apache-2.0
// VerifySource: a decorator that hashes each chunk whole and passes on only
// what is its name (design: the name is the SHA-256 of the ciphertext). What
// it returns owns its bytes, so nobody can change them afterwards.
//
// Thread safety: thread-safe; `next` must outlive it.
#pragma once

#include <atomic>

#include "chunk/chunk_source.h"

namespace morsel {

class VerifySource final : public ChunkSource {
 public:
  // `tier` names `next` in messages: "zone cache".
  VerifySource(ChunkSource& next, std::string tier)
      : next_(next), tier_(std::move(tier)) {}

  // kCorrupt: length or hash is wrong (logged and counted here); else what
  // `next` says. kUnavailable: `next` took a view back though it was asked for
  // one that owns its bytes.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override;

  // Chunks that were not what their names say.
  uint64_t corrupt_chunks() const { return corrupt_chunks_; }

 private:
  Result<Bytes> GetOwned(const ChunkRef& ref, Want want);

  ChunkSource& next_;
  const std::string tier_;
  std::atomic<uint64_t> corrupt_chunks_{0};
};

}  // namespace morsel
