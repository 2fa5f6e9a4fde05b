// SPDX-License-Identifier: Apache-2.0
#include "localcache/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

namespace morsel {
namespace {

constexpr uint32_t kRingMagic = 0x31524c4d;  // "MLR1"
// A client cannot have had more between two drains; it may say so.
constexpr uint64_t kMostHits = 10'000'000;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct Ring {
  uint32_t magic;
  uint32_t capacity;
  alignas(64) std::atomic<uint64_t> written;
  alignas(64) std::array<std::atomic<uint32_t>, kRingCapacity> slots;
};
static_assert(offsetof(Ring, written) == 64 && offsetof(Ring, slots) == 128);

Ring& RingAt(const SharedMapping& mapping) {
  return *reinterpret_cast<Ring*>(mapping.base());
}

Status CheckRingFile(const Fd& file) {
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(file.get()));
  std::array<std::byte, 8> head{};
  if (size != sizeof(Ring) ||
      (fcntl(file.get(), F_GET_SEALS) & kSeals) != kSeals)
    return MakeError(Code::kInvalid, "ring of hits: not of this layout");
  RETURN_IF_ERROR(ReadFullAt(file.get(), 0, head));
  if (LoadLe<uint32_t>(head.data()) != kRingMagic ||
      LoadLe<uint32_t>(head.data() + 4) != kRingCapacity)
    return MakeError(Code::kInvalid, "ring of hits: not of this layout");
  return Ok();
}

}  // namespace

Result<HitRing> HitRing::Map(const Fd& file) {
  RETURN_IF_ERROR(CheckRingFile(file));
  HitRing ring;
  ASSIGN_OR_RETURN_AS(ring.mapping_,
                      SharedMapping::Map(file.get(), sizeof(Ring),
                                         SharedMapping::Access::kReadWrite),
                      "ring of hits");
  return ring;
}

Status HitRing::ReplaceWith(const Fd& file) {
  RETURN_IF_ERROR(CheckRingFile(file));
  return mapping_.ReplaceWith(file.get(), SharedMapping::Access::kReadWrite);
}

void HitRing::Record(uint32_t slot) const {
  Ring& ring = RingAt(mapping_);
  const uint64_t at = ring.written.fetch_add(1, std::memory_order_relaxed);
  ring.slots[at % kRingCapacity].store(slot, std::memory_order_relaxed);
}

Result<HitRingDrain> HitRingDrain::Make() {
  HitRingDrain drain;
  drain.file_ =
      Fd(memfd_create("morsel-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!drain.file_ || ftruncate(drain.file_.get(), sizeof(Ring)) != 0 ||
      fcntl(drain.file_.get(), F_ADD_SEALS, kSeals) != 0)
    return ErrnoError(errno, "make a ring of hits");
  ASSIGN_OR_RETURN(drain.mapping_,
                   SharedMapping::Map(drain.file_.get(), sizeof(Ring),
                                      SharedMapping::Access::kReadWrite));
  RingAt(drain.mapping_).magic = kRingMagic;
  RingAt(drain.mapping_).capacity = kRingCapacity;
  return drain;
}

// Whatever the client wrote, this reads at most `limit` numbers, all of them
// inside the ring.
std::vector<uint32_t> HitRingDrain::Drain(uint32_t limit) {
  const Ring& ring = RingAt(mapping_);
  const uint64_t written = ring.written.load(std::memory_order_relaxed);
  const uint64_t count =
      std::min<uint64_t>({written - seen_, limit, kRingCapacity});
  last_count_ = std::min(written - seen_, kMostHits);
  seen_ = written;
  std::vector<uint32_t> slots;
  slots.reserve(count);
  for (uint64_t i = written - count; i != written; ++i)
    slots.push_back(
        ring.slots[i % kRingCapacity].load(std::memory_order_relaxed));
  return slots;
}

}  // namespace morsel
