// SPDX-License-Identifier: Apache-2.0
// Structured logging: one line per event on standard error.
//
//   LogWarn("origin slow", {{"chunk", name}, {"waited_ms", 5000}});
//
// prints `2026-11-24T03:40:00Z warn morsel-agent origin slow chunk=1f3a...
// waited_ms=5000`. A value with a space or a quote is quoted. Secrets never
// have a printable form, so they cannot be logged by accident.
//
// An error is logged once, where it is handled; who passes it on does not log.
// Thread safety: all functions are thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace morsel {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}

  std::string key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

// Sets the program's name and the lowest level that is printed. Call once,
// from main; before that, warnings and errors are printed without a name.
void InitLog(std::string_view program, LogLevel lowest);

void Log(LogLevel level, std::string_view event, LogFields fields);
inline void LogDebug(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarn(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kWarn, event, fields);
}
inline void LogError(std::string_view event, LogFields fields = {}) {
  Log(LogLevel::kError, event, fields);
}

}  // namespace morsel
