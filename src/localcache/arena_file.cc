// SPDX-License-Identifier: Apache-2.0
#include "localcache/arena_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "localcache/server.h"

namespace morsel {
namespace {

bool IsTmpfs(const struct statfs& info) { return info.f_type == TMPFS_MAGIC; }

// On a disk, each write to the arena would be written back to it.
Status CheckPlace(const Fd& file, const ArenaPlace& place) {
  struct statfs info {};
  if (fstatfs(file.get(), &info) != 0)
    return ErrnoError(errno, "arena: fstatfs " + place.path);
  if (!IsTmpfs(info))
    return MakeError(Code::kInvalid,
                     "arena: " + place.path +
                         " does not lie on a tmpfs; set local_cache.arena to a "
                         "file that does, e.g. below /dev/shm");
  struct stat owner {};
  if (fstat(file.get(), &owner) != 0)
    return ErrnoError(errno, "arena: fstat " + place.path);
  // Who made it may have it open still.
  if (owner.st_uid != place.uid && owner.st_uid != geteuid())
    return MakeError(Code::kDenied,
                     "arena: " + place.path + " belongs to user " +
                         std::to_string(owner.st_uid) + "; remove it");
  return Ok();
}

Result<Fd> OpenPlace(const ArenaPlace& place) {
  if (place.file) return Duplicate(place.file.get());
  if (place.path.empty()) return MakeArenaFile();
  ASSIGN_OR_RETURN(Fd file,
                   OpenFile(place.path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  RETURN_IF_ERROR(CheckPlace(file, place));
  return file;
}

Result<std::unique_ptr<ArenaWriter>> OpenWriter(const Fd& file,
                                                const ArenaPlace& place,
                                                const ArenaOptions& options,
                                                Clock& clock) {
  if (fchmod(file.get(), 0600) != 0) return ErrnoError(errno, "arena: fchmod");
  if (place.uid != 0 && fchown(file.get(), place.uid, place.uid) != 0)
    return ErrnoError(errno, "arena: fchown");
  return ArenaWriter::Open(file, place.limit_bytes, options, clock);
}

}  // namespace

Result<std::unique_ptr<ArenaWriter>> OpenArena(const ArenaPlace& place,
                                               const ArenaOptions& options,
                                               Clock& clock) {
  ASSIGN_OR_RETURN(Fd file, OpenPlace(place));
  auto arena = OpenWriter(file, place, options, clock);
  if (arena.ok() || arena.error().code != Code::kExists) return arena;
  LogWarn("a new arena begins, empty",
          {{"cause", arena.error().message}, {"path", place.path}});
  if (place.path.empty()) {
    ASSIGN_OR_RETURN(file, MakeArenaFile());
  } else {
    if (unlink(place.path.c_str()) != 0)
      return ErrnoError(errno, "unlink " + place.path);
    ASSIGN_OR_RETURN(file, OpenPlace(place));
  }
  return OpenWriter(file, place, options, clock);
}

std::string DefaultArenaPath(const std::string& run_dir) {
  struct statfs info {};
  if (statfs(run_dir.c_str(), &info) == 0 && IsTmpfs(info))
    return run_dir + "/localcache.arena";
  std::string name = run_dir;
  for (char& c : name)
    if (c == '/') c = '-';
  return "/dev/shm/morsel" + name + ".arena";
}

}  // namespace morsel
