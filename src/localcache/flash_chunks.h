// SPDX-License-Identifier: Apache-2.0
// The flash tier behind the arena: chunks in a FlashTier of cache/, read by the
// daemon alone, with the SHA-256 checked again on the way up.
//
// What was fetched is offered at once, so that it outlives the arena (a reboot
// empties a tmpfs), and what makes room in the arena is offered again if it has
// aged out of the log by then. Offers go through the tier's bounded queue and
// are dropped when it is full: a disk that is too slow delays nobody.
//
// Thread safety: thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cache/device.h"
#include "cache/flash_tier.h"
#include "chunk/chunk_sink.h"
#include "chunk/chunk_source.h"

namespace morsel {

class FlashChunks final : public ChunkSource, public ChunkSink {
 public:
  explicit FlashChunks(std::unique_ptr<FlashTier> tier)
      : tier_(std::move(tier)) {}
  // The file `folder`/localcache.flash, which never takes more than
  // `max_bytes`: opened before the daemon gives up its rights. kUnavailable:
  // another process holds it; kExhausted, kDenied, kIo.
  static Result<std::unique_ptr<CacheDevice>> OpenDevice(
      const std::string& folder, uint64_t max_bytes);
  // Reads what is on it, and starts the thread that writes. kInvalid: it is too
  // small; kIo.
  static Result<std::unique_ptr<FlashChunks>> Make(
      std::unique_ptr<CacheDevice> device, Clock& clock,
      const PolicyOptions& policy = {});

  // kNotFound; kCorrupt: the copy was damaged, and is dropped; kIo.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override;
  void Offer(const ChunkRef& ref, ByteSpan ciphertext) override;
  // The same for who knows the name alone.
  void OfferNamed(const ChunkName& name, ByteSpan ciphertext);
  bool Contains(const ChunkName& name) const;

  FlashTierStats Stats() const { return tier_->Stats(); }

 private:
  const std::unique_ptr<FlashTier> tier_;
};

}  // namespace morsel
