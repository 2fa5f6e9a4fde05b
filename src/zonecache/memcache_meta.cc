// SPDX-License-Identifier: Apache-2.0
// The meta commands of MemcacheCommands. The answers: HD done, VA a value, EN
// a miss of mg, NS not stored, EX exists, NF not found. With the flag q the
// usual answer is left out: EN of mg, HD of ms, HD and NF of md and ma.
#include <algorithm>

#include "zonecache/memcache_commands.h"

namespace morsel {
namespace {

using Mode = TieredCache::Mode;

const MetaFlag* FindFlag(const Request& request, char flag) {
  const auto found =
      std::find_if(request.meta.begin(), request.meta.end(),
                   [flag](const MetaFlag& f) { return f.flag == flag; });
  return found == request.meta.end() ? nullptr : &*found;
}

// The mode of ms and ma: a letter, in either case.
char ModeLetter(const Request& request, char fallback) {
  const MetaFlag* mode = FindFlag(request, 'M');
  if (mode == nullptr) return fallback;
  const char letter = mode->token[0];
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32)
                                        : letter;
}

std::string_view StoreAnswer(const Result<uint64_t>& stored, bool has_cas) {
  if (stored.ok()) return "HD";
  switch (stored.error().code) {
    case Code::kExists:
      return has_cas ? "EX" : "NS";
    case Code::kNotFound:
      return has_cas ? "NF" : "NS";
    case Code::kInvalid:
      return "SERVER_ERROR object too large for cache";
    default:
      return "SERVER_ERROR out of memory storing object";
  }
}

}  // namespace

int64_t MemcacheCommands::TimeToLive(int64_t expires_unix) const {
  if (expires_unix == 0) return -1;
  return std::max<int64_t>(0, expires_unix - node_.clock.UnixSeconds());
}

std::string MemcacheCommands::MetaFlags(const Request& request,
                                        const CacheValue* value) const {
  std::string flags;
  const auto add = [&](char flag, const std::string& token) {
    flags += ' ';
    flags += flag;
    flags += token;
  };
  for (const MetaFlag& asked : request.meta) {
    if (asked.flag == 'k') add('k', request.keys[0]);
    if (asked.flag == 'O') add('O', asked.token);
    if (value == nullptr) continue;
    if (asked.flag == 'c') add('c', std::to_string(value->cas));
    if (asked.flag == 'f') add('f', std::to_string(value->flags));
    if (asked.flag == 's') add('s', std::to_string(value->bytes.size()));
    if (asked.flag == 't')
      add('t', std::to_string(TimeToLive(value->expires_unix)));
  }
  return flags;
}

void MemcacheCommands::MetaGet(const Request& request) {
  std::optional<CacheValue> found = Find(request.keys[0]);
  if (!found) {
    ++node_.stats.get_misses;
    if (!request.no_reply) out_.AddText("EN\r\n");
    return;
  }
  ++node_.stats.get_hits;
  if (FindFlag(request, 'T') != nullptr) {
    ++node_.stats.touches;
    Reexpire(request.keys[0], *found, request.exptime);
    found->expires_unix = ExpiryOf(request.exptime, node_.clock.UnixSeconds());
  }
  const std::string flags = MetaFlags(request, &*found);
  if (FindFlag(request, 'v') == nullptr) {
    out_.AddText("HD" + flags + "\r\n");
    return;
  }
  out_.AddText("VA " + std::to_string(found->bytes.size()) + flags + "\r\n");
  out_.AddValue(found->bytes);
  out_.AddText("\r\n");
}

