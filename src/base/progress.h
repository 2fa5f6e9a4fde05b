// SPDX-License-Identifier: Apache-2.0
// Progress of long work: a bar with rate and remaining time on standard error
// when that is a terminal, nothing otherwise.
//
// Thread safety: Add is thread-safe; the rest is the owner's.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/clock.h"

namespace morsel {

class Progress {
 public:
  // `enabled` says whether anything is drawn at all: a terminal and no -q.
  Progress(Clock& clock, bool enabled) : clock_(clock), enabled_(enabled) {}
  ~Progress() { End(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Begins a phase of `total_bytes` (0: unknown) and draws its bar.
  void Begin(std::string phase, uint64_t total_bytes);
  void Add(uint64_t byte_count);
  // Ends the phase: draws its last state and starts a new line.
  void End();

 private:
  void Draw();

  Clock& clock_;
  const bool enabled_;
  std::string phase_;
  uint64_t total_bytes_ = 0;
  std::atomic<uint64_t> done_bytes_{0};
  std::atomic<int64_t> next_draw_ms_{0};
  std::chrono::steady_clock::time_point begun_{};
};

// True if standard error is a terminal.
bool StderrIsTerminal();

}  // namespace morsel
