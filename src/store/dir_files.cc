// SPDX-License-Identifier: Apache-2.0
#include "store/dir_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/random.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr std::string_view kTempPrefix = "tmp-";
constexpr time_t kSweepAfterSeconds = 60;
constexpr off_t kHashedVersionLimit = 16 * 1024;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using OpenDir = std::unique_ptr<DIR, CloseDir>;

Result<OpenDir> OpenFolder(int directory_fd, const std::string& path) {
  ASSIGN_OR_RETURN(Fd fd, OpenFileAt(directory_fd, path,
                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  OpenDir dir(::fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoError(errno, "list " + path);
  static_cast<void>(fd.Release());  // the DIR owns it now
  return dir;
}

// The kernel's clock ticks in milliseconds, so two files made in a row may
// have the same time, and inode numbers return at once. Random nanoseconds
// tell them apart.
Status SetRandomTime(int fd) {
  uint32_t random;
  SystemRandom().Fill(std::as_writable_bytes(std::span(&random, 1)));
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_nsec = static_cast<long>(random % 1000000000U);
  const timespec times[2] = {now, now};
  if (::futimens(fd, times) != 0) return ErrnoError(errno, "set the time");
  return Ok();
}

Status Fill(int fd, ByteSpan bytes) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return ErrnoError(errno, "flock");
  RETURN_IF_ERROR(WriteFull(fd, bytes));
  if (::fchmod(fd, 0644) != 0) return ErrnoError(errno, "chmod");
  RETURN_IF_ERROR(SetRandomTime(fd));
  if (::fsync(fd) != 0) return ErrnoError(errno, "fsync");
  return Ok();
}

}  // namespace

Result<TempFile> TempFile::Write(int folder_fd, ByteSpan bytes) {
  std::string name = std::string(kTempPrefix) + RandomHex(SystemRandom(), 12);
  ASSIGN_OR_RETURN(
      Fd fd, OpenFileAt(folder_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600));
  TempFile file(folder_fd, std::move(name), std::move(fd));
  RETURN_IF_ERROR_AS(Fill(file.fd_.get(), bytes), "write a temporary file");
  return file;
}

void TempFile::Remove() {
  if (!fd_ || name_.empty()) return;
  ::unlinkat(folder_fd_, name_.c_str(), 0);
  name_.clear();
}

Status SweepTempFiles(int folder_fd) {
  ASSIGN_OR_RETURN(const OpenDir dir, OpenFolder(folder_fd, "."));
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (!name.starts_with(kTempPrefix)) continue;
    const Result<Fd> fd =
        OpenFileAt(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    if (!fd.ok() || ::fstat(fd->get(), &info) != 0) continue;
    if (info.st_mtim.tv_sec > now.tv_sec - kSweepAfterSeconds) continue;
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) continue;
    ::unlinkat(folder_fd, name.c_str(), 0);
  }
  return Ok();
}

