// SPDX-License-Identifier: Apache-2.0
#include "store/trial_store.h"

#include <charconv>

#include "base/clock.h"

namespace morsel {
namespace {

template <typename T>
bool ParseAll(std::string_view text, T& value) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseOne(std::string_view word, Trial& trial) {
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? "" : word.substr(equals + 1);
  if (name == "down") {
    trial.is_down = true;
    return equals == std::string_view::npos;
  }
  if (name == "delay") {
    uint32_t milliseconds = 0;
    if (!ParseAll(value, milliseconds)) return false;
    trial.delay = std::chrono::milliseconds(milliseconds);
    return true;
  }
  return name == "flip" && ParseAll(value, trial.flip_part) &&
         trial.flip_part >= 0 && trial.flip_part <= 1;
}

}  // namespace

Result<Trial> Trial::Parse(std::string_view text) {
  Trial trial;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    if (!ParseOne(word, trial))
      return MakeError(Code::kInvalid,
                       "'" + std::string(word) +
                           "' is no trial: down, delay=MS or flip=PART");
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return trial;
}

void TrialStore::Set(const Trial& trial) {
  MutexLock lock(mutex_);
  trial_ = trial;
}

Status TrialStore::Before(const StoreCall&) {
  MutexLock lock(mutex_);
  const Trial trial = trial_;
  const Deadline until = SystemClock().Now() + trial.delay;
  while (SystemClock().Now() < until) (void)never_.WaitUntil(mutex_, until);
  if (trial.is_down)
    return MakeError(Code::kUnavailable,
                     "the origin is down (a trial: see the settings)");
  return Ok();
}

Result<ObjectData> TrialStore::Get(std::string_view key, uint64_t offset,
                                   uint64_t limit_bytes) {
  auto data = FilterStore::Get(key, offset, limit_bytes);
  MutexLock lock(mutex_);
  if (!data.ok() || data->bytes.empty() || trial_.flip_part == 0) return data;
  if (std::uniform_real_distribution<double>(0, 1)(random_) < trial_.flip_part)
    data->bytes[random_() % data->bytes.size()] ^= std::byte{1};
  return data;
}

}  // namespace morsel
