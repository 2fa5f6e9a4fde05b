// SPDX-License-Identifier: Apache-2.0
#include "zonecache/memcache_commands.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/log.h"

namespace morsel {
namespace {

using Mode = TieredCache::Mode;

constexpr std::string_view kDenied =
    "CLIENT_ERROR denied: this wants the operator's certificate\r\n";

Mode ModeOf(Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return Mode::kIfAbsent;
    case Verb::kReplace:
      return Mode::kIfPresent;
    case Verb::kCas:
      return Mode::kIfCas;
    default:
      return Mode::kAlways;
  }
}

std::optional<uint64_t> NumberIn(std::string_view text) {
  // A number of 20 digits, perhaps with the spaces that memcached's decr
  // leaves.
  const std::string_view digits = text.substr(0, text.find(' '));
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return number;
}

// Groups of memcached's that this server has nothing to say of.
bool IsStatsGroup(std::string_view word) {
  constexpr std::array<std::string_view, 6> kGroups{
      "settings", "items", "slabs", "sizes", "conns", "detail"};
  return std::find(kGroups.begin(), kGroups.end(), word) != kGroups.end();
}

}  // namespace

void MemcacheCommands::Say(const Request& request, std::string_view text) {
  if (!request.no_reply) out_.AddText(text);
}

std::optional<CacheValue> MemcacheCommands::Find(const std::string& key) {
  FlushIfDue();
  Result<CacheValue> found = node_.cache.Get(key);
  if (found.ok()) return std::move(found).value();
  if (found.error().code != Code::kNotFound) {
    ++node_.stats.get_errors;
    LogWarn("value lost", {{"tier", "flash of the zone cache"},
                           {"error", found.error().message}});
  }
  return std::nullopt;
}

void MemcacheCommands::FlushIfDue() {
  int64_t at = node_.flush_at.load(std::memory_order_relaxed);
  if (at == 0 || node_.clock.UnixSeconds() < at) return;
  if (!node_.flush_at.compare_exchange_strong(at, 0)) return;
  if (const Status cleared = node_.cache.Clear(); !cleared.ok())
    LogWarn("flush", {{"error", cleared.error().message}});
}

bool MemcacheCommands::Denied(const Request& request) {
  if (is_operator_) return false;
  ++node_.stats.denied;
  Say(request, kDenied);
  return true;
}

void MemcacheCommands::Get(const Request& request, const std::string& key) {
  const std::optional<CacheValue> found = Find(key);
  if (!found) {
    ++node_.stats.get_misses;
    return;
  }
  ++node_.stats.get_hits;
  if (request.verb == Verb::kGat || request.verb == Verb::kGats) {
    ++node_.stats.touches;
    Reexpire(key, *found, request.exptime);
  }
  std::string head = "VALUE " + key + " " + std::to_string(found->flags) + " " +
                     std::to_string(found->bytes.size());
  if (request.verb == Verb::kGets || request.verb == Verb::kGats)
    head += " " + std::to_string(found->cas);
  out_.AddText(head + "\r\n");
  out_.AddValue(found->bytes);
  out_.AddText("\r\n");
}

bool MemcacheCommands::Execute(const Request& request, SharedBytes value) {
  switch (request.verb) {
    case Verb::kDelete:
      Delete(request);
      break;
    case Verb::kIncr:
    case Verb::kDecr:
      Arithmetic(request);
      break;
    case Verb::kTouch:
      Touch(request);
      break;
    case Verb::kFlushAll:
      FlushAll(request);
      break;
    case Verb::kVersion:
      Say(request, "VERSION " + std::string(kNodeVersion) + "\r\n");
      break;
    case Verb::kVerbosity:
      Say(request, "OK\r\n");
      break;
    case Verb::kStats:
      Stats(request);
      break;
    case Verb::kQuit:
      return false;
    case Verb::kMetaGet:
      MetaGet(request);
      break;
    case Verb::kMetaSet:
      MetaSet(request, std::move(value));
      break;
    case Verb::kMetaDelete:
      MetaDelete(request);
      break;
    case Verb::kMetaArithmetic:
      MetaArithmetic(request);
      break;
    case Verb::kMetaNoop:
      out_.AddText("MN\r\n");
      break;
    case Verb::kMetaDebug:
      MetaDebug(request);
      break;
    default:
      Store(request, std::move(value));
  }
  return true;
}