Result<Fd> LockKey(int folder_fd, std::string_view key) {
  const Digest digest = Sha256Of(AsBytes(key));
  const std::string name = "lock-" + ToHex(ByteSpan(digest).first(1));
  Result<Fd> opened =
      OpenFileAt(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
  // Made by another user, root say, who wrote to a part of the store that is
  // ours: a lock needs no more than reading where it is not over NFS.
  if (!opened.ok() && opened.error().code == Code::kDenied)
    opened = OpenFileAt(folder_fd, name, O_RDONLY | O_NOFOLLOW);
  ASSIGN_OR_RETURN(Fd fd, std::move(opened));
  while (::flock(fd.get(), LOCK_EX) != 0)
    if (errno != EINTR) return ErrnoError(errno, "lock " + name);
  return fd;
}

Result<std::string> FileVersion(int fd, const struct stat& info) {
  if (info.st_size > kHashedVersionLimit)
    return "f" + std::to_string(info.st_ino) + "-" +
           std::to_string(info.st_size) + "-" +
           std::to_string(info.st_mtim.tv_sec) + "." +
           std::to_string(info.st_mtim.tv_nsec);
  Bytes bytes(static_cast<size_t>(info.st_size));
  RETURN_IF_ERROR(ReadFullAt(fd, 0, bytes));
  return "h" + ToHex(Sha256Of(bytes));
}

Status SyncFolder(int directory_fd, const std::string& path) {
  ASSIGN_OR_RETURN(const Fd fd,
                   OpenFileAt(directory_fd, path.empty() ? "." : path,
                              O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, "fsync " + path);
  return Ok();
}

namespace {

// Walks the tree in the byte order of keys: a folder sorts as its name with
// the slash that follows it in every key below.
class Lister {
 public:
  Lister(int directory_fd, std::string_view prefix, std::string_view after,
         size_t limit)
      : directory_fd_(directory_fd),
        prefix_(prefix),
        after_(after),
        limit_(limit) {}

  Result<ObjectPage> Run() {
    // Only the folder that the prefix names can hold what is asked for.
    const size_t slash = prefix_.rfind('/');
    const std::string folder = slash == std::string_view::npos
                                   ? std::string()
                                   : std::string(prefix_.substr(0, slash + 1));
    if (!folder.empty())
      RETURN_IF_ERROR(CheckKey(folder.substr(0, folder.size() - 1)));
    RETURN_IF_ERROR(Walk(folder));
    return std::move(page_);
  }

 private:
  // True if no key that begins with `path` is asked for.
  bool Skips(const std::string& path) const {
    const bool passed = path <= after_ && !after_.starts_with(path);
    return passed || !(path.starts_with(prefix_) || prefix_.starts_with(path));
  }

  // The keys (files) and folders (with a slash) of `folder`, sorted.
  Result<std::vector<std::string>> Entries(const std::string& folder) {
    std::vector<std::string> names;
    const Result<OpenDir> dir =
        OpenFolder(directory_fd_, folder.empty() ? "." : folder);
    if (!dir.ok()) {
      if (dir.error().code == Code::kNotFound) return names;
      return dir.error();
    }
    while (const dirent* entry = ::readdir(dir->get())) {
      if (entry->d_name[0] == '.') continue;
      unsigned char type = entry->d_type;
      struct stat info;
      if (type == DT_UNKNOWN && ::fstatat(::dirfd(dir->get()), entry->d_name,
                                          &info, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISDIR(info.st_mode)   ? DT_DIR
               : S_ISREG(info.st_mode) ? DT_REG
                                       : DT_LNK;
      if (type != DT_DIR && type != DT_REG) continue;
      std::string name = folder + entry->d_name;
      if (type == DT_DIR) name += '/';
      if (name.size() > kMaxKeyBytes) continue;  // no key of ours lies there
      names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status Walk(const std::string& folder) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, Entries(folder));
    for (const std::string& name : names) {
      if (page_.more) return Ok();
      if (name.back() == '/') {
        if (!Skips(name)) RETURN_IF_ERROR(Walk(name));
      } else if (name.starts_with(prefix_) && name > after_) {
        Add(name);
      }
    }
    return Ok();
  }

  void Add(const std::string& name) {
    struct stat info;
    if (!CheckKey(name).ok() ||
        ::fstatat(directory_fd_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return;  // deleted since, or never an object of ours
    if (page_.rows.size() == limit_) {
      page_.more = true;
      return;
    }
    page_.rows.push_back(
        {name, {"", static_cast<uint64_t>(info.st_size), info.st_mtime}});
  }

  const int directory_fd_;
  const std::string_view prefix_;
  const std::string_view after_;
  const size_t limit_;
  ObjectPage page_;
};

}  // namespace

Result<ObjectPage> ListFiles(int directory_fd, std::string_view prefix,
                             std::string_view after, size_t limit) {
  return Lister(directory_fd, prefix, after, limit).Run();
}

}  // namespace morsel
