// SPDX-License-Identifier: Apache-2.0
#include "localcache/flash_chunks.h"

#include "base/fd.h"

namespace morsel {
namespace {

std::string_view KeyOf(const ChunkName& name) { return AsText(name.digest()); }

}  // namespace

Result<std::unique_ptr<CacheDevice>> FlashChunks::OpenDevice(
    const std::string& folder, uint64_t max_bytes) {
  RETURN_IF_ERROR_AS(MakeDirectories(folder, 0700), "local_cache.flash_dir");
  FileDeviceOptions options;
  options.max_bytes = max_bytes;
  ASSIGN_OR_RETURN_AS(auto device,
                      OpenFileDevice(folder + "/localcache.flash", options),
                      "local_cache.flash_dir");
  return device;
}

Result<std::unique_ptr<FlashChunks>> FlashChunks::Make(
    std::unique_ptr<CacheDevice> device, Clock& clock,
    const PolicyOptions& policy) {
  FlashTierOptions options;
  options.policy = policy;
  ASSIGN_OR_RETURN_AS(auto tier,
                      FlashTier::Open(std::move(device), options, clock),
                      "local_cache.flash_bytes");
  return std::make_unique<FlashChunks>(std::move(tier));
}

Result<ChunkView> FlashChunks::Get(const ChunkRef& ref, const Want&) {
  ASSIGN_OR_RETURN(const FlashTier::Found found, tier_->Get(KeyOf(ref.name)));
  const ByteSpan bytes = found.value.bytes.span();
  if (!ref.name.Matches(bytes)) {
    (void)tier_->Erase(KeyOf(ref.name));
    return MakeError(Code::kCorrupt, "chunk " + ref.name.Short() +
                                         " is damaged in the flash tier");
  }
  // Only one length can be right, and this one is.
  if (bytes.size() != ref.stored_length)
    return MakeError(Code::kNotFound,
                     "chunk " + ref.name.Short() + " has another length");
  return ChunkView::Owned(CopyBytes(bytes));
}

bool FlashChunks::Contains(const ChunkName& name) const {
  return tier_->Contains(KeyOf(name));
}

void FlashChunks::Offer(const ChunkRef& ref, ByteSpan ciphertext) {
  OfferNamed(ref.name, ciphertext);
}

void FlashChunks::OfferNamed(const ChunkName& name, ByteSpan ciphertext) {
  if (Contains(name)) return;
  CacheValue value;
  value.bytes = SharedBytes::Copy(ciphertext);
  // Dropped or failed, it is one chunk less on flash; the tier counts it.
  (void)tier_->Put(KeyOf(name), value, FlashTier::WhenFull::kDrop);
}

}  // namespace morsel
