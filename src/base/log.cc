// SPDX-License-Identifier: Apache-2.0
// Plain write(2) of one formatted line: atomic for lines under PIPE_BUF, usable
// after fork and under seccomp. A logging library has nothing to add here.
#include "base/log.h"

#include <unistd.h>

#include <array>
#include <atomic>

#include "base/clock.h"

namespace morsel {
namespace {

struct LogSettings {
  std::array<char, 32> program{};
  std::atomic<int> lowest{static_cast<int>(LogLevel::kWarn)};
};

LogSettings& Settings() {
  static LogSettings settings;
  return settings;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

bool IsPlain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= ' ' || u == '"' || u == '\\' || u == 0x7f) return false;
  }
  return true;
}

// Quotes and escapes, so that a name from an image cannot forge a log line.
void AppendQuoted(std::string& line, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  line.push_back('"');
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (u < ' ' || u == 0x7f) {
      line.append("\\x");
      line.push_back(kDigits[u >> 4]);
      line.push_back(kDigits[u & 15]);
    } else {
      line.push_back(c);
    }
  }
  line.push_back('"');
}

}  // namespace

void InitLog(std::string_view program, LogLevel lowest) {
  LogSettings& settings = Settings();
  const size_t n =
      program.copy(settings.program.data(), settings.program.size() - 1);
  settings.program[n] = '\0';
  settings.lowest = static_cast<int>(lowest);
}

void Log(LogLevel level, std::string_view event, LogFields fields) {
  LogSettings& settings = Settings();
  if (static_cast<int>(level) < settings.lowest) return;
  std::string line = FormatUtc(SystemClock().UnixSeconds());
  line.append(" ").append(LevelName(level)).append(" ");
  line.append(settings.program.data()).append(" ").append(event);
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=");
    if (IsPlain(field.value))
      line.append(field.value);
    else
      AppendQuoted(line, field.value);
  }
  line.push_back('\n');
  [[maybe_unused]] const ssize_t ignored =
      ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace morsel
