// SPDX-License-Identifier: Apache-2.0
#include "frontend/fuse_mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "frontend/fuse_file.h"

namespace morsel {

Result<FuseMount> FuseMount::Make(const std::string& path) {
  ASSIGN_OR_RETURN_AS(Fd fd, OpenFile("/dev/fuse", O_RDWR),
                      "load the kernel's module fuse, or run as root");
  // default_permissions: the kernel checks modes, so that allow_other opens
  // the device to nobody but its owner and root. The loop driver reads as the
  // kernel, a worker's sandboxes by other users.
  const std::string options =
      "fd=" + std::to_string(fd.get()) +
      ",rootmode=40000,user_id=" + std::to_string(::geteuid()) +
      ",group_id=" + std::to_string(::getegid()) +
      ",allow_other,default_permissions,max_read=" + std::to_string(kFuseMaxIo);
  if (::mount("morsel", path.c_str(), "fuse.morsel",
              MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0)
    return ErrnoError(errno,
                      "mount a FUSE file system on " + path + " (needs root)");
  return FuseMount(std::move(fd), path);
}

FuseMount::FuseMount(FuseMount&& other) noexcept
    : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, "")) {}

FuseMount::~FuseMount() { Abort(); }

namespace {

// What poll says of a connection at this moment.
short EventsOf(const Fd& fd) {
  pollfd polled{fd.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) < 1 ? short{0} : polled.revents;
}

}  // namespace

bool FuseMount::HasEnded() const {
  return !fd_ || (EventsOf(fd_) & POLLERR) != 0;
}

bool FuseMount::HasWaiting() const {
  return fd_ && (EventsOf(fd_) & POLLIN) != 0;
}

Status FuseMount::Unmount() {
  if (path_.empty()) return Ok();
  if (::umount2(path_.c_str(), UMOUNT_NOFOLLOW) != 0) {
    if (errno == EBUSY) return MakeError(Code::kExists, path_ + " is in use");
    // EINVAL: somebody else has unmounted it.
    if (errno != EINVAL && errno != ENOENT)
      return ErrnoError(errno, "unmount " + path_);
  }
  path_.clear();
  fd_.Close();
  return Ok();
}

void FuseMount::Abort() {
  if (path_.empty()) return;
  // MNT_FORCE aborts the connection, MNT_DETACH takes the mount away though
  // it is in use.
  if (::umount2(path_.c_str(), MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW) != 0 &&
      errno != EINVAL && errno != ENOENT)
    LogError("cannot unmount", {{"path", path_}, {"errno", errno}});
  path_.clear();
  fd_.Close();
}

}  // namespace morsel
