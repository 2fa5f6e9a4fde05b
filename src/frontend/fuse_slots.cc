// SPDX-License-Identifier: Apache-2.0
#include "frontend/fuse_slots.h"

#include <linux/fuse.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace morsel {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMaxInit = 1024;

int64_t Nanoseconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

size_t HeaderLength(size_t thread_count) {
  return kPage + RoundUp(thread_count * sizeof(FuseMark), kPage);
}

bool ChangesTheDevice(uint32_t opcode) {
  return opcode == FUSE_WRITE || opcode == FUSE_FALLOCATE ||
         opcode == FUSE_FSYNC || opcode == FUSE_FLUSH;
}

bool IsDropped(uint32_t opcode) {
  return opcode == FUSE_INIT || opcode == FUSE_FORGET ||
         opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

fuse_in_header HeaderOf(ByteSpan slot) {
  fuse_in_header header;
  std::memcpy(&header, slot.data(), sizeof(header));
  return header;
}

}  // namespace

// A new file is all zeros, and so is this.
struct FuseSlots::Header {
  std::atomic<uint32_t> init_length;
  std::atomic<uint32_t> overlay_flush;
  std::atomic<int64_t> serving_ns;  // since when; 0: not yet
  std::atomic<int64_t> guard;       // process id
  std::atomic<uint64_t> deaths;
  std::atomic<uint64_t> deaths_in_a_row;
  std::atomic<uint64_t> finished;  // by all, when a death was last counted
  // Since when deaths come with no request finished between them; 0: they do
  // not.
  std::atomic<int64_t> stalled_ns;
  std::array<std::byte, kMaxInit> init;
};

uint64_t FuseSlots::FileSize(size_t thread_count) {
  return HeaderLength(thread_count) + thread_count * kFuseSlotSize;
}

Result<FuseSlots> FuseSlots::Map(int file, size_t thread_count, Part part) {
  static_assert(sizeof(Header) <= kPage);
  const size_t length = part == Part::kWhole ? FileSize(thread_count)
                                             : HeaderLength(thread_count);
  void* const memory =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
    return ErrnoError(errno, "map the memory of requests");
  return FuseSlots(static_cast<std::byte*>(memory), length, thread_count);
}

