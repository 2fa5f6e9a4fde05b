// SPDX-License-Identifier: Apache-2.0
#include "block/overlay_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "chunk/name.h"

namespace morsel {
namespace {

constexpr std::string_view kMagic = "MORSELOV";
constexpr uint32_t kVersion = 1;
constexpr size_t kVersionOffset = 8;
constexpr size_t kSizeOffset = 16;
constexpr size_t kManifestOffset = 24;
constexpr size_t kManifestLength = 64;
constexpr size_t kHeaderSize = kPageSize;
constexpr uint64_t kPagesPerByte = 4;
constexpr unsigned kStateMask = 3;

static_assert(OverlayMap::kPagesPerGroup % kPagesPerByte == 0);

unsigned ShiftOf(uint64_t page) {
  return static_cast<unsigned>(page % kPagesPerByte) * 2;
}

Status WriteHeader(const Fd& file, uint64_t length, uint64_t device_size,
                   const std::string& manifest_id) {
  // Allocated now, so that a full disk cannot stop an update of the map.
  if (const int reason =
          ::posix_fallocate(file.get(), 0, static_cast<off_t>(length));
      reason != 0)
    return ErrnoError(reason, "allocate the overlay's map");
  Bytes header(kHeaderSize);
  std::ranges::copy(AsBytes(kMagic), header.begin());
  StoreLe<uint32_t>(&header[kVersionOffset], kVersion);
  StoreLe<uint64_t>(&header[kSizeOffset], device_size);
  CHECK(manifest_id.size() <= kManifestLength);
  std::ranges::copy(AsBytes(manifest_id), header.begin() + kManifestOffset);
  return WriteFullAt(file.get(), 0, header);
}

Status CheckHeader(const Fd& file, uint64_t device_size,
                   const std::string& manifest_id) {
  Bytes header(kHeaderSize);
  RETURN_IF_ERROR_AS(ReadFullAt(file.get(), 0, header), "the overlay's map");
  if (AsText(ByteSpan(header).first(kMagic.size())) != kMagic ||
      LoadLe<uint32_t>(&header[kVersionOffset]) != kVersion)
    return MakeError(Code::kCorrupt,
                     "the overlay's map is none, or of another version");
  const std::string_view field =
      AsText(ByteSpan(header).subspan(kManifestOffset, kManifestLength));
  const std::string_view id =
      field.substr(0, std::min(field.find('\0'), field.size()));
  if (LoadLe<uint64_t>(&header[kSizeOffset]) != device_size ||
      id != manifest_id)
    return MakeError(Code::kInvalid,
                     "the overlay belongs to another image (manifest " +
                         std::string(id.substr(0, 12)) +
                         "); choose another overlay name");
  return Ok();
}

}  // namespace

Result<OverlayMap> OverlayMap::Open(const Fd& file, uint64_t device_size,
                                    const std::string& manifest_id) {
  const uint64_t page_count = device_size / kPageSize;
  const uint64_t length =
      kHeaderSize + RoundUp(page_count, kPagesPerGroup) / kPagesPerByte;
  ASSIGN_OR_RETURN(const uint64_t old_length, FileSize(file.get()));
  if (old_length == 0)
    RETURN_IF_ERROR(WriteHeader(file, length, device_size, manifest_id));
  RETURN_IF_ERROR(CheckHeader(file, device_size, manifest_id));
  ASSIGN_OR_RETURN(const uint64_t now_length, FileSize(file.get()));
  if (now_length != length)
    return MakeError(Code::kCorrupt, "the overlay's map is cut short");
  void* const memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                              MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map the overlay's map");
  return OverlayMap(static_cast<uint8_t*>(memory), length, page_count);
}

OverlayMap::OverlayMap(OverlayMap&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      length_(other.length_),
      page_count_(other.page_count_) {}

OverlayMap::~OverlayMap() {
  if (memory_ != nullptr) ::munmap(memory_, length_);
}

PageState OverlayMap::Get(uint64_t page) const {
  uint8_t& byte = memory_[kHeaderSize + page / kPagesPerByte];
  const unsigned bits =
      std::atomic_ref<uint8_t>(byte).load(std::memory_order_acquire);
  return static_cast<PageState>((bits >> ShiftOf(page)) & kStateMask);
}

void OverlayMap::Set(uint64_t first_page, uint64_t page_count,
                     PageState state) {
  CHECK(first_page + page_count <= page_count_);
  for (uint64_t page = first_page; page < first_page + page_count; ++page) {
    std::atomic_ref<uint8_t> byte(memory_[kHeaderSize + page / kPagesPerByte]);
    const unsigned shift = ShiftOf(page);
    const unsigned bits = byte.load(std::memory_order_relaxed);
    const unsigned changed =
        (bits & ~(kStateMask << shift)) | static_cast<unsigned>(state) << shift;
    byte.store(static_cast<uint8_t>(changed), std::memory_order_release);
  }
}

bool OverlayMap::IsAllImage(uint64_t first_page, uint64_t page_count) const {
  for (uint64_t page = first_page; page < first_page + page_count; ++page)
    if (Get(page) != PageState::kImage) return false;
  return true;
}

uint64_t OverlayMap::Count(PageState state) const {
  uint64_t count = 0;
  for (uint64_t page = 0; page < page_count_; ++page) {
    // A byte of zeros, four pages of the image, is the rule.
    if (state != PageState::kImage && page % kPagesPerByte == 0 &&
        memory_[kHeaderSize + page / kPagesPerByte] == 0) {
      page += kPagesPerByte - 1;
      continue;
    }
    count += Get(page) == state ? 1 : 0;
  }
  return count;
}

}  // namespace morsel
