// SPDX-License-Identifier: Apache-2.0
#include "block/overlay_device.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/mutex.h"
#include "block/device_range.h"
#include "block/overlay_map.h"
#include "chunk/name.h"
#include "crypto/cipher.h"

namespace morsel {
namespace {

constexpr uint64_t kGroupBytes = OverlayMap::kPagesPerGroup * kPageSize;
constexpr size_t kLockCount = 256;

using Page = std::array<std::byte, kPageSize>;

// A part of a request that lies within one group.
struct Part {
  uint64_t offset;
  uint64_t length;
};

Part FirstPart(uint64_t offset, uint64_t length) {
  const uint64_t end = RoundDown(offset, kGroupBytes) + kGroupBytes;
  return {offset, std::min(length, end - offset)};
}

class OverlayDevice final : public BlockDevice {
 public:
  OverlayDevice(BlockDevice& image, OverlayOptions options, OverlayMap map)
      : image_(image),
        options_(std::move(options)),
        map_(std::move(map)),
        data_pages_(map_.Count(PageState::kData)) {}

  uint64_t size() const override { return image_.size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override;
  Status Write(uint64_t offset, ByteSpan bytes) override;
  Status Flush() override;
  Status Discard(uint64_t offset, uint64_t length) override;
  Status Zero(uint64_t offset, uint64_t length) override {
    return Discard(offset, length);
  }

 private:
  Mutex& LockOf(uint64_t offset) {
    return locks_[offset / kGroupBytes % kLockCount];
  }

  Status ReadPart(uint64_t offset, MutableByteSpan out);
  // Pages of one state and in one group, whole or in part.
  Status ReadRun(PageState state, uint64_t offset, MutableByteSpan out);
  Status ReadData(uint64_t offset, MutableByteSpan out);
  Status WritePart(uint64_t offset, ByteSpan bytes);
  Status WritePages(uint64_t first_page, ByteSpan bytes);
  // Writes less than a page: the rest of it stays as it was.
  Status MergePage(uint64_t offset, ByteSpan bytes);
  Status StorePages(uint64_t first_page, ByteSpan bytes);
  Status DiscardPages(uint64_t first_page, uint64_t page_count);
  uint64_t CountData(uint64_t first_page, uint64_t page_count) const;

  BlockDevice& image_;
  const OverlayOptions options_;
  OverlayMap map_;
  std::atomic<uint64_t> data_pages_;
  std::array<Mutex, kLockCount> locks_;
};

Status OverlayDevice::Read(uint64_t offset, MutableByteSpan out) {
  RETURN_IF_ERROR(CheckRange(size(), offset, out.size()));
  if (out.empty()) return Ok();
  const uint64_t first = offset / kPageSize;
  const uint64_t last = (offset + out.size() - 1) / kPageSize;
  if (map_.IsAllImage(first, last - first + 1)) return image_.Read(offset, out);
  while (!out.empty()) {
    const Part part = FirstPart(offset, out.size());
    RETURN_IF_ERROR(ReadPart(part.offset, out.first(part.length)));
    out = out.subspan(part.length);
    offset += part.length;
  }
  return Ok();
}

// Run by run of pages of one state. A page that becomes data while the image
// is read below it gives its old bytes: the read was there first.
Status OverlayDevice::ReadPart(uint64_t offset, MutableByteSpan out) {
  while (!out.empty()) {
    const uint64_t first = offset / kPageSize;
    const PageState state = map_.Get(first);
    uint64_t end = (first + 1) * kPageSize;
    while (end < offset + out.size() && map_.Get(end / kPageSize) == state)
      end += kPageSize;
    const size_t length = std::min<uint64_t>(out.size(), end - offset);
    RETURN_IF_ERROR(ReadRun(state, offset, out.first(length)));
    out = out.subspan(length);
    offset += length;
  }
  return Ok();
}

Status OverlayDevice::ReadRun(PageState state, uint64_t offset,
                              MutableByteSpan out) {
  if (state == PageState::kImage) return image_.Read(offset, out);
  MutexLock lock(LockOf(offset));
  // Under the lock the states may be others: a discard came between.
  while (!out.empty()) {
    const uint64_t page = offset / kPageSize;
    const size_t length =
        std::min<uint64_t>(out.size(), (page + 1) * kPageSize - offset);
    if (map_.Get(page) == PageState::kData)
      RETURN_IF_ERROR(ReadData(offset, out.first(length)));
    else
      std::memset(out.data(), 0, length);
    out = out.subspan(length);
    offset += length;
  }
  return Ok();
}

// Within one page, which is in the data file.
Status OverlayDevice::ReadData(uint64_t offset, MutableByteSpan out) {
  const uint64_t page = offset / kPageSize;
  const ByteSpan key = options_.key.bytes();
  if (out.size() == kPageSize) {
    RETURN_IF_ERROR_AS(ReadFullAt(options_.data.get(), offset, out),
                       "the overlay");
    AesXtsDecrypt(key, page, out, out);
    return Ok();
  }
  Page whole;
  RETURN_IF_ERROR_AS(ReadFullAt(options_.data.get(), page * kPageSize, whole),
                     "the overlay");
  AesXtsDecrypt(key, page, whole, whole);
  std::copy_n(whole.begin() + offset % kPageSize, out.size(), out.begin());
  return Ok();
}

Status OverlayDevice::Write(uint64_t offset, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckRange(size(), offset, bytes.size()));
  while (!bytes.empty()) {
    const Part part = FirstPart(offset, bytes.size());
    RETURN_IF_ERROR(WritePart(part.offset, bytes.first(part.length)));
    bytes = bytes.subspan(part.length);
    offset += part.length;
  }
  return Ok();
}

// Head and tail may be less than a page.
Status OverlayDevice::WritePart(uint64_t offset, ByteSpan bytes) {
  if (const uint64_t into = offset % kPageSize; into != 0) {
    const size_t head = std::min<uint64_t>(bytes.size(), kPageSize - into);
    RETURN_IF_ERROR(MergePage(offset, bytes.first(head)));
    offset += head;
    bytes = bytes.subspan(head);
  }
  if (const size_t whole = RoundDown(bytes.size(), kPageSize); whole != 0) {
    RETURN_IF_ERROR(WritePages(offset / kPageSize, bytes.first(whole)));
    offset += whole;
    bytes = bytes.subspan(whole);
  }
  return bytes.empty() ? Ok() : MergePage(offset, bytes);
}

Status OverlayDevice::WritePages(uint64_t first_page, ByteSpan bytes) {
  MutexLock lock(LockOf(first_page * kPageSize));
  return StorePages(first_page, bytes);
}

Status OverlayDevice::MergePage(uint64_t offset, ByteSpan bytes) {
  const uint64_t page = offset / kPageSize;
  const uint64_t page_offset = page * kPageSize;
  Page merged{};
  // The image is read before the lock is taken, as it may wait; it is of use
  // only if the page is still the image's then, and it can become so never
  // again.
  if (map_.Get(page) == PageState::kImage)
    RETURN_IF_ERROR(image_.Read(page_offset, merged));
  MutexLock lock(LockOf(offset));
  const PageState state = map_.Get(page);
  if (state == PageState::kData)
    RETURN_IF_ERROR(ReadData(page_offset, merged));
  else if (state == PageState::kZero)
    merged.fill(std::byte{0});
  std::copy(bytes.begin(), bytes.end(), merged.begin() + offset % kPageSize);
  return StorePages(page, merged);
}

// Requires: the group's lock is held. The page, then the map.
Status OverlayDevice::StorePages(uint64_t first_page, ByteSpan bytes) {
  // Grown once by each thread of the pool, to the largest write.
  thread_local Bytes ciphertext;
  const uint64_t page_count = bytes.size() / kPageSize;
  const uint64_t added = page_count - CountData(first_page, page_count);
  if ((data_pages_.fetch_add(added) + added) * kPageSize > options_.max_bytes) {
    data_pages_ -= added;
    return MakeError(Code::kExhausted,
                     "the overlay is full: overlay.max_bytes is " +
                         HumanSize(options_.max_bytes));
  }
  if (ciphertext.size() < bytes.size()) ciphertext.resize(bytes.size());
  const MutableByteSpan sealed =
      MutableByteSpan(ciphertext).first(bytes.size());
  AesXtsEncrypt(options_.key.bytes(), first_page, bytes, sealed);
  const Status written =
      WriteFullAt(options_.data.get(), first_page * kPageSize, sealed);
  if (!written.ok()) {
    data_pages_ -= added;
    return Error(written.error()).Wrap("the overlay");
  }
  map_.Set(first_page, page_count, PageState::kData);
  return Ok();
}

uint64_t OverlayDevice::CountData(uint64_t first_page,
                                  uint64_t page_count) const {
  uint64_t count = 0;
  for (uint64_t page = first_page; page < first_page + page_count; ++page)
    count += map_.Get(page) == PageState::kData ? 1 : 0;
  return count;
}

Status OverlayDevice::Flush() {
  if (!options_.durable) return Ok();
  if (::fdatasync(options_.data.get()) != 0)
    return ErrnoError(errno, "sync the overlay");
  if (::fdatasync(options_.map.get()) != 0)
    return ErrnoError(errno, "sync the overlay's map");
  return Ok();
}

Status OverlayDevice::Discard(uint64_t offset, uint64_t length) {
  static constexpr Page kZeros{};
  RETURN_IF_ERROR(CheckRange(size(), offset, length));
  while (length > 0) {
    Part part = FirstPart(offset, length);
    if (part.offset % kPageSize != 0 || part.length < kPageSize) {
      part.length = std::min(part.length, kPageSize - part.offset % kPageSize);
      RETURN_IF_ERROR(
          MergePage(part.offset, ByteSpan(kZeros).first(part.length)));
    } else {
      part.length = RoundDown(part.length, kPageSize);
      RETURN_IF_ERROR(
          DiscardPages(part.offset / kPageSize, part.length / kPageSize));
    }
    offset += part.length;
    length -= part.length;
  }
  return Ok();
}

// The map, then the hole.
Status OverlayDevice::DiscardPages(uint64_t first_page, uint64_t page_count) {
  MutexLock lock(LockOf(first_page * kPageSize));
  const uint64_t freed = CountData(first_page, page_count);
  map_.Set(first_page, page_count, PageState::kZero);
  if (freed == 0) return Ok();
  data_pages_ -= freed;
  const auto begin = static_cast<off_t>(first_page * kPageSize);
  const auto bytes = static_cast<off_t>(page_count * kPageSize);
  // A file system without holes keeps the room; what is read is right.
  if (::fallocate(options_.data.get(),
                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin,
                  bytes) != 0 &&
      errno != EOPNOTSUPP)
    return ErrnoError(errno, "punch a hole into the overlay");
  return Ok();
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> OpenOverlayDevice(BlockDevice& image,
                                                       OverlayOptions options) {
  CHECK(options.key.size() == kXtsKeySize);
  ASSIGN_OR_RETURN(OverlayMap map, OverlayMap::Open(options.map, image.size(),
                                                    options.manifest_id));
  if (::ftruncate(options.data.get(), static_cast<off_t>(image.size())) != 0)
    return ErrnoError(errno, "size the overlay");
  return std::unique_ptr<BlockDevice>(std::make_unique<OverlayDevice>(
      image, std::move(options), std::move(map)));
}

}  // namespace morsel
