// SPDX-License-Identifier: Apache-2.0
#include "oci/read_ahead.h"

#include <array>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace morsel {
namespace {

constexpr size_t kPieces = 8;

class ReadAheadSource final : public ByteSource {
 public:
  explicit ReadAheadSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)), thread_([this] { Fill(); }) {}

  ~ReadAheadSource() override {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }

  Result<ByteSpan> Read() override {
    MutexLock lock(mutex_);
    // The piece that the caller had is free again.
    if (std::exchange(lent_, false)) {
      ++taken_;
      changed_.NotifyAll();
    }
    while (filled_ == taken_ && !ended_) changed_.Wait(mutex_);
    if (filled_ == taken_) {
      if (!status_.ok()) return status_.error();
      return ByteSpan();
    }
    lent_ = true;
    return ByteSpan(pieces_[taken_ % kPieces]);
  }

 private:
  void Fill() {
    while (true) {
      const Result<ByteSpan> piece = inner_->Read();
      const bool last = !piece.ok() || piece->empty();
      if (last) {
        MutexLock lock(mutex_);
        ended_ = true;
        if (!piece.ok()) status_ = piece.error();
        changed_.NotifyAll();
        return;
      }
      if (!WaitForRoom()) return;
      // Outside the lock: this slot belongs to this thread until it is filled.
      pieces_[next_fill_ % kPieces].assign(piece->begin(), piece->end());
      ++next_fill_;
      MutexLock lock(mutex_);
      filled_ = next_fill_;
      changed_.NotifyAll();
    }
  }

  // False if the reader went away.
  bool WaitForRoom() {
    MutexLock lock(mutex_);
    while (!stop_ && filled_ - taken_ == kPieces) changed_.Wait(mutex_);
    return !stop_;
  }

  std::unique_ptr<ByteSource> inner_;
  std::array<Bytes, kPieces> pieces_;
  uint64_t next_fill_ = 0;  // of the filling thread
  Mutex mutex_;
  CondVar changed_;
  uint64_t filled_ GUARDED_BY(mutex_) = 0;  // pieces ever filled
  uint64_t taken_ GUARDED_BY(mutex_) = 0;   // pieces ever given back
  bool lent_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  Status status_ GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the others
};

}  // namespace

std::unique_ptr<ByteSource> ReadAhead(std::unique_ptr<ByteSource> inner) {
  return std::make_unique<ReadAheadSource>(std::move(inner));
}

}  // namespace morsel