void MemcacheCommands::MetaSet(const Request& request, SharedBytes value) {
  FlushIfDue();
  ++node_.stats.sets;
  const std::string& key = request.keys[0];
  const bool has_cas = FindFlag(request, 'C') != nullptr;
  CacheValue item{std::move(value), request.flags, request.number,
                  ExpiryOf(request.exptime, node_.clock.UnixSeconds())};
  const char mode = ModeLetter(request, 'S');
  Result<uint64_t> stored = MakeError(Code::kInternal, "");
  if (mode == 'A' || mode == 'P') {
    stored = Join(key, item.bytes.span(), mode == 'P');
  } else if (mode == 'E' || mode == 'R' || mode == 'S') {
    const Mode set = has_cas       ? Mode::kIfCas
                     : mode == 'E' ? Mode::kIfAbsent
                     : mode == 'R' ? Mode::kIfPresent
                                   : Mode::kAlways;
    stored = node_.cache.Set(key, item, set);
  } else {
    out_.AddText("CLIENT_ERROR invalid mode for ms\r\n");
    return;
  }
  if (stored.ok() && request.no_reply) return;
  if (stored.ok()) item.cas = *stored;
  out_.AddText(std::string(StoreAnswer(stored, has_cas)) +
               MetaFlags(request, stored.ok() ? &item : nullptr) + "\r\n");
}

void MemcacheCommands::MetaDelete(const Request& request) {
  if (!is_operator_) {
    Denied(request);
    return;
  }
  const std::string& key = request.keys[0];
  const std::optional<uint64_t> cas = node_.cache.CasOf(key);
  std::string_view answer = "HD";
  if (!cas) {
    ++node_.stats.delete_misses;
    answer = "NF";
  } else if (FindFlag(request, 'C') != nullptr && *cas != request.number) {
    answer = "EX";
  } else {
    ++node_.stats.delete_hits;
    // A miss means that somebody else was faster, which is as good.
    (void)node_.cache.Remove(key);
  }
  if (request.no_reply && answer != "EX") return;
  out_.AddText(std::string(answer) + MetaFlags(request, nullptr) + "\r\n");
}

void MemcacheCommands::MetaArithmetic(const Request& request) {
  const char mode = ModeLetter(request, 'I');
  const bool subtract = mode == 'D' || mode == '-';
  if (!subtract && mode != 'I' && mode != '+') {
    out_.AddText("CLIENT_ERROR invalid mode for ma\r\n");
    return;
  }
  const std::string& key = request.keys[0];
  uint64_t delta = 1;
  if (const MetaFlag* given = FindFlag(request, 'D'))
    delta = std::stoull(given->token);  // the parser has checked it
  const std::optional<uint64_t> cas = node_.cache.CasOf(key);
  if (const MetaFlag* wanted = FindFlag(request, 'C');
      wanted != nullptr && cas && *cas != std::stoull(wanted->token)) {
    out_.AddText("EX" + MetaFlags(request, nullptr) + "\r\n");
    return;
  }
  const Result<Sum> sum = Add(key, delta, subtract);
  if (!sum.ok() && sum.error().code != Code::kNotFound) {
    out_.AddText(
        sum.error().code == Code::kInvalid
            ? "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
            : "SERVER_ERROR out of memory in incr\r\n");
    return;
  }
  ++(sum.ok() ? node_.stats.arithmetic_hits : node_.stats.arithmetic_misses);
  if (request.no_reply) return;
  if (!sum.ok()) {
    out_.AddText("NF" + MetaFlags(request, nullptr) + "\r\n");
    return;
  }
  const CacheValue value{SharedBytes::Copy(std::to_string(sum->number)), 0,
                         sum->cas, sum->expires_unix};
  const std::string flags = MetaFlags(request, &value);
  if (FindFlag(request, 'v') == nullptr) {
    out_.AddText("HD" + flags + "\r\n");
  } else {
    out_.AddText("VA " + std::to_string(value.bytes.size()) + flags + "\r\n" +
                 std::string(value.bytes.text()) + "\r\n");
  }
}

void MemcacheCommands::MetaDebug(const Request& request) {
  const std::optional<CacheValue> found = Find(request.keys[0]);
  if (!found) {
    out_.AddText("EN\r\n");
    return;
  }
  out_.AddText("ME " + request.keys[0] +
               " exp=" + std::to_string(TimeToLive(found->expires_unix)) +
               " cas=" + std::to_string(found->cas) +
               " size=" + std::to_string(found->bytes.size()) + "\r\n");
}

}  // namespace morsel
