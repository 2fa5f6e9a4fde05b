// SPDX-License-Identifier: Apache-2.0
#include "zonecache/output_queue.h"

#include "base/check.h"

namespace morsel {
namespace {

// Longer texts are begun anew, so that what is sent is freed.
constexpr size_t kTextSegment = 4096;

ByteSpan SpanOf(const std::variant<std::string, SharedBytes>& segment) {
  if (const auto* text = std::get_if<std::string>(&segment))
    return AsBytes(*text);
  return std::get<SharedBytes>(segment).span();
}

}  // namespace

void OutputQueue::AddText(std::string_view text) {
  byte_count_ += text.size();
  if (!segments_.empty()) {
    auto* last = std::get_if<std::string>(&segments_.back());
    if (last != nullptr && last->size() + text.size() <= kTextSegment) {
      *last += text;
      return;
    }
  }
  segments_.emplace_back(std::string(text));
}

void OutputQueue::AddValue(SharedBytes value) {
  if (value.size() == 0) return;
  byte_count_ += value.size();
  segments_.emplace_back(std::move(value));
}

size_t OutputQueue::Gather(std::span<iovec> parts) const {
  size_t count = 0;
  for (const Segment& segment : segments_) {
    if (count == parts.size()) break;
    const ByteSpan bytes = SpanOf(segment).subspan(count == 0 ? sent_ : 0);
    parts[count++] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  }
  return count;
}

void OutputQueue::Sent(size_t count) {
  CHECK(count <= byte_count_);
  byte_count_ -= count;
  while (!segments_.empty()) {
    const size_t left = SpanOf(segments_.front()).size() - sent_;
    if (count < left) break;
    count -= left;
    segments_.pop_front();
    sent_ = 0;
  }
  sent_ += count;
}

}  // namespace morsel
