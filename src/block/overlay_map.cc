// SPDX-License-Identifier: Apache-2.0
#include "block/overlay_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "chunk/name.h"

namespace morsel {
namespace {

constexpr std::string_view kMagic = "MORSELOV";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kDurableFlag = 1;
constexpr size_t kHeaderSize = kPageSize;
// Offsets in the header.
constexpr size_t kVersionAt = 8;
constexpr size_t kFlagsAt = 12;
constexpr size_t kSizeAt = 16;
constexpr size_t kManifestAt = 24;
constexpr size_t kManifestLength = 64;
constexpr size_t kBootAt = 88;
constexpr size_t kBootLength = 40;  // a UUID and zeros
constexpr size_t kHolesAt = 128;
static_assert(kManifestAt + kManifestLength == kBootAt &&
              kBootAt + kBootLength <= kHolesAt &&
              kHolesAt + OverlayMap::kHoleNotes * 8 <= kHeaderSize);

constexpr uint64_t kBitsPerPage = 2;
constexpr uint64_t kPageMask = (1 << kBitsPerPage) - 1;
// The low bit of each page of a word.
constexpr uint64_t kLowBits = 0x5555555555555555;

uint64_t MapBytes(uint64_t page_count) {
  const uint64_t words = RoundUp(page_count, OverlayMap::kPagesPerGroup) /
                         OverlayMap::kPagesPerGroup;
  return RoundUp(words * sizeof(uint64_t), kPageSize);
}

std::string TextAt(ByteSpan header, size_t at, size_t length) {
  const std::string text(AsText(header.subspan(at, length)));
  return text.substr(0, text.find('\0'));
}

void StoreText(MutableByteSpan header, size_t at, std::string_view text) {
  std::ranges::copy(AsBytes(text), header.begin() + at);
}

}  // namespace

OverlayMap::OverlayMap(Fd file, const OverlayMapOptions& options)
    : file_(std::move(file)),
      options_(options),
      map_bytes_(MapBytes(options.virtual_size / kPageSize)),
      changed_(RoundUp(map_bytes_ / kPageSize, 64) / 64) {
  CHECK(options.manifest_id.size() <= kManifestLength);
  CHECK(options.boot_id.size() <= kBootLength);
}

OverlayMap::~OverlayMap() {
  if (memory_ != nullptr) ::munmap(memory_, kHeaderSize + map_bytes_);
}

Result<std::unique_ptr<OverlayMap>> OverlayMap::Open(
    Fd file, const OverlayMapOptions& options) {
  // The constructor is private, so std::make_unique cannot call it.
  std::unique_ptr<OverlayMap> map(new OverlayMap(std::move(file), options));
  Bytes header(kHeaderSize);
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(map->file_.get()));
  if (size >= kHeaderSize)
    RETURN_IF_ERROR(ReadFullAt(map->file_.get(), 0, header));
  // The header is written last: without one the map was never used.
  if (IsZero(header)) {
    RETURN_IF_ERROR_AS(map->Create(), "make the overlay's map");
    RETURN_IF_ERROR(map->MapWorking());
    return map;
  }
  RETURN_IF_ERROR_AS(map->CheckHeader(header), "the overlay's map");
  const uint64_t maps = options.durable ? 2 : 1;
  if (size != kHeaderSize + maps * map->map_bytes_)
    return MakeError(Code::kCorrupt, "the overlay's map has " +
                                         std::to_string(size) + " bytes");
  RETURN_IF_ERROR(map->MapWorking());
  if (options.durable) RETURN_IF_ERROR(map->AdoptBoot(header));
  RETURN_IF_ERROR(map->CheckWords());
  return map;
}

Status OverlayMap::Create() {
  const uint64_t maps = options_.durable ? 2 : 1;
  const auto size = static_cast<off_t>(kHeaderSize + maps * map_bytes_);
  if (::ftruncate(file_.get(), size) != 0)
    return ErrnoError(errno, "set its size");
  // A mapped page without room on the disk would be SIGBUS.
  if (const int reason = ::posix_fallocate(file_.get(), 0, size); reason != 0)
    return ErrnoError(reason, "allocate " + std::to_string(size) + " bytes");
  return WriteHeader();
}

