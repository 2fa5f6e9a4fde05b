// SPDX-License-Identifier: Apache-2.0
#include "zonecache/reply_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

namespace morsel {
namespace {

constexpr size_t kMaxLine = 512;
constexpr std::string_view kTrailer = "\r\nEND\r\n";

Error NoReply(std::string_view line) {
  std::string shown(line.substr(0, 40));
  for (char& c : shown)
    if (c < ' ' || c > '~') c = '?';
  return MakeError(Code::kCorrupt, "no memcached reply: '" + shown + "'");
}

template <typename T>
bool ParseNumber(std::string_view text, T& out) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t space = line.find(' ');
    words.push_back(line.substr(0, space));
    line.remove_prefix(space == std::string_view::npos ? line.size()
                                                       : space + 1);
  }
  return words;
}

std::optional<Reply::Kind> KindOf(std::string_view line) {
  static constexpr std::pair<std::string_view, Reply::Kind> kKinds[] = {
      {"END", Reply::Kind::kMiss},
      {"STORED", Reply::Kind::kStored},
      {"NOT_STORED", Reply::Kind::kNotStored},
      {"EXISTS", Reply::Kind::kExists},
      {"NOT_FOUND", Reply::Kind::kNotFound},
      {"ERROR", Reply::Kind::kError}};
  for (const auto& [text, kind] : kKinds)
    if (line == text) return kind;
  if (line.starts_with("SERVER_ERROR") || line.starts_with("CLIENT_ERROR"))
    return Reply::Kind::kError;
  return std::nullopt;
}

}  // namespace

std::array<iovec, 2> ReplyReader::Room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  iovec value{nullptr, 0};
  if (expect_ == Expect::kValue)
    value = {current_.value.data() + filled_, current_.value.size() - filled_};
  return {value, iovec{buffer_.data() + end_, buffer_.size() - end_}};
}

Status ReplyReader::Advance(size_t count) {
  if (expect_ == Expect::kValue) {
    const size_t into = std::min(count, current_.value.size() - filled_);
    filled_ += into;
    count -= into;
  }
  end_ += count;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, Step());
    if (!more) return Ok();
  }
}

std::optional<Reply> ReplyReader::Take() {
  if (replies_.empty()) return std::nullopt;
  Reply reply = std::move(replies_.front());
  replies_.pop_front();
  return reply;
}

Result<bool> ReplyReader::Step() {
  switch (expect_) {
    case Expect::kLine:
      return StepLine();
    case Expect::kValue:
      return StepValue();
    case Expect::kTrailer:
      return StepTrailer();
  }
  return false;
}

Result<bool> ReplyReader::StepLine() {
  const std::string_view there(buffer_.data() + begin_, end_ - begin_);
  const size_t end = there.find("\r\n");
  if (end == std::string_view::npos) {
    if (there.size() > kMaxLine) return NoReply(there);
    return false;
  }
  RETURN_IF_ERROR(HandleLine(there.substr(0, end)));
  Consume(end + 2);
  return true;
}

bool ReplyReader::StepValue() {
  const size_t count = std::min(current_.value.size() - filled_, end_ - begin_);
  if (count > 0)
    std::memcpy(current_.value.data() + filled_, buffer_.data() + begin_,
                count);
  filled_ += count;
  Consume(count);
  if (filled_ < current_.value.size()) return false;
  expect_ = Expect::kTrailer;
  return true;
}

Result<bool> ReplyReader::StepTrailer() {
  if (end_ - begin_ < kTrailer.size()) return false;
  const std::string_view there(buffer_.data() + begin_, kTrailer.size());
  if (there != kTrailer) return NoReply(there);
  Consume(kTrailer.size());
  replies_.push_back(std::exchange(current_, {}));
  expect_ = Expect::kLine;
  return true;
}

Status ReplyReader::HandleLine(std::string_view line) {
  if (line.starts_with("VALUE ")) return HandleValueLine(line);
  const std::optional<Reply::Kind> kind = KindOf(line);
  if (!kind) return NoReply(line);
  Reply reply;
  reply.kind = *kind;
  if (*kind == Reply::Kind::kError) reply.text = line;
  replies_.push_back(std::move(reply));
  return Ok();
}

// VALUE <key> <flags> <bytes> <cas>
Status ReplyReader::HandleValueLine(std::string_view line) {
  const std::vector<std::string_view> words = Words(line);
  size_t length = 0;
  if (words.size() != 5 || !ParseNumber(words[3], length) ||
      !ParseNumber(words[4], current_.cas) || length > kMaxValue)
    return NoReply(line);
  current_.kind = Reply::Kind::kValue;
  current_.value.resize(length);
  filled_ = 0;
  expect_ = Expect::kValue;
  return Ok();
}

void ReplyReader::Consume(size_t count) { begin_ += count; }

}  // namespace morsel
