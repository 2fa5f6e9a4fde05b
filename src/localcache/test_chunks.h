// SPDX-License-Identifier: Apache-2.0
// For tests of this folder: chunks whose bytes follow from a number, and a
// ChunkSource in memory that can be told to fail.
//
// Thread safety: MemoryOrigin is thread-safe; the functions keep no state.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>

#include "base/mutex.h"
#include "chunk/chunk_source.h"

namespace morsel {

// The value of a call that a test cannot do without.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) ADD_FAILURE() << result.error().message;
  return std::move(result).value();
}

struct TestChunk {
  ChunkRef ref;
  Bytes bytes;
};

// `pages` of 0: one to kPagesPerChunk of them, as the number says.
inline TestChunk MakeTestChunk(uint64_t number, uint32_t pages = 0) {
  std::mt19937_64 random(number);
  if (pages == 0) pages = static_cast<uint32_t>(random() % kPagesPerChunk) + 1;
  TestChunk chunk;
  chunk.bytes.resize(size_t{pages} * kPageSize);
  for (size_t at = 0; at < chunk.bytes.size(); at += 8)
    StoreLe<uint64_t>(chunk.bytes.data() + at, random());
  chunk.ref = {ChunkName(Sha256Of(chunk.bytes)), "r1",
               static_cast<uint32_t>(chunk.bytes.size())};
  return chunk;
}

inline Deadline In(std::chrono::milliseconds time) {
  return SystemClock().Now() + time;
}
inline Want WantAll(const TestChunk& chunk) {
  return {In(std::chrono::seconds(60)), Urgency::kDemand, 0,
          chunk.ref.stored_length};
}

class MemoryOrigin final : public ChunkSource {
 public:
  void Add(const TestChunk& chunk) {
    MutexLock lock(mutex_);
    chunks_[chunk.ref.root + "/" + chunk.ref.name.ToString()] = chunk.bytes;
  }
  // While shut, every Get waits.
  void SetOpen(bool open) {
    MutexLock lock(mutex_);
    open_ = open;
    changed_.NotifyAll();
  }
  // Returns when `count` reads have come since the beginning.
  void WaitForGets(int count) {
    MutexLock lock(mutex_);
    while (gets_ < count) changed_.Wait(mutex_);
  }
  int gets() {
    MutexLock lock(mutex_);
    return gets_;
  }
  int most_at_once() {
    MutexLock lock(mutex_);
    return most_at_once_;
  }
  // Answers with this error while it is set.
  void FailWith(std::optional<Error> error) {
    MutexLock lock(mutex_);
    error_ = std::move(error);
  }

  Result<ChunkView> Get(const ChunkRef& ref, const Want&) override {
    MutexLock lock(mutex_);
    ++gets_;
    most_at_once_ = std::max(most_at_once_, ++now_);
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mutex_);
    --now_;
    if (error_.has_value()) return *error_;
    const auto it = chunks_.find(ref.root + "/" + ref.name.ToString());
    if (it == chunks_.end())
      return MakeError(Code::kNotFound,
                       "chunk " + ref.name.Short() + " is not in the origin");
    return ChunkView::Owned(it->second);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Bytes> chunks_ GUARDED_BY(mutex_);
  std::optional<Error> error_ GUARDED_BY(mutex_);
  bool open_ GUARDED_BY(mutex_) = true;
  int gets_ GUARDED_BY(mutex_) = 0;
  int now_ GUARDED_BY(mutex_) = 0;
  int most_at_once_ GUARDED_BY(mutex_) = 0;
};

}  // namespace morsel