Status OverlayMap::WriteHeader() {
  // Holes to be punched stay noted. What the header stands for is on disk
  // before it.
  if (options_.durable && ::fsync(file_.get()) != 0)
    return ErrnoError(errno, "fsync the overlay's map");
  Bytes header(kHolesAt);
  StoreText(header, 0, kMagic);
  StoreLe<uint32_t>(&header[kVersionAt], kVersion);
  StoreLe<uint32_t>(&header[kFlagsAt], options_.durable ? kDurableFlag : 0);
  StoreLe<uint64_t>(&header[kSizeAt], options_.virtual_size);
  StoreText(header, kManifestAt, options_.manifest_id);
  StoreText(header, kBootAt, options_.boot_id);
  RETURN_IF_ERROR(WriteFullAt(file_.get(), 0, header));
  if (options_.durable && ::fsync(file_.get()) != 0)
    return ErrnoError(errno, "fsync the overlay's map");
  return Ok();
}

Status OverlayMap::CheckHeader(ByteSpan header) const {
  if (TextAt(header, 0, kMagic.size()) != kMagic)
    return MakeError(Code::kCorrupt, "it is none");
  const auto version = LoadLe<uint32_t>(&header[kVersionAt]);
  if (version != kVersion)
    return MakeError(Code::kInvalid,
                     "it has version " + std::to_string(version) +
                         ", known is " + std::to_string(kVersion));
  const std::string manifest = TextAt(header, kManifestAt, kManifestLength);
  if (manifest != options_.manifest_id)
    return MakeError(Code::kInvalid,
                     "it belongs to another image, of manifest " + manifest +
                         "; choose another overlay name");
  const bool durable = LoadLe<uint32_t>(&header[kFlagsAt]) == kDurableFlag;
  if (durable != options_.durable ||
      LoadLe<uint64_t>(&header[kSizeAt]) != options_.virtual_size)
    return MakeError(Code::kInvalid, "it is of a device of another kind");
  return Ok();
}

Status OverlayMap::MapWorking() {
  memory_ = ::mmap(nullptr, kHeaderSize + map_bytes_, PROT_READ | PROT_WRITE,
                   MAP_SHARED, file_.get(), 0);
  if (memory_ == MAP_FAILED) {
    const int reason = errno;
    memory_ = nullptr;
    return ErrnoError(reason, "map the overlay's map");
  }
  static_assert(sizeof(Word) == 8 && Word::is_always_lock_free);
  auto* const begin = static_cast<std::byte*>(memory_);
  holes_ = reinterpret_cast<Word*>(begin + kHolesAt);
  words_ = reinterpret_cast<Word*>(begin + kHeaderSize);
  return Ok();
}

// Three is no state.
Status OverlayMap::CheckWords() const {
  for (uint64_t i = 0; i < map_bytes_ / 8; ++i) {
    const uint64_t word = words_[i].load(std::memory_order_relaxed);
    if ((word & (word >> 1) & kLowBits) != 0)
      return MakeError(Code::kCorrupt, "the overlay's map is damaged in word " +
                                           std::to_string(i));
  }
  return Ok();
}

// Copying first and naming the boot afterwards can be repeated.
Status OverlayMap::AdoptBoot(ByteSpan header) {
  if (TextAt(header, kBootAt, kBootLength) == options_.boot_id) {
    // What the last holder wrote under this boot may not be published yet.
    for (Word& word : changed_) word.store(~uint64_t{0});
    return Ok();
  }
  Bytes durable(map_bytes_);
  RETURN_IF_ERROR(ReadFullAt(file_.get(), kHeaderSize + map_bytes_, durable));
  for (uint64_t i = 0; i < map_bytes_ / 8; ++i)
    words_[i].store(LoadLe<uint64_t>(&durable[i * 8]),
                    std::memory_order_relaxed);
  return WriteHeader();
}