void MemcacheCommands::Store(const Request& request, SharedBytes value) {
  FlushIfDue();
  ++node_.stats.sets;
  const std::string& key = request.keys[0];
  const bool joins =
      request.verb == Verb::kAppend || request.verb == Verb::kPrepend;
  const CacheValue item{std::move(value), request.flags, request.number,
                        ExpiryOf(request.exptime, node_.clock.UnixSeconds())};
  const Result<uint64_t> stored =
      joins ? Join(key, item.bytes.span(), request.verb == Verb::kPrepend)
            : node_.cache.Set(key, item, ModeOf(request.verb));
  const bool is_cas = request.verb == Verb::kCas;
  if (stored.ok()) {
    if (is_cas) ++node_.stats.cas_hits;
    Say(request, "STORED\r\n");
  } else if (stored.error().code == Code::kExists) {
    if (is_cas) ++node_.stats.cas_bad;
    Say(request, is_cas ? "EXISTS\r\n" : "NOT_STORED\r\n");
  } else if (stored.error().code == Code::kNotFound) {
    if (is_cas) ++node_.stats.cas_misses;
    Say(request, is_cas ? "NOT_FOUND\r\n" : "NOT_STORED\r\n");
  } else if (stored.error().code == Code::kInvalid) {
    Say(request, "SERVER_ERROR object too large for cache\r\n");
  } else {
    ++node_.stats.store_failures;
    Say(request, "SERVER_ERROR out of memory storing object\r\n");
  }
}

Result<uint64_t> MemcacheCommands::Join(const std::string& key, ByteSpan more,
                                        bool in_front) {
  while (true) {
    std::optional<CacheValue> found = Find(key);
    if (!found) return MakeError(Code::kNotFound, "nothing to add to");
    const ByteSpan old = found->bytes.span();
    if (old.size() + more.size() > kMaxMemcacheValue)
      return MakeError(Code::kInvalid, "too large");
    const ByteSpan first = in_front ? more : old;
    const ByteSpan second = in_front ? old : more;
    Bytes joined(first.begin(), first.end());
    joined.insert(joined.end(), second.begin(), second.end());
    found->bytes = SharedBytes::Own(std::move(joined));
    Result<uint64_t> set = node_.cache.Set(key, *found, Mode::kIfCas);
    // Somebody else was faster: with his value then.
    if (set.ok() || set.error().code != Code::kExists) return set;
  }
}

bool MemcacheCommands::Reexpire(const std::string& key, const CacheValue& value,
                                int64_t exptime) {
  CacheValue changed = value;
  changed.expires_unix = ExpiryOf(exptime, node_.clock.UnixSeconds());
  return node_.cache.Set(key, changed, Mode::kIfCas).ok();
}

