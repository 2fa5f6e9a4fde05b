// SPDX-License-Identifier: Apache-2.0
#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/bytes.h"

namespace morsel {
namespace {

constexpr int64_t kRedrawMs = 100;
constexpr size_t kBarCells = 24;

int64_t MillisecondsSince(std::chrono::steady_clock::time_point begun,
                          Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.Now() -
                                                               begun)
      .count();
}

std::string Bar(uint64_t done, uint64_t total) {
  if (total == 0) return "";
  const size_t full = std::min<uint64_t>(kBarCells, done * kBarCells / total);
  return "[" + std::string(full, '=') + std::string(kBarCells - full, ' ') +
         "] ";
}

}  // namespace

void Progress::Begin(std::string phase, uint64_t total_bytes) {
  End();
  phase_ = std::move(phase);
  total_bytes_ = total_bytes;
  done_bytes_ = 0;
  next_draw_ms_ = 0;
  begun_ = clock_.Now();
  if (enabled_) Draw();
}

void Progress::Add(uint64_t byte_count) {
  done_bytes_ += byte_count;
  if (!enabled_) return;
  const int64_t now_ms = MillisecondsSince(begun_, clock_);
  int64_t due_ms = next_draw_ms_.load();
  if (now_ms < due_ms) return;
  // One of the threads that find it due draws it.
  if (next_draw_ms_.compare_exchange_strong(due_ms, now_ms + kRedrawMs)) Draw();
}

void Progress::End() {
  if (phase_.empty()) return;
  if (enabled_) {
    Draw();
    std::fputc('\n', stderr);
  }
  phase_.clear();
}

void Progress::Draw() {
  const uint64_t done = done_bytes_;
  const double seconds =
      static_cast<double>(MillisecondsSince(begun_, clock_)) / 1000.0;
  const double rate =
      seconds > 0.05 ? static_cast<double>(done) / seconds : 0.0;
  std::string text = phase_ + " ";
  // Of what another program does, only that it goes on is known.
  if (done != 0 || total_bytes_ != 0)
    text += Bar(done, total_bytes_) + HumanSize(done);
  if (total_bytes_ != 0) text += " of " + HumanSize(total_bytes_);
  if (rate > 0) text += "  " + HumanSize(static_cast<uint64_t>(rate)) + "/s";
  if (rate > 0 && total_bytes_ > done) {
    std::array<char, 32> eta;
    std::snprintf(eta.data(), eta.size(), "  %.0f s left",
                  static_cast<double>(total_bytes_ - done) / rate);
    text += eta.data();
  }
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
}

bool StderrIsTerminal() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace morsel
