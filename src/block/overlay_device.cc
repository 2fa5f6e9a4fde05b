// SPDX-License-Identifier: Apache-2.0
//
// Locks. A write of part of a page reads, merges and writes, and a write of a
// whole page must not come between: so every change holds the lock of its
// group (32 pages; 64 locks serve all groups by turns). It is held over I/O on
// the data file, which is local, but never over a read of the image, which may
// wait for the network: that is read before, without a lock, for an image
// never changes and a page that has left the state kImage never returns to it.
//
// Reads take no lock. The one thing that could mislead them is a hole that is
// punched between their look at the map and their read of the file: zeros
// would be decrypted to noise. So a discard counts up `punches` of its lock
// between map and hole, and a read that sees another count than before is
// done again.
#include "block/overlay_device.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "block/device_range.h"
#include "block/overlay_map.h"
#include "chunk/name.h"
#include "crypto/cipher.h"

namespace morsel {
namespace {

constexpr uint64_t kPagesPerGroup = OverlayMap::kPagesPerGroup;
constexpr size_t kStripes = OverlayMap::kHoleNotes;
// Reads without a lock, before one is taken.
constexpr int kFreeTries = 3;
// How much one step of a write encrypts: it lies on the stack, and in one
// group.
constexpr uint64_t kStepBytes = 64 * kKiB;
static_assert(kPagesPerGroup * kPageSize % kStepBytes == 0);

using Page = std::array<std::byte, kPageSize>;

uint64_t PageOf(uint64_t offset) { return offset / kPageSize; }

class OverlayDevice final : public BlockDevice {
 public:
  OverlayDevice(BlockDevice& image, OverlayOptions options,
                std::unique_ptr<OverlayMap> map)
      : image_(image),
        options_(std::move(options)),
        map_(std::move(map)),
        data_pages_(map_->CountData()) {}

  // Gives the room back that a discard which was cut short has left.
  void PunchLeftHoles();