PageState OverlayMap::Get(uint64_t page) const {
  const uint64_t word =
      words_[page / kPagesPerGroup].load(std::memory_order_acquire);
  return static_cast<PageState>(
      (word >> (page % kPagesPerGroup * kBitsPerPage)) & kPageMask);
}

uint64_t OverlayMap::RunLength(uint64_t page, PageState state,
                               uint64_t limit) const {
  const uint64_t pattern = kLowBits * static_cast<uint64_t>(state);
  uint64_t length = 0;
  while (length < limit) {
    const uint64_t at = page + length;
    const uint64_t shift = at % kPagesPerGroup * kBitsPerPage;
    const uint64_t word =
        words_[at / kPagesPerGroup].load(std::memory_order_acquire);
    const uint64_t differ = (word ^ pattern) >> shift;
    if (differ != 0) {
      length += static_cast<uint64_t>(std::countr_zero(differ)) / kBitsPerPage;
      break;
    }
    length += kPagesPerGroup - at % kPagesPerGroup;
  }
  return std::min(length, limit);
}

void OverlayMap::Set(uint64_t first, uint64_t count, PageState state) {
  const uint64_t group = first / kPagesPerGroup;
  CHECK(count > 0 && (first + count - 1) / kPagesPerGroup == group);
  const uint64_t shift = first % kPagesPerGroup * kBitsPerPage;
  const uint64_t mask = (~uint64_t{0} >> (64 - count * kBitsPerPage)) << shift;
  const uint64_t bits = kLowBits * static_cast<uint64_t>(state) & mask;
  Word& word = words_[group];
  const uint64_t before = word.load(std::memory_order_relaxed);
  const uint64_t after = (before & ~mask) | bits;
  if (after == before) return;
  word.store(after, std::memory_order_release);
  const uint64_t map_page = group * 8 / kPageSize;
  changed_[map_page / 64].fetch_or(uint64_t{1} << map_page % 64,
                                   std::memory_order_release);
}

uint64_t OverlayMap::CountData() const {
  uint64_t count = 0;
  for (uint64_t i = 0; i < map_bytes_ / 8; ++i)
    count += static_cast<uint64_t>(
        std::popcount(words_[i].load(std::memory_order_relaxed) & kLowBits));
  return count;
}

void OverlayMap::NoteHole(size_t user, uint64_t group) {
  CHECK(user < kHoleNotes);
  holes_[user].store(group + 1, std::memory_order_release);
}

void OverlayMap::ForgetHole(size_t user) {
  CHECK(user < kHoleNotes);
  holes_[user].store(0, std::memory_order_release);
}

std::optional<uint64_t> OverlayMap::NotedHole(size_t user) const {
  CHECK(user < kHoleNotes);
  const uint64_t noted = holes_[user].load(std::memory_order_acquire);
  const uint64_t pages = options_.virtual_size / kPageSize;
  if (noted == 0 ||
      (noted - 1) >= RoundUp(pages, kPagesPerGroup) / kPagesPerGroup)
    return std::nullopt;
  return noted - 1;
}

OverlayMap::Changes OverlayMap::Snapshot() {
  Changes changes;
  if (!options_.durable) return changes;
  for (uint64_t i = 0; i < map_bytes_ / kPageSize; ++i) {
    const uint64_t bit = uint64_t{1} << i % 64;
    const uint64_t before =
        changed_[i / 64].fetch_and(~bit, std::memory_order_acquire);
    if ((before & bit) == 0) continue;
    Bytes part(kPageSize);
    for (uint64_t at = 0; at < kPageSize; at += 8)
      StoreLe(&part[at],
              words_[(i * kPageSize + at) / 8].load(std::memory_order_acquire));
    changes.emplace_back(i * kPageSize, std::move(part));
  }
  return changes;
}

Status OverlayMap::Publish(const Changes& changes) {
  if (changes.empty()) return Ok();
  for (const auto& [offset, bytes] : changes)
    RETURN_IF_ERROR(
        WriteFullAt(file_.get(), kHeaderSize + map_bytes_ + offset, bytes));
  if (::fdatasync(file_.get()) != 0)
    return ErrnoError(errno, "fdatasync the overlay's map");
  return Ok();
}

}  // namespace morsel
