// SPDX-License-Identifier: Apache-2.0
#include "zonecache/memcache_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace morsel {
namespace {

constexpr size_t kFirstBuffer = 4 * kKiB;
// Room that a read finds at least, as long as lines may grow.
constexpr size_t kLeastRoom = 2 * kKiB;
constexpr uint64_t kValueEnd = 2;

}  // namespace

std::array<iovec, 2> MemcacheSession::Room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (in_.size() - end_ < kLeastRoom) {
    if (begin_ > 0) {
      std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (in_.size() - end_ < kLeastRoom)
      in_.resize(std::max(kFirstBuffer, in_.size() * 2));
  }
  iovec value{nullptr, 0};
  if (expect_ == Expect::kValue) {
    const MutableByteSpan left = value_.span().subspan(filled_);
    value = {left.data(), left.size()};
  }
  return {value, iovec{in_.data() + end_, in_.size() - end_}};
}

void MemcacheSession::Advance(size_t count) {
  if (expect_ == Expect::kValue) {
    const size_t into = std::min(count, value_.span().size() - filled_);
    filled_ += into;
    count -= into;
  }
  end_ += count;
  Run();
}

void MemcacheSession::Sent(size_t count) {
  const bool was_full = is_full();
  out_.Sent(count);
  if (was_full && !is_full()) Run();
}

void MemcacheSession::Run() {
  while (wants_input() && Step()) continue;
}

bool MemcacheSession::Step() {
  if (get_) return StepGet();
  switch (expect_) {
    case Expect::kLine:
      return StepLine();
    case Expect::kValue:
      return StepValue();
    case Expect::kValueEnd:
      return StepValueEnd();
    case Expect::kSwallow:
      return StepSwallow();
  }
  return false;
}

bool MemcacheSession::StepGet() {
  commands_.Get(*get_, get_->keys[next_key_]);
  if (++next_key_ < get_->keys.size()) return true;
  get_.reset();
  commands_.EndGet();
  return true;
}

bool MemcacheSession::StepLine() {
  const std::string_view there = Unread();
  const size_t end = there.find('\n');
  if (end == std::string_view::npos || end > kMaxLine) {
    if (there.size() <= kMaxLine) return false;
    ++node_.stats.protocol_errors;
    out_.AddText("CLIENT_ERROR line too long\r\n");
    closing_ = true;
    return false;
  }
  std::string_view line = there.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  HandleLine(line);
  begin_ += end + 1;
  return true;
}

void MemcacheSession::HandleLine(std::string_view line) {
  auto parsed = ParseRequestLine(line);
  if (auto* bad = std::get_if<BadLine>(&parsed)) {
    ++node_.stats.protocol_errors;
    out_.AddText(bad->answer);
    swallow_ = bad->swallow;
    if (swallow_ > 0) expect_ = Expect::kSwallow;
    return;
  }
  Request& request = std::get<Request>(parsed);
  if (request.verb <= Verb::kGats) {
    get_ = std::move(request);
    next_key_ = 0;
  } else if (request.has_value) {
    request_ = std::move(request);
    BeginValue();
  } else if (!commands_.Execute(request, {})) {
    closing_ = true;
  }
}

void MemcacheSession::BeginValue() {
  value_ = ValueBuffer();
  filled_ = 0;
  if (request_.value_bytes > 0) {
    auto buffer = node_.cache.Allocate(request_.value_bytes);
    if (!buffer.ok()) {
      ++node_.stats.store_failures;
      if (!request_.no_reply)
        out_.AddText("SERVER_ERROR out of memory storing object\r\n");
      swallow_ = request_.value_bytes + kValueEnd;
      expect_ = Expect::kSwallow;
      return;
    }
    value_ = std::move(buffer).value();
  }
  expect_ = Expect::kValue;
}

bool MemcacheSession::StepValue() {
  const MutableByteSpan left = value_.span().subspan(filled_);
  const std::string_view there = Unread();
  const size_t count = std::min(left.size(), there.size());
  if (count > 0) std::memcpy(left.data(), there.data(), count);
  begin_ += count;
  filled_ += count;
  if (count < left.size()) return false;
  expect_ = Expect::kValueEnd;
  return true;
}

bool MemcacheSession::StepValueEnd() {
  if (end_ - begin_ < kValueEnd) return false;
  const bool is_good = Unread().starts_with("\r\n");
  begin_ += kValueEnd;
  expect_ = Expect::kLine;
  SharedBytes value;
  if (request_.value_bytes > 0)
    value = std::exchange(value_, ValueBuffer()).Share();
  if (is_good) {
    commands_.Execute(request_, std::move(value));
  } else {
    ++node_.stats.protocol_errors;
    out_.AddText("CLIENT_ERROR bad data chunk\r\n");
  }
  return true;
}

bool MemcacheSession::StepSwallow() {
  const uint64_t count = std::min<uint64_t>(swallow_, end_ - begin_);
  begin_ += count;
  swallow_ -= count;
  if (swallow_ > 0) return false;
  expect_ = Expect::kLine;
  return true;
}

}  // namespace morsel
