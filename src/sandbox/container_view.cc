// SPDX-License-Identifier: Apache-2.0
#include "sandbox/container_view.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <filesystem>
#include <optional>

namespace morsel {
namespace {

constexpr int kMaxSymlinks = 40;  // as the kernel has it

bool IsInside(const std::string& path, const std::string& dir) {
  return path == dir || path.starts_with(dir + "/");
}

void PushFront(std::deque<std::string>& steps, const std::string& path) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::path(path))
    parts.push_back(part.string());
  steps.insert(steps.begin(), parts.begin(), parts.end());
}

// Where the link leads, or nothing if it is none.
Result<std::optional<std::string>> ReadLink(const Fd& file) {
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return ErrnoError(errno, "stat");
  if (!S_ISLNK(info.st_mode)) return std::optional<std::string>();
  std::array<char, PATH_MAX> target;
  const ssize_t length =
      ::readlinkat(file.get(), "", target.data(), target.size());
  if (length < 0) return ErrnoError(errno, "read a symlink");
  return std::optional(std::string(target.data(), static_cast<size_t>(length)));
}

}  // namespace

Result<ContainerView> ContainerView::Make(const Rootfs& rootfs,
                                          const std::vector<BindMount>& binds) {
  ContainerView view(rootfs);
  for (const BindMount& bind : binds) {
    Bind made{.path = {}, .host_path = bind.host_path, .host = {}};
    ASSIGN_OR_RETURN(
        made.path, view.Resolve(bind.container_path, Missing::kIsTakenAsNamed));
    ASSIGN_OR_RETURN(made.host, OpenFile(bind.host_path, O_PATH));
    view.binds_.push_back(std::move(made));
  }
  return view;
}

bool ContainerView::IsAboveABind(const std::string& resolved) const {
  return std::any_of(binds_.begin(), binds_.end(), [&](const Bind& bind) {
    return IsInside(bind.path, resolved);
  });
}

Result<Fd> ContainerView::OpenStep(const std::string& resolved,
                                   uint64_t flags) const {
  const auto bind = std::find_if(
      binds_.rbegin(), binds_.rend(),
      [&](const Bind& one) { return IsInside(resolved, one.path); });
  if (bind == binds_.rend()) return rootfs_.OpenInside(resolved, flags);
  if (resolved == bind->path)  // a symlink there is the host's, and followed
    return OpenFile(bind->host_path, static_cast<int>(flags & ~O_NOFOLLOW));
  return OpenBelow(bind->host, resolved.substr(bind->path.size() + 1), flags,
                   RESOLVE_BENEATH);
}

Result<std::string> ContainerView::Resolve(const std::string& path,
                                           Missing missing) const {
  std::deque<std::string> steps;
  PushFront(steps, path);
  std::string at;
  int links = 0;
  while (!steps.empty()) {
    const std::string step = std::move(steps.front());
    steps.pop_front();
    if (step == "/" || step.empty() || step == ".") continue;
    if (step == "..") {
      at.resize(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    const std::string next = at + "/" + step;
    const Result<Fd> file = OpenStep(next, O_PATH | O_NOFOLLOW);
    const bool is_missing =
        !file.ok() && file.error().code == Code::kNotFound &&
        (missing == Missing::kIsTakenAsNamed || IsAboveABind(next));
    if (!file.ok() && !is_missing) return file.error();
    std::optional<std::string> target;
    if (!is_missing) {
      ASSIGN_OR_RETURN(target, ReadLink(*file));
    }
    if (!target) {
      at = next;
      continue;
    }
    if (++links > kMaxSymlinks)
      return MakeError(Code::kInvalid, path + ": too many symlinks");
    if (target->starts_with('/')) at.clear();
    PushFront(steps, *target);
  }
  return at.empty() ? "/" : at;
}

Result<Fd> ContainerView::Open(const std::string& path, uint64_t flags) const {
  if (binds_.empty()) return rootfs_.OpenInside(path, flags);
  ASSIGN_OR_RETURN(const std::string resolved, Resolve(path, Missing::kFails));
  return OpenStep(resolved, flags);
}

}  // namespace morsel
