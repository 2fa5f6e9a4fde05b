// SPDX-License-Identifier: Apache-2.0
#include "zonecache/memcache_request.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

namespace morsel {
namespace {

using Words = std::vector<std::string_view>;
using Parsed = std::variant<Request, BadLine>;

constexpr std::string_view kBadFormat =
    "CLIENT_ERROR bad command line format\r\n";
constexpr std::string_view kNoReply = "noreply";
constexpr int64_t kRelativeLimit = 60 * 60 * 24 * 30;
// Of "\r\n" behind a value.
constexpr uint64_t kValueEnd = 2;

struct VerbEntry {
  std::string_view word;
  Verb verb;
};

constexpr VerbEntry kVerbs[] = {
    {"get", Verb::kGet},
    {"gets", Verb::kGets},
    {"gat", Verb::kGat},
    {"gats", Verb::kGats},
    {"set", Verb::kSet},
    {"add", Verb::kAdd},
    {"replace", Verb::kReplace},
    {"append", Verb::kAppend},
    {"prepend", Verb::kPrepend},
    {"cas", Verb::kCas},
    {"delete", Verb::kDelete},
    {"incr", Verb::kIncr},
    {"decr", Verb::kDecr},
    {"touch", Verb::kTouch},
    {"flush_all", Verb::kFlushAll},
    {"version", Verb::kVersion},
    {"verbosity", Verb::kVerbosity},
    {"stats", Verb::kStats},
    {"quit", Verb::kQuit},
    {"mg", Verb::kMetaGet},
    {"ms", Verb::kMetaSet},
    {"md", Verb::kMetaDelete},
    {"ma", Verb::kMetaArithmetic},
    {"mn", Verb::kMetaNoop},
    {"me", Verb::kMetaDebug},
};

Words Split(std::string_view line) {
  Words words;
  while (true) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename T>
bool ParseNumber(std::string_view text, T& out) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsKey(std::string_view word) {
  return !word.empty() && word.size() <= kMaxMemcacheKey &&
         std::none_of(word.begin(), word.end(), [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
         });
}

BadLine Bad(std::string_view answer = kBadFormat, uint64_t swallow = 0) {
  return {std::string(answer), swallow};
}

// Takes "noreply" off the end.
bool TakeNoReply(Words& words) {
  if (words.empty() || words.back() != kNoReply) return false;
  words.pop_back();
  return true;
}

Parsed ParseGet(Request request, std::span<const std::string_view> words) {
  if (request.verb == Verb::kGat || request.verb == Verb::kGats) {
    if (words.empty() || !ParseNumber(words[0], request.exptime)) return Bad();
    words = words.subspan(1);
  }
  if (words.empty()) return Bad("ERROR\r\n");
  for (const std::string_view word : words) {
    if (!IsKey(word)) return Bad();
    request.keys.emplace_back(word);
  }
  return request;
}

// What is wrong with a value of this length, if anything is.
std::optional<BadLine> CheckLength(uint64_t length) {
  if (length <= kMaxMemcacheValue) return std::nullopt;
  // Nobody sends more than that by mistake: it is no length.
  constexpr uint64_t kMostSwallowed = uint64_t{1} << 31;
  if (length > kMostSwallowed) return Bad("CLIENT_ERROR bad data chunk\r\n");
  return Bad("SERVER_ERROR object too large for cache\r\n", length + kValueEnd);
}

// <key> <flags> <exptime> <bytes> [<cas>]
Parsed ParseStore(Request request, const Words& words) {
  const bool is_cas = request.verb == Verb::kCas;
  if (words.size() != (is_cas ? 5U : 4U)) return Bad("ERROR\r\n");
  if (!ParseNumber(words[3], request.value_bytes))
    return Bad("CLIENT_ERROR bad data chunk\r\n");
  if (auto bad = CheckLength(request.value_bytes)) return *std::move(bad);
  const uint64_t follows = request.value_bytes + kValueEnd;
  if (!IsKey(words[0]) || !ParseNumber(words[1], request.flags) ||
      !ParseNumber(words[2], request.exptime) ||
      (is_cas && !ParseNumber(words[4], request.number)))
    return Bad(kBadFormat, follows);
  request.keys.emplace_back(words[0]);
  request.has_value = true;
  return request;
}

// <key> <number>, or <key> alone (delete, which also takes an old "0").
Parsed ParseKeyed(Request request, const Words& words) {
  const bool is_delete = request.verb == Verb::kDelete;
  if (is_delete && words.size() == 2 && words[1] != "0")
    return Bad(
        "CLIENT_ERROR bad command line format.  Usage: delete <key> "
        "[noreply]\r\n");
  if (words.empty() || words.size() > 2 || (!is_delete && words.size() != 2))
    return Bad("ERROR\r\n");
  if (!IsKey(words[0])) return Bad();
  request.keys.emplace_back(words[0]);
  if (request.verb == Verb::kTouch && !ParseNumber(words[1], request.exptime))
    return Bad("CLIENT_ERROR invalid exptime argument\r\n");
  if ((request.verb == Verb::kIncr || request.verb == Verb::kDecr) &&
      !ParseNumber(words[1], request.number))
    return Bad("CLIENT_ERROR invalid numeric delta argument\r\n");
  return request;
}

// flush_all [<delay>], verbosity <level>, stats [<what>], version, quit, mn.
Parsed ParsePlain(Request request, const Words& words) {
  if (request.verb == Verb::kStats) {
    for (const std::string_view word : words) request.keys.emplace_back(word);
    return request;
  }
  // Any words may stand behind `version`.
  if (request.verb == Verb::kVersion) return request;
  if (words.size() > 1) return Bad("ERROR\r\n");
  if (request.verb == Verb::kVerbosity && words.empty() && !request.no_reply)
    return Bad("ERROR\r\n");
  if (request.verb == Verb::kFlushAll && words.size() == 1 &&
      !ParseNumber(words[0], request.exptime))
    return Bad();
  return request;
}

std::string_view AllowedFlags(Verb verb) {
  switch (verb) {
    case Verb::kMetaGet:
      return "cfkOqstvT";
    case Verb::kMetaSet:
      return "cCFkOqTM";
    case Verb::kMetaDelete:
      return "CkOq";
    case Verb::kMetaArithmetic:
      return "cCDkMOqtTv";
    default:
      return "";
  }
}

// <key> [<bytes>] <flag>*
Parsed ParseMeta(Request request, const Words& words) {
  if (request.verb == Verb::kMetaNoop) return request;
  if (words.empty() || !IsKey(words[0])) return Bad();
  request.keys.emplace_back(words[0]);
  size_t at = 1;
  if (request.verb == Verb::kMetaSet) {
    if (words.size() < 2 || !ParseNumber(words[1], request.value_bytes))
      return Bad("CLIENT_ERROR bad data chunk\r\n");
    if (auto bad = CheckLength(request.value_bytes)) return *std::move(bad);
    request.has_value = true;
    at = 2;
  }
  const uint64_t follows =
      request.has_value ? request.value_bytes + kValueEnd : 0;
  for (; at < words.size(); ++at) {
    const char flag = words[at][0];
    const std::string_view token = words[at].substr(1);
    if (AllowedFlags(request.verb).find(flag) == std::string_view::npos)
      return Bad("CLIENT_ERROR invalid flag\r\n", follows);
    bool good = true;
    if (flag == 'T') good = ParseNumber(token, request.exptime);
    if (flag == 'F') good = ParseNumber(token, request.flags);
    if (flag == 'C' || flag == 'D') good = ParseNumber(token, request.number);
    if (flag == 'M') good = token.size() == 1;
    if (flag == 'O') good = token.size() <= 32;
    if (!good)
      return Bad("CLIENT_ERROR bad token in command line format\r\n", follows);
    if (flag == 'q') request.no_reply = true;
    request.meta.push_back({flag, std::string(token)});
  }
  return request;
}

}  // namespace

std::variant<Request, BadLine> ParseRequestLine(std::string_view line) {
  Words words = Split(line);
  if (words.empty()) return Bad("ERROR\r\n");
  const auto found =
      std::find_if(std::begin(kVerbs), std::end(kVerbs),
                   [&](const VerbEntry& e) { return e.word == words[0]; });
  if (found == std::end(kVerbs)) return Bad("ERROR\r\n");
  words.erase(words.begin());
  Request request;
  request.verb = found->verb;
  if (request.verb <= Verb::kGats) return ParseGet(request, words);
  if (request.verb >= Verb::kMetaGet) return ParseMeta(request, words);
  if (request.verb != Verb::kStats && request.verb != Verb::kVersion)
    request.no_reply = TakeNoReply(words);
  if (request.verb <= Verb::kCas) return ParseStore(request, words);
  if (request.verb <= Verb::kTouch) return ParseKeyed(request, words);
  return ParsePlain(request, words);
}

int64_t ExpiryOf(int64_t exptime, int64_t now_unix) {
  if (exptime == 0) return 0;
  if (exptime < 0) return 1;
  return exptime <= kRelativeLimit ? now_unix + exptime : exptime;
}

}  // namespace morsel