  uint64_t size() const override { return image_.size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override;
  Status Write(uint64_t offset, ByteSpan bytes) override;
  Status Flush() override EXCLUDES(flush_mutex_);
  Status Discard(uint64_t offset, uint64_t length) override {
    return Zero(offset, length);
  }
  Status Zero(uint64_t offset, uint64_t length) override;

 private:
  struct Stripe {
    Mutex mutex;
    std::atomic<uint64_t> punches{0};
  };
  static size_t StripeNumber(uint64_t page) {
    return page / kPagesPerGroup % kStripes;
  }
  Stripe& StripeOf(uint64_t page) { return stripes_[StripeNumber(page)]; }

  // `out` lies within pages of one group that were seen as data.
  Status ReadData(uint64_t offset, MutableByteSpan out);
  Status ReadDataOnce(uint64_t offset, MutableByteSpan out);
  // Whatever the pages of one group are at present; none is the image's.
  Status ReadAsItIs(uint64_t offset, MutableByteSpan out);
  Status LoadPage(uint64_t page, Page& out);
  // `bytes` lies within one step.
  Status WriteStep(uint64_t offset, ByteSpan bytes);
  Status StoreStep(uint64_t offset, ByteSpan bytes, const Page& head,
                   const Page& tail);
  // Brings `page` up to date, which holds the image's bytes if that is what
  // the page was.
  Status UpdatePage(uint64_t number, Page& page);
  Status ZeroPart(uint64_t offset, uint64_t length);
  Status ZeroPages(uint64_t first, uint64_t count);
  Status PunchHole(uint64_t first, uint64_t count);
  uint64_t CountData(uint64_t first, uint64_t count) const;
  Status Reserve(uint64_t pages);
  Status AskWitness() REQUIRES(flush_mutex_);
  Status SyncAll() REQUIRES(flush_mutex_);

  BlockDevice& image_;
  const OverlayOptions options_;
  const std::unique_ptr<OverlayMap> map_;
  std::atomic<uint64_t> data_pages_;
  std::array<Stripe, kStripes> stripes_;
  Mutex flush_mutex_;
  std::atomic<uint32_t> own_flush_state_{kNoFlush};
};

Status OverlayDevice::Read(uint64_t offset, MutableByteSpan out) {
  RETURN_IF_ERROR(CheckRange(size(), offset, out.size()));
  while (!out.empty()) {
    const uint64_t page = PageOf(offset);
    const uint64_t limit = PageOf(offset + out.size() - 1) - page + 1;
    const PageState state = map_->Get(page);
    uint64_t run = map_->RunLength(page, state, limit);
    if (state == PageState::kData)
      run = std::min(run, kPagesPerGroup - page % kPagesPerGroup);
    // The page may have changed between the two looks: what it was at the
    // first is a right answer still, but for this page alone.
    run = std::max<uint64_t>(run, 1);
    const size_t length =
        std::min<uint64_t>(out.size(), (page + run) * kPageSize - offset);
    const MutableByteSpan part = out.first(length);
    if (state == PageState::kData)
      RETURN_IF_ERROR(ReadData(offset, part));
    else if (state == PageState::kImage)
      RETURN_IF_ERROR(image_.Read(offset, part));
    else
      std::memset(part.data(), 0, part.size());
    offset += length;
    out = out.subspan(length);
  }
  return Ok();
}

Status OverlayDevice::ReadData(uint64_t offset, MutableByteSpan out) {
  const uint64_t first = PageOf(offset);
  const uint64_t pages = PageOf(offset + out.size() - 1) - first + 1;
  Stripe& stripe = StripeOf(first);
  for (int i = 0; i < kFreeTries; ++i) {
    const uint64_t before = stripe.punches.load(std::memory_order_acquire);
    if (map_->RunLength(first, PageState::kData, pages) != pages) break;
    RETURN_IF_ERROR(ReadDataOnce(offset, out));
    if (stripe.punches.load(std::memory_order_acquire) == before) return Ok();
  }
  const MutexLock lock(stripe.mutex);
  return ReadAsItIs(offset, out);
}

Status OverlayDevice::ReadAsItIs(uint64_t offset, MutableByteSpan out) {
  while (!out.empty()) {
    const size_t length =
        std::min<size_t>(out.size(), kPageSize - offset % kPageSize);
    if (map_->Get(PageOf(offset)) == PageState::kData)
      RETURN_IF_ERROR(ReadDataOnce(offset, out.first(length)));
    else
      std::memset(out.data(), 0, length);
    offset += length;
    out = out.subspan(length);
  }
  return Ok();
}

Status OverlayDevice::ReadDataOnce(uint64_t offset, MutableByteSpan out) {
  while (!out.empty()) {
    const size_t skip = offset % kPageSize;
    size_t length = 0;
    if (skip == 0 && out.size() >= kPageSize) {
      length = RoundDown(out.size(), kPageSize);
      const MutableByteSpan pages = out.first(length);
      RETURN_IF_ERROR_AS(ReadFullAt(options_.data.get(), offset, pages),
                         "the overlay");
      AesXtsDecrypt(options_.key.bytes(), PageOf(offset), pages, pages);
    } else {
      Page page;
      RETURN_IF_ERROR(LoadPage(PageOf(offset), page));
      length = std::min<size_t>(out.size(), kPageSize - skip);
      std::copy_n(page.begin() + skip, length, out.begin());
    }
    offset += length;
    out = out.subspan(length);
  }
  return Ok();
}

Status OverlayDevice::LoadPage(uint64_t page, Page& out) {
  RETURN_IF_ERROR_AS(ReadFullAt(options_.data.get(), page * kPageSize, out),
                     "the overlay");
  AesXtsDecrypt(options_.key.bytes(), page, out, out);
  return Ok();
}

Status OverlayDevice::Write(uint64_t offset, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckRange(size(), offset, bytes.size()));
  while (!bytes.empty()) {
    const size_t length =
        std::min<uint64_t>(bytes.size(), kStepBytes - offset % kStepBytes);
    RETURN_IF_ERROR(WriteStep(offset, bytes.first(length)));
    offset += length;
    bytes = bytes.subspan(length);
  }
  return Ok();
}

Status OverlayDevice::WriteStep(uint64_t offset, ByteSpan bytes) {
  const uint64_t end = offset + bytes.size();
  const uint64_t first = PageOf(offset);
  const uint64_t last = PageOf(end - 1);
  const bool part_first =
      offset % kPageSize != 0 || (first == last && end % kPageSize != 0);
  const bool part_last = first != last && end % kPageSize != 0;
  Page head;
  Page tail;
  if (part_first && map_->Get(first) == PageState::kImage)
    RETURN_IF_ERROR(image_.Read(first * kPageSize, head));
  if (part_last && map_->Get(last) == PageState::kImage)
    RETURN_IF_ERROR(image_.Read(last * kPageSize, tail));

  const MutexLock lock(StripeOf(first).mutex);
  if (part_first) RETURN_IF_ERROR(UpdatePage(first, head));
  if (part_last) RETURN_IF_ERROR(UpdatePage(last, tail));
  const uint64_t count = last - first + 1;
  const uint64_t added = count - CountData(first, count);
  RETURN_IF_ERROR(Reserve(added));
  const Status stored = StoreStep(offset, bytes, head, tail);
  if (!stored.ok()) {
    data_pages_.fetch_sub(added);
    return stored;
  }
  map_->Set(first, count, PageState::kData);
  return Ok();
}

Status OverlayDevice::UpdatePage(uint64_t number, Page& page) {
  const PageState state = map_->Get(number);
  if (state == PageState::kData) return LoadPage(number, page);
  if (state == PageState::kZero) page.fill(std::byte{0});
  return Ok();
}

// Merges `bytes` into the first and last page where they cover them in part,
// encrypts, and writes all pages at once.
Status OverlayDevice::StoreStep(uint64_t offset, ByteSpan bytes,
                                const Page& head, const Page& tail) {
  std::array<std::byte, kStepBytes> step;
  const ByteSpan key = options_.key.bytes();
  const uint64_t first = PageOf(offset);
  const uint64_t end = offset + bytes.size();
  const uint64_t count = PageOf(end - 1) - first + 1;
  for (uint64_t i = 0; i < count;) {
    const uint64_t begin = std::max(offset, (first + i) * kPageSize);
    const MutableByteSpan out = MutableByteSpan(step).subspan(i * kPageSize);
    if (begin % kPageSize == 0 && end - begin >= kPageSize) {
      const uint64_t length = RoundDown(end - begin, kPageSize);
      AesXtsEncrypt(key, first + i, bytes.subspan(begin - offset, length),
                    out.first(length));
      i += length / kPageSize;
      continue;
    }
    Page page = i == 0 ? head : tail;
    const uint64_t length = std::min(end, (first + i + 1) * kPageSize) - begin;
    std::ranges::copy(bytes.subspan(begin - offset, length),
                      page.begin() + begin % kPageSize);
    AesXtsEncrypt(key, first + i, page, out.first(kPageSize));
    ++i;
  }
  RETURN_IF_ERROR_AS(WriteFullAt(options_.data.get(), first * kPageSize,
                                 ByteSpan(step).first(count * kPageSize)),
                     "the overlay");
  return Ok();
}

uint64_t OverlayDevice::CountData(uint64_t first, uint64_t count) const {
  uint64_t data = 0;
  for (uint64_t page = first; page < first + count; ++page)
    if (map_->Get(page) == PageState::kData) ++data;
  return data;
}

Status OverlayDevice::Reserve(uint64_t pages) {
  const uint64_t limit = options_.max_bytes / kPageSize;
  if (pages == 0 || data_pages_.fetch_add(pages) + pages <= limit) return Ok();
  data_pages_.fetch_sub(pages);
  return MakeError(Code::kExhausted,
                   "the overlay is full: overlay.max_bytes is " +
                       HumanSize(options_.max_bytes) +
                       "; raise it and attach again");
}

Status OverlayDevice::Zero(uint64_t offset, uint64_t length) {
  RETURN_IF_ERROR(CheckRange(size(), offset, length));
  const uint64_t end = offset + length;
  const uint64_t first = RoundUp(offset, kPageSize);
  const uint64_t last = RoundDown(end, kPageSize);
  if (first > last) return ZeroPart(offset, length);
  RETURN_IF_ERROR(ZeroPart(offset, first - offset));
  for (uint64_t page = PageOf(first); page < PageOf(last);) {
    const uint64_t count =
        std::min(PageOf(last) - page, kPagesPerGroup - page % kPagesPerGroup);
    RETURN_IF_ERROR(ZeroPages(page, count));
    page += count;
  }
  return ZeroPart(last, end - last);
}

Status OverlayDevice::ZeroPart(uint64_t offset, uint64_t length) {
  static constexpr Page kZeros{};
  if (length == 0 || map_->Get(PageOf(offset)) == PageState::kZero) return Ok();
  return Write(offset, ByteSpan(kZeros).first(length));
}

Status OverlayDevice::ZeroPages(uint64_t first, uint64_t count) {
  Stripe& stripe = StripeOf(first);
  const MutexLock lock(stripe.mutex);
  const uint64_t freed = CountData(first, count);
  if (freed == 0) {
    map_->Set(first, count, PageState::kZero);
    return Ok();
  }
  map_->NoteHole(StripeNumber(first), first / kPagesPerGroup);
  map_->Set(first, count, PageState::kZero);
  stripe.punches.fetch_add(1, std::memory_order_acq_rel);
  data_pages_.fetch_sub(freed);
  RETURN_IF_ERROR(PunchHole(first, count));
  map_->ForgetHole(StripeNumber(first));
  return Ok();
}

// A file system without holes keeps the room; what is read is right.
Status OverlayDevice::PunchHole(uint64_t first, uint64_t count) {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(options_.data.get(), mode,
                  static_cast<off_t>(first * kPageSize),
                  static_cast<off_t>(count * kPageSize)) != 0 &&
      errno != EOPNOTSUPP)
    return ErrnoError(errno, "punch a hole in the overlay");
  return Ok();
}

void OverlayDevice::PunchLeftHoles() {
  for (size_t i = 0; i < kStripes; ++i) {
    const std::optional<uint64_t> group = map_->NotedHole(i);
    if (!group) continue;
    Status punched = Ok();
    const uint64_t first = *group * kPagesPerGroup;
    const uint64_t end = std::min(first + kPagesPerGroup, PageOf(size()));
    for (uint64_t page = first; page < end && punched.ok(); ++page)
      if (map_->Get(page) == PageState::kZero) punched = PunchHole(page, 1);
    if (punched.ok())
      map_->ForgetHole(i);
    else
      LogWarn("a discarded part of the overlay keeps its room",
              {{"cause", punched.error().message}});
  }
}

Status OverlayDevice::Flush() {
  if (!options_.durable) return Ok();
  const MutexLock lock(flush_mutex_);
  std::atomic<uint32_t>& state = options_.flush_state == nullptr
                                     ? own_flush_state_
                                     : *options_.flush_state;
  if (state.load() == kFlushFailed)
    return MakeError(Code::kIo,
                     "an earlier flush of the overlay failed, and what it "
                     "could not write is lost: detach the device, and check "
                     "the file system when it is attached again");
  // No flush of this process is: a predecessor was killed in one.
  const bool is_in_doubt = state.exchange(kFlushUnderWay) == kFlushUnderWay;
  Status flushed = is_in_doubt ? AskWitness() : Ok();
  if (flushed.ok()) flushed = SyncAll();
  state.store(flushed.ok() ? kNoFlush : kFlushFailed);
  if (flushed.ok()) return Ok();
  // Whatever was lacking: what is lost is not lost for want of room later.
  return MakeError(Code::kIo, flushed.error().message);
}

Status OverlayDevice::AskWitness() {
  if (options_.witness && ::fdatasync(options_.witness.get()) != 0)
    return ErrnoError(errno, "an earlier fdatasync of the overlay's data");
  return Ok();
}

Status OverlayDevice::SyncAll() {
  const OverlayMap::Changes changes = map_->Snapshot();
  if (::fdatasync(options_.data.get()) != 0)
    return ErrnoError(errno, "fdatasync the overlay's data");
  return map_->Publish(changes);
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> OpenOverlayDevice(BlockDevice& image,
                                                       OverlayOptions options) {
  CHECK(options.key.size() == kXtsKeySize);
  ASSIGN_OR_RETURN(auto map,
                   OverlayMap::Open(std::move(options.map),
                                    {.virtual_size = image.size(),
                                     .manifest_id = options.manifest_id,
                                     .durable = options.durable,
                                     .boot_id = options.boot_id}));
  if (::ftruncate(options.data.get(), static_cast<off_t>(image.size())) != 0)
    return ErrnoError(errno, "set the size of the overlay's data");
  auto device = std::make_unique<OverlayDevice>(image, std::move(options),
                                                std::move(map));
  device->PunchLeftHoles();
  return std::unique_ptr<BlockDevice>(std::move(device));
}

}  // namespace morsel