void MemcacheCommands::Touch(const Request& request) {
  ++node_.stats.touches;
  const std::optional<CacheValue> found = Find(request.keys[0]);
  const bool touched =
      found && Reexpire(request.keys[0], *found, request.exptime);
  Say(request, touched ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
}

Result<MemcacheCommands::Sum> MemcacheCommands::Add(const std::string& key,
                                                    uint64_t delta,
                                                    bool subtract) {
  while (true) {
    std::optional<CacheValue> found = Find(key);
    if (!found) return MakeError(Code::kNotFound, "no such number");
    const std::optional<uint64_t> old = NumberIn(found->bytes.text());
    if (!old) return MakeError(Code::kInvalid, "no number");
    // As memcached: up wraps round, down ends at 0.
    const uint64_t sum = subtract ? *old - std::min(*old, delta) : *old + delta;
    found->bytes = SharedBytes::Copy(std::to_string(sum));
    const Result<uint64_t> set = node_.cache.Set(key, *found, Mode::kIfCas);
    if (set.ok()) return Sum{sum, *set, found->expires_unix};
    if (set.error().code != Code::kExists) return set.error();
  }
}

void MemcacheCommands::Arithmetic(const Request& request) {
  const Result<Sum> sum =
      Add(request.keys[0], request.number, request.verb == Verb::kDecr);
  if (sum.ok()) {
    ++node_.stats.arithmetic_hits;
    Say(request, std::to_string(sum->number) + "\r\n");
  } else if (sum.error().code == Code::kNotFound) {
    ++node_.stats.arithmetic_misses;
    Say(request, "NOT_FOUND\r\n");
  } else if (sum.error().code == Code::kInvalid) {
    Say(request,
        "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
  } else {
    Say(request, "SERVER_ERROR out of memory in incr\r\n");
  }
}

void MemcacheCommands::Delete(const Request& request) {
  if (Denied(request)) return;
  // kUnavailable: gone, but not written down.
  const Status removed = node_.cache.Remove(request.keys[0]);
  const bool was_there =
      removed.ok() || removed.error().code != Code::kNotFound;
  ++(was_there ? node_.stats.delete_hits : node_.stats.delete_misses);
  Say(request, was_there ? "DELETED\r\n" : "NOT_FOUND\r\n");
}

void MemcacheCommands::FlushAll(const Request& request) {
  if (Denied(request)) return;
  ++node_.stats.flushes;
  if (request.exptime > 0) {
    node_.flush_at = ExpiryOf(request.exptime, node_.clock.UnixSeconds());
  } else if (const Status cleared = node_.cache.Clear(); !cleared.ok()) {
    LogWarn("flush", {{"error", cleared.error().message}});
    Say(request, "SERVER_ERROR flash could not write it down\r\n");
    return;
  }
  Say(request, "OK\r\n");
}

void MemcacheCommands::Stat(std::string_view name, uint64_t value) {
  out_.AddText("STAT " + std::string(name) + " " + std::to_string(value) +
               "\r\n");
}

void MemcacheCommands::Stats(const Request& request) {
  if (request.keys.empty()) {
    const NodeStats& s = node_.stats;
    const int64_t now = node_.clock.UnixSeconds();
    Stat("pid", static_cast<uint64_t>(getpid()));
    Stat("uptime", static_cast<uint64_t>(now - s.started_unix));
    Stat("time", static_cast<uint64_t>(now));
    out_.AddText("STAT version " + std::string(kNodeVersion) + "\r\n");
    Stat("pointer_size", 8 * sizeof(void*));
    Stat("curr_connections", s.connections_now);
    Stat("total_connections", s.connections);
    Stat("rejected_connections", s.connections_refused);
    Stat("cmd_get", s.get_hits + s.get_misses);
    Stat("cmd_set", s.sets);
    Stat("cmd_flush", s.flushes);
    Stat("cmd_touch", s.touches);
    Stat("get_hits", s.get_hits);
    Stat("get_misses", s.get_misses);
    Stat("get_errors", s.get_errors);
    Stat("delete_hits", s.delete_hits);
    Stat("delete_misses", s.delete_misses);
    Stat("cas_hits", s.cas_hits);
    Stat("cas_misses", s.cas_misses);
    Stat("cas_badval", s.cas_bad);
    Stat("denied", s.denied);
    Stat("bytes_read", s.bytes_read);
    Stat("bytes_written", s.bytes_written);
    Stat("threads", node_.threads);
    CacheStats();
  } else if (request.keys[0] == "reset") {
    out_.AddText("RESET\r\n");
    return;
  } else if (!IsStatsGroup(request.keys[0])) {
    out_.AddText("ERROR\r\n");
    return;
  }
  out_.AddText("END\r\n");
}

void MemcacheCommands::CacheStats() {
  const TieredCacheStats cache = node_.cache.Stats();
  Stat("limit_maxbytes", cache.memory.max_bytes);
  Stat("bytes", cache.memory.used_bytes);
  Stat("curr_items", cache.memory.entry_count);
  Stat("total_items", cache.memory.inserts);
  Stat("evictions", cache.memory.evictions);
  Stat("promotions", cache.promotions);
  if (!cache.flash) return;
  Stat("flash_limit_maxbytes", cache.flash->device_bytes);
  Stat("flash_bytes", cache.flash->live_bytes);
  Stat("flash_items", cache.flash->entry_count);
  Stat("flash_hits", cache.flash->hits);
  Stat("flash_misses", cache.flash->misses);
  Stat("flash_evictions", cache.flash->evictions);
  Stat("flash_dropped", cache.flash->dropped);
  Stat("flash_corrupt", cache.flash->corrupt);
  Stat("flash_written_bytes", cache.flash->written_bytes);
}

}  // namespace morsel
