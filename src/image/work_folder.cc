// SPDX-License-Identifier: Apache-2.0
#include "image/work_folder.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/process.h"

namespace morsel {
namespace {

constexpr std::string_view kPrefix = "convert-";

// The number that `text` begins with, which is taken off together with the
// '-' after it.
bool TakeNumber(std::string_view& text, uint64_t& number) {
  const auto [end, fault] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end == text.data() + text.size() || *end != '-')
    return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return true;
}

// True for the folder of a convert that does not run any more.
bool IsLeftOver(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  uint64_t pid = 0;
  uint64_t start_ticks = 0;
  return TakeNumber(name, pid) && TakeNumber(name, start_ticks) &&
         !IsProcessAlive(static_cast<pid_t>(pid), start_ticks);
}

void RemoveLeftOvers(const std::string& parent) {
  std::vector<std::filesystem::path> left_overs;
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(parent, ignored), end;
       !ignored && it != end; it.increment(ignored)) {
    if (IsLeftOver(it->path().filename().string()))
      left_overs.push_back(it->path());
  }
  for (const std::filesystem::path& path : left_overs)
    std::filesystem::remove_all(path, ignored);
}

}  // namespace

Result<std::unique_ptr<WorkFolder>> WorkFolder::Create(
    const std::string& parent) {
  RETURN_IF_ERROR(MakeDirectories(parent, 0700));
  RemoveLeftOvers(parent);
  ASSIGN_OR_RETURN(const uint64_t start_ticks, ProcessStartTicks(::getpid()));
  std::string path = parent + "/" + std::string(kPrefix) +
                     std::to_string(::getpid()) + "-" +
                     std::to_string(start_ticks) + "-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr)
    return ErrnoError(errno, "make a folder in " + parent);
  return std::unique_ptr<WorkFolder>(new WorkFolder(std::move(path)));
}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace morsel