FuseSlots::FuseSlots(FuseSlots&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      length_(other.length_),
      thread_count_(other.thread_count_) {}

FuseSlots::~FuseSlots() {
  if (memory_ != nullptr) ::munmap(memory_, length_);
}

FuseSlots::Header& FuseSlots::header() const {
  return *reinterpret_cast<Header*>(memory_);
}

FuseMark& FuseSlots::mark(size_t thread) const {
  CHECK(thread < thread_count_);
  return reinterpret_cast<FuseMark*>(memory_ + kPage)[thread];
}

MutableByteSpan FuseSlots::slot(size_t thread) const {
  CHECK(thread < thread_count_ && length_ == FileSize(thread_count_));
  return {memory_ + HeaderLength(thread_count_) + thread * kFuseSlotSize,
          kFuseSlotSize};
}

Status FuseSlots::LockInMemory() {
  // On fault, as to make all of it resident would be a quarter of an attach.
  if (::mlock2(memory_, length_, MLOCK_ONFAULT) == 0)
    return Populate(0, HeaderLength(thread_count_));
  const int reason = errno;
  if (reason == ENOMEM || reason == EPERM || reason == EAGAIN)
    return MakeError(Code::kExhausted,
                     "the memory of requests cannot be locked: it takes " +
                         HumanSize(length_) +
                         "; raise RLIMIT_MEMLOCK or lower agent.threads");
  return ErrnoError(reason, "lock the memory of requests");
}

Status FuseSlots::MakeResident(size_t thread) {
  return Populate(static_cast<size_t>(slot(thread).data() - memory_),
                  kFuseSlotSize);
}

Status FuseSlots::Populate(size_t offset, size_t length) {
  if (::madvise(memory_ + offset, length, MADV_POPULATE_WRITE) != 0)
    return ErrnoError(errno, "make the memory of requests resident");
  return Ok();
}

void FuseSlots::Begin(size_t thread, uint64_t unique, uint32_t opcode,
                      std::chrono::steady_clock::time_point now) {
  FuseMark& m = mark(thread);
  const int64_t now_ns = Nanoseconds(now);
  if (m.begun.load(std::memory_order_relaxed) != unique)
    m.first_begun_ns.store(now_ns, std::memory_order_relaxed);
  m.begun_ns.store(now_ns, std::memory_order_relaxed);
  m.opcode.store(opcode, std::memory_order_relaxed);
  m.begun.store(unique, std::memory_order_release);
  m.begins.store(m.begins.load(std::memory_order_relaxed) + 1,
                 std::memory_order_release);
}

void FuseSlots::RecordInit(ByteSpan request) {
  CHECK(request.size() <= kMaxInit);
  std::ranges::copy(request, header().init.begin());
  header().init_length.store(static_cast<uint32_t>(request.size()),
                             std::memory_order_release);
}

Bytes FuseSlots::Init() const {
  const uint32_t length = header().init_length.load(std::memory_order_acquire);
  const ByteSpan recorded(header().init);
  if (length != 0 && length <= kMaxInit)
    return Bytes(recorded.begin(), recorded.begin() + length);
  // Whoever received it may have died before he recorded it.
  const ByteSpan first = slot(0);
  const fuse_in_header request = HeaderOf(first);
  if (request.opcode != FUSE_INIT || request.len < sizeof(request) ||
      request.len > kMaxInit)
    return {};
  return Bytes(first.begin(), first.begin() + request.len);
}

std::optional<HeldRequest> FuseSlots::HeldIn(size_t thread) const {
  const fuse_in_header request = HeaderOf(slot(thread));
  const FuseMark& m = mark(thread);
  if (request.len < sizeof(request) || request.len > kFuseSlotSize ||
      m.answered.load() == request.unique)
    return std::nullopt;
  HeldRequest held{.slot = thread,
                   .unique = request.unique,
                   .opcode = request.opcode,
                   .action = HeldRequest::Action::kExecute,
                   .result = 0};
  if (IsDropped(request.opcode)) {
    held.action = HeldRequest::Action::kDrop;
  } else if (m.executed.load() == request.unique) {
    held.action = HeldRequest::Action::kAnswer;
    held.result = m.result.load();
  } else if (m.blamed.load() == request.unique &&
             m.deaths.load() >= kMaxDeathsOfRequest) {
    held.action = HeldRequest::Action::kFail;
  } else if (ChangesTheDevice(request.opcode)) {
    held.action = HeldRequest::Action::kChange;
  }
  return held;
}

std::vector<HeldRequest> FuseSlots::Held() const {
  std::vector<HeldRequest> all;
  for (size_t i = 0; i < thread_count_; ++i)
    if (const auto held = HeldIn(i)) all.push_back(*held);
  std::ranges::sort(all, {}, &HeldRequest::unique);
  return all;
}

void FuseSlots::SetGuard(int64_t pid) { header().guard.store(pid); }

bool FuseSlots::ClaimGuard(int64_t dead, int64_t pid) {
  return header().guard.compare_exchange_strong(dead, pid);
}

void FuseSlots::AddDeath() { header().deaths.fetch_add(1); }

uint64_t FuseSlots::Deaths() const { return header().deaths.load(); }

std::atomic<uint32_t>& FuseSlots::overlay_flush() const {
  return header().overlay_flush;
}

void FuseSlots::SetServing(std::chrono::steady_clock::time_point now) {
  header().serving_ns.store(Nanoseconds(now));
}

void FuseSlots::SetNotServing() { header().serving_ns.store(0); }

bool FuseSlots::IsServing() const { return header().serving_ns.load() != 0; }

uint64_t FuseSlots::CountFinished() const {
  uint64_t count = 0;
  for (size_t i = 0; i < thread_count_; ++i) count += mark(i).finished.load();
  return count;
}

void FuseSlots::Blame(FuseMark& mark, const Death& death) {
  const uint64_t unique = mark.begun.load();
  // A child that died before it came to the request did not die of it.
  const uint64_t begins = mark.begins.load();
  const bool was_begun = mark.counted.exchange(begins) != begins;
  if (unique == mark.answered.load() || !was_begun) return;
  const int64_t now = Nanoseconds(death.now);
  const std::chrono::nanoseconds age(now - mark.begun_ns.load());
  const std::chrono::nanoseconds whole_age(now - mark.first_begun_ns.load());
  if (death.killed && age < death.unsuspicious() &&
      whole_age < death.suspicious())
    return;
  if (mark.blamed.load() != unique) {
    mark.deaths.store(0);
    mark.blamed.store(unique);
  }
  mark.deaths.fetch_add(1);
}

bool FuseSlots::CountDeath(const Death& death) {
  bool awaited = death.awaited;
  for (size_t i = 0; i < thread_count_; ++i) {
    FuseMark& m = mark(i);
    awaited = awaited || m.begun.load() != m.answered.load();
    Blame(m, death);
  }
  Header& counts = header();
  const uint64_t finished = CountFinished();
  const bool progress = counts.finished.exchange(finished) != finished;
  const int64_t now = Nanoseconds(death.now);
  const int64_t serving_ns = counts.serving_ns.exchange(0);
  const std::chrono::nanoseconds served(serving_ns == 0 ? 0 : now - serving_ns);
  // Nobody who waits: nobody who could wait for ever. But a child that cannot
  // even start, by its own fault, would be started again and again.
  if (progress || (death.killed && !awaited)) {
    counts.deaths_in_a_row.store(0);
    counts.stalled_ns.store(0);
    return true;
  }
  if (counts.stalled_ns.load() == 0) counts.stalled_ns.store(now);
  if (death.killed && served < death.unsuspicious())
    return now - counts.stalled_ns.load() < death.patience.count();
  return counts.deaths_in_a_row.fetch_add(1) + 1 < kMaxDeathsInARow;
}

}  // namespace morsel
