// SPDX-License-Identifier: Apache-2.0
// The memory in which a child receives its requests, and what it notes there
// about each, so that a successor can go on where a kill has stopped it. A
// memory file that the guard makes; each child maps it in turn.
//
//       0  header: the recorded INIT, and counters of the guard
//    4096  one mark of 128 bytes for each thread, then up to a whole page
//       …  one slot of kFuseSlotSize for each thread
//
// A thread reads into its own slot, which is resident and locked before: a kill
// during the kernel's copy would otherwise end the request with EIO and leave
// half of it here. So a slot holds a whole request or an older whole one. What
// changes the device is marked as executed after the change and before the
// reply; the mark names the request by its unique id, which never returns, so
// no mark is ever cleared, and kill -9 between any two instructions leaves a
// state that Held reads rightly.
//
// Thread safety: each mark and slot has one writing thread; the rest may run at
// once. Between processes: the guard counts deaths while no child lives.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace morsel {

// The largest read or write that the kernel may ask for, in bytes. The mount
// option max_read must be the same.
inline constexpr size_t kFuseMaxIo = 1 << 20;
// A slot holds a request (at most one page of headers before the bytes of a
// write), or the request's header and, from the second page on, its reply.
inline constexpr size_t kFuseSlotSize = kFuseMaxIo + 4096;

// What is known of the request in a slot.
struct alignas(64) FuseMark {
  std::atomic<uint64_t> begun;     // unique id of the last that was begun,
  std::atomic<uint32_t> opcode;    // and what it asks
  std::atomic<uint32_t> deaths;    // that `blamed` was in work at
  std::atomic<uint64_t> blamed;    // unique id
  std::atomic<int64_t> begun_ns;   // of the steady clock: by the last child
  std::atomic<int64_t> result;     // of `executed`: bytes, or -errno
  std::atomic<uint64_t> executed;  // the last that has changed the device
  std::atomic<uint64_t> answered;  // the last that is done with
  std::atomic<uint64_t> finished;  // how many were
  std::atomic<int64_t> first_begun_ns;  // by the first child that did
  std::atomic<uint64_t> begins;         // by all children, of all requests
  std::atomic<uint64_t> counted;        // of `begins`, at the last death
};
static_assert(sizeof(FuseMark) == 128);

// A request that a dead child has left unanswered.
struct HeldRequest {
  enum class Action {
    kDrop,     // nobody waits for an answer, or it means nothing any more
    kAnswer,   // executed: send `result` again
    kFail,     // it was in work at too many deaths: EIO
    kChange,   // writes, discards and flushes: execute, in the given order
    kExecute,  // anything else: execute, in any order
  };
  size_t slot = 0;
  uint64_t unique = 0;
  uint32_t opcode = 0;
  Action action = Action::kDrop;
  int64_t result = 0;
};

class FuseSlots {
 public:
  // A request in work at so many deaths is answered with EIO.
  static constexpr uint32_t kMaxDeathsOfRequest = 3;
  // So many deaths in a row with no request finished end the device.
  static constexpr uint64_t kMaxDeathsInARow = 5;

  enum class Part { kHeader, kWhole };

  // The size of the file.
  static uint64_t FileSize(size_t thread_count);
  // The guard maps the header and marks alone. kIo, kExhausted.
  static Result<FuseSlots> Map(int file, size_t thread_count, Part part);
  FuseSlots(FuseSlots&& other) noexcept;
  FuseSlots& operator=(FuseSlots&&) = delete;
  ~FuseSlots();

  size_t thread_count() const { return thread_count_; }
  FuseMark& mark(size_t thread) const;
  // Requires Part::kWhole.
  MutableByteSpan slot(size_t thread) const;

  // Whatever becomes resident stays so; header and marks are. kExhausted:
  // RLIMIT_MEMLOCK.
  Status LockInMemory();
  // Makes the thread's slot resident: before it reads its first request.
  // kIo, kExhausted: no memory; the thread may not read.
  Status MakeResident(size_t thread);

  // The thread begins the request in its slot, for the first time or again.
  void Begin(size_t thread, uint64_t unique, uint32_t opcode,
             std::chrono::steady_clock::time_point now);

  // The kernel sends its first request (INIT) once; successors are fed this
  // record. Recorded before it is answered.
  void RecordInit(ByteSpan request);
  // Empty if no child has received it yet.
  Bytes Init() const;
  // What the slots hold, by unique ids: the oldest first.
  std::vector<HeldRequest> Held() const;

  // Who guards. A twin may claim the place of a guard that has died; of two
  // that try, one is told true.
  void SetGuard(int64_t pid);
  bool ClaimGuard(int64_t dead, int64_t pid);

  // Processes of the agent that have died: for people.
  void AddDeath();
  uint64_t Deaths() const;

  // For block/overlay_device.h: how flushes of the overlay have ended.
  std::atomic<uint32_t>& overlay_flush() const;

  // A child says that it has taken everything over, at `now`.
  void SetServing(std::chrono::steady_clock::time_point now);
  void SetNotServing();
  bool IsServing() const;

  struct Death {
    bool killed = false;   // by SIGKILL, or nobody knows by what
    bool awaited = false;  // there are requests that nobody has received yet
    std::chrono::steady_clock::time_point now;
    // The device ends if no request was finished for so long.
    std::chrono::nanoseconds patience{};

    // A SIGKILL that comes sooner after a request was begun, or after the child
    // began to serve, says nothing against either: it came from outside. A
    // part of the patience, not a time in which a calm machine would have done
    // the work, as a busy one takes a hundred times as long.
    std::chrono::nanoseconds unsuspicious() const { return patience / 20; }
    // But a request that children have begun again and again for so long is
    // held to account however soon they are killed: what makes the kernel kill
    // them (a lack of memory, say) looks the same. Before the patience is over,
    // so that the request fails and not the device.
    std::chrono::nanoseconds suspicious() const { return patience / 2; }
  };
  // The guard counts the death of a child, before the next starts. False: the
  // device must end, or its users would wait for ever.
  bool CountDeath(const Death& death);

 private:
  struct Header;

  FuseSlots(std::byte* memory, size_t length, size_t thread_count)
      : memory_(memory), length_(length), thread_count_(thread_count) {}
  Header& header() const;
  Status Populate(size_t offset, size_t length);
  uint64_t CountFinished() const;
  std::optional<HeldRequest> HeldIn(size_t thread) const;
  void Blame(FuseMark& mark, const Death& death);

  std::byte* memory_;
  size_t length_;
  size_t thread_count_;
};

}  // namespace morsel
