// SPDX-License-Identifier: Apache-2.0
#include "store/dir_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "store/dir_files.h"

namespace morsel {
namespace {

constexpr const char* kHiddenFolder = ".morsel";

std::string FolderOf(const std::string& key) {
  const size_t slash = key.rfind('/');
  return slash == std::string::npos ? std::string() : key.substr(0, slash);
}

std::string NameOf(const std::string& key) {
  return key.substr(key.rfind('/') + 1);
}

struct OpenObject {
  Fd fd;
  struct stat info;
};

// A folder is no object, nor is anything that is not a regular file.
Result<OpenObject> OpenObjectFile(int directory_fd, const std::string& key) {
  OpenObject object;
  ASSIGN_OR_RETURN(object.fd, OpenFileAt(directory_fd, key,
                                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (::fstat(object.fd.get(), &object.info) != 0)
    return ErrnoError(errno, "stat " + key);
  if (!S_ISREG(object.info.st_mode))
    return MakeError(Code::kNotFound, key + ": no such object");
  return object;
}

Result<ObjectInfo> InfoOf(const OpenObject& object) {
  ASSIGN_OR_RETURN(std::string version,
                   FileVersion(object.fd.get(), object.info));
  return ObjectInfo{std::move(version),
                    static_cast<uint64_t>(object.info.st_size),
                    object.info.st_mtime};
}

// ENOTDIR and EISDIR mean that one key is the folder of another.
Error PlaceError(int reason, const std::string& what, const std::string& key) {
  if (reason == ENOTDIR || reason == EISDIR)
    return MakeError(Code::kInvalid,
                     what + " " + key +
                         ": it lies under an object, or objects lie under it; "
                         "choose another name");
  return ErrnoError(reason, what + " " + key);
}

// No symbolic link is followed.
Result<Fd> EnterFolder(int parent_fd, const std::string& name,
                       const std::string& key) {
  Fd folder(::openat(parent_fd, name.c_str(),
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return PlaceError(errno, "enter the folder of", key);
  return folder;
}

// The folder of `key` if it is there.
Result<Fd> EnterFolders(int directory_fd, const std::string& key) {
  ASSIGN_OR_RETURN(Fd at, EnterFolder(directory_fd, ".", key));
  for (size_t begin = 0, slash; (slash = key.find('/', begin)) != key.npos;
       begin = slash + 1) {
    ASSIGN_OR_RETURN(
        at, EnterFolder(at.get(), key.substr(begin, slash - begin), key));
  }
  return at;
}

// A folder of the first level with a hidden one in it, both `owner`'s.
Status MakePart(int directory_fd, const std::string& name, uid_t owner) {
  bool is_new = false;
  for (const std::string& folder : {name, name + "/" + kHiddenFolder}) {
    const bool made = ::mkdirat(directory_fd, folder.c_str(), 0755) == 0;
    if (!made && errno != EEXIST)
      return ErrnoError(errno, "make the folder " + folder);
    is_new = is_new || made;
    ASSIGN_OR_RETURN(
        const Fd opened,
        OpenFileAt(directory_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct stat info;
    if (::fstat(opened.get(), &info) != 0)
      return ErrnoError(errno, "stat " + folder);
    if (owner == 0 || info.st_uid == owner) continue;
    if (::fchown(opened.get(), owner, static_cast<gid_t>(-1)) != 0)
      return ErrnoError(errno, "give the folder " + folder + " away");
  }
  return is_new ? SyncFolder(directory_fd, "") : Ok();
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> DirStore::Open(const std::string& path,
                                                    Access access) {
  const bool is_new = ::access(path.c_str(), F_OK) != 0;
  if (access == Access::kWrite)
    RETURN_IF_ERROR_AS(MakeDirectories(path, 0755), "open the store");
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode))
    return MakeError(Code::kInvalid, path + " is a file: name a folder");
  ASSIGN_OR_RETURN_AS(Fd directory, OpenFile(path, O_RDONLY | O_DIRECTORY),
                      "open the store");
  // Whatever the umask is: the local cache reads as a user of its own.
  if (is_new && ::fchmod(directory.get(), 0755) != 0)
    return ErrnoError(errno, "set the mode of " + path);
  auto store = FromDirectory(std::move(directory), access);
  if (!store.ok()) return std::move(store).error().Wrap("the store " + path);
  return store;
}

Result<std::unique_ptr<ObjectStore>> DirStore::OpenParts(
    const std::string& path, const std::vector<std::string>& parts,
    uid_t owner) {
  ASSIGN_OR_RETURN(auto store, Open(path, Access::kWriteParts));
  ASSIGN_OR_RETURN(const Fd directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  for (const std::string& part : parts) {
    // Who has no right to make it may have one to write there.
    const Status ignored = MakePart(directory.get(), part, owner);
    static_cast<void>(ignored);
  }
  return store;
}

Result<std::unique_ptr<ObjectStore>> DirStore::FromDirectory(Fd directory,
                                                             Access access) {
  struct stat info;
  if (::fstat(directory.get(), &info) != 0)
    return ErrnoError(errno, "stat the store's folder");
  if (!S_ISDIR(info.st_mode))
    return MakeError(Code::kInvalid, "the store's descriptor is no folder");
  std::unique_ptr<DirStore> store(
      new DirStore(std::move(directory), access));  // the constructor is hidden
  if (access == Access::kWrite) RETURN_IF_ERROR(store->PrepareForWriting());
  return std::unique_ptr<ObjectStore>(std::move(store));
}

Result<DirStore::Part> DirStore::OpenPart(int directory_fd,
                                          const std::string& folder) {
  Part part;
  ASSIGN_OR_RETURN(part.hidden,
                   OpenFileAt(directory_fd, folder + kHiddenFolder,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat info;
  if (::fstat(part.hidden.get(), &info) != 0)
    return ErrnoError(errno, "stat " + folder + kHiddenFolder);
  part.owner = info.st_uid;
  RETURN_IF_ERROR(SweepTempFiles(part.hidden.get()));
  return part;
}

Status DirStore::PrepareForWriting() {
  if (::mkdirat(directory_.get(), kHiddenFolder, 0755) != 0 && errno != EEXIST)
    return ErrnoError(errno, "make the folder .morsel");
  ASSIGN_OR_RETURN(whole_, OpenPart(directory_.get(), ""));
  return CheckConditionalWrites(*this);
}

Status DirStore::CheckWrite(std::string_view key) const {
  RETURN_IF_ERROR(CheckKey(key));
  if (access_ == Access::kRead)
    return MakeError(Code::kDenied, "write " + std::string(key) +
                                        ": the store is open for reading");
  return Ok();
}

// That a folder is no part is not remembered: it may become one.
Result<const DirStore::Part*> DirStore::PartOf(const std::string& key) {
  const std::string top = key.substr(0, key.find('/'));
  {
    const MutexLock lock(mutex_);
    if (const auto known = parts_.find(top); known != parts_.end())
      return &known->second;
  }
  Result<Part> part = OpenPart(directory_.get(), top + "/");
  if (!part.ok() && access_ == Access::kWrite) return &whole_;
  if (!part.ok())
    return MakeError(Code::kDenied, "write " + key + ": " + top +
                                        "/ cannot be written by this process");
  const MutexLock lock(mutex_);
  return &parts_.emplace(top, std::move(part).value()).first->second;
}

Result<ObjectData> DirStore::Get(std::string_view key, uint64_t offset,
                                 uint64_t limit_bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  const std::string name(key);
  ASSIGN_OR_RETURN(const OpenObject object,
                   OpenObjectFile(directory_.get(), name));
  ObjectData data;
  ASSIGN_OR_RETURN_AS(data.info, InfoOf(object), name);
  const uint64_t begin = std::min(offset, data.info.size_bytes);
  data.bytes.resize(std::min(limit_bytes, data.info.size_bytes - begin));
  RETURN_IF_ERROR_AS(ReadFullAt(object.fd.get(), begin, data.bytes), name);
  return data;
}

Result<ObjectInfo> DirStore::Head(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  const std::string name(key);
  ASSIGN_OR_RETURN(const OpenObject object,
                   OpenObjectFile(directory_.get(), name));
  return InfoOf(object);
}

Status DirStore::MakeFolder(int parent_fd, const std::string& name,
                            const std::string& path, const Part& part) {
  {
    const MutexLock lock(mutex_);
    if (folders_.contains(path)) return Ok();
  }
  const bool made = ::mkdirat(parent_fd, name.c_str(), 0755) == 0;
  if (!made && errno != EEXIST)
    return PlaceError(errno, "make the folder", path);
  if (made) {
    ASSIGN_OR_RETURN(const Fd folder, EnterFolder(parent_fd, name, path));
    // Whatever the umask is.
    if (::fchmod(folder.get(), 0755) != 0)
      return PlaceError(errno, "set the mode of the folder", path);
    const bool is_anothers = ::geteuid() == 0 && part.owner != 0;
    if (is_anothers &&
        ::fchown(folder.get(), part.owner, static_cast<gid_t>(-1)) != 0)
      return PlaceError(errno, "give away the folder", path);
  }
  // Synced even if another process made it: it may not have come to that.
  RETURN_IF_ERROR(SyncFolder(parent_fd, ""));
  const MutexLock lock(mutex_);
  folders_.insert(path);
  return Ok();
}

Result<Fd> DirStore::MakeFolders(const std::string& key, const Part& part) {
  ASSIGN_OR_RETURN(Fd at, EnterFolder(directory_.get(), ".", key));
  for (size_t begin = 0, slash; (slash = key.find('/', begin)) != key.npos;
       begin = slash + 1) {
    const std::string name = key.substr(begin, slash - begin);
    RETURN_IF_ERROR(MakeFolder(at.get(), name, key.substr(0, slash), part));
    ASSIGN_OR_RETURN(at, EnterFolder(at.get(), name, key));
  }
  return at;
}

void DirStore::ForgetFolders() {
  const MutexLock lock(mutex_);
  folders_.clear();
}

Status DirStore::SyncFolderOf(const std::string& key) const {
  return SyncFolder(directory_.get(), FolderOf(key));
}

Status DirStore::LinkOnce(const std::string& key, ByteSpan bytes) {
  ASSIGN_OR_RETURN(const Part* const part, PartOf(key));
  ASSIGN_OR_RETURN(const Fd folder, MakeFolders(key, *part));
  ASSIGN_OR_RETURN_AS(TempFile file, TempFile::Write(part->hidden.get(), bytes),
                      key);
  if (::linkat(part->hidden.get(), file.name().c_str(), folder.get(),
               NameOf(key).c_str(), 0) != 0)
    return PlaceError(errno, "store", key);
  file.Remove();  // before the folder is synced: one journal commit for both
  return SyncFolder(folder.get(), "");
}

Status DirStore::PutIfAbsent(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckWrite(key));
  const std::string name(key);
  struct stat info;
  if (::fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) ==
      0) {
    if (S_ISDIR(info.st_mode)) return PlaceError(EISDIR, "store", name);
    // Another writer may have linked it and not yet synced: who is told that
    // it exists relies on it.
    RETURN_IF_ERROR(SyncFolderOf(name));
    return MakeError(Code::kExists, name + " exists");
  }
  Status stored = LinkOnce(name, bytes);
  if (!stored.ok() && stored.error().code == Code::kNotFound) {
    ForgetFolders();  // someone removed a folder by hand: make it again
    stored = LinkOnce(name, bytes);
  }
  if (!stored.ok() && stored.error().code == Code::kExists)
    RETURN_IF_ERROR(SyncFolderOf(name));
  return stored;
}

Status DirStore::Replace(const std::string& key, ByteSpan bytes,
                         const std::string_view* version) {
  ASSIGN_OR_RETURN(const Part* const part, PartOf(key));
  ASSIGN_OR_RETURN(const Fd folder, MakeFolders(key, *part));
  ASSIGN_OR_RETURN_AS(TempFile file, TempFile::Write(part->hidden.get(), bytes),
                      key);
  {
    ASSIGN_OR_RETURN(const Fd lock, LockKey(part->hidden.get(), key));
    if (version != nullptr) {
      ASSIGN_OR_RETURN(const ObjectInfo now, Head(key));
      if (now.version != *version)
        return MakeError(Code::kExists, key + " has changed meanwhile");
    }
    if (::renameat(part->hidden.get(), file.name().c_str(), folder.get(),
                   NameOf(key).c_str()) != 0)
      return PlaceError(errno, "store", key);
  }
  return SyncFolder(folder.get(), "");
}

Status DirStore::Put(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckWrite(key));
  const std::string name(key);
  const Status stored = Replace(name, bytes, nullptr);
  if (stored.ok() || stored.error().code != Code::kNotFound) return stored;
  ForgetFolders();
  return Replace(name, bytes, nullptr);
}

Status DirStore::ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                                    std::string_view version) {
  RETURN_IF_ERROR(CheckWrite(key));
  // Asked again under the lock; this spares the folders of a missing object.
  ASSIGN_OR_RETURN(const ObjectInfo now, Head(key));
  if (now.version != version)
    return MakeError(Code::kExists, std::string(key) + " has changed");
  return Replace(std::string(key), bytes, &version);
}

Status DirStore::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckWrite(key));
  const std::string name(key);
  ASSIGN_OR_RETURN(const Part* const part, PartOf(name));
  const Result<Fd> folder = EnterFolders(directory_.get(), name);
  // kInvalid: an object lies in the place of a folder.
  if (!folder.ok() && (folder.error().code == Code::kNotFound ||
                       folder.error().code == Code::kInvalid))
    return Ok();
  if (!folder.ok()) return folder.error();
  {
    ASSIGN_OR_RETURN(const Fd lock, LockKey(part->hidden.get(), name));
    if (::unlinkat(folder->get(), NameOf(name).c_str(), 0) != 0) {
      if (errno == ENOENT || errno == EISDIR) return Ok();
      return ErrnoError(errno, "delete " + name);
    }
  }
  return SyncFolder(folder->get(), "");
}

Result<ObjectPage> DirStore::List(std::string_view prefix,
                                  std::string_view after, size_t limit) {
  return ListFiles(directory_.get(), prefix, after, limit);
}

Status DirStore::Copy(std::string_view source, std::string_view target) {
  RETURN_IF_ERROR(CheckWrite(target));
  ASSIGN_OR_RETURN(const ObjectData data, Get(source, 0, UINT64_MAX));
  return Put(target, data.bytes);
}

}  // namespace morsel
