// SPDX-License-Identifier: Apache-2.0
// DirStore: an ObjectStore in a directory, the embedded default.
//
// An object is the file of its key. It is written under a temporary name,
// synced, and then linked or renamed into place, so it appears whole or not
// at all, and its folder is synced before a write returns. `.morsel/` in the
// directory holds the temporary files and the lock files; keys cannot begin
// with a dot. A crash leaves at most a temporary file, which the next opening
// for writing removes: a living writer holds a flock on its own.
//
// Put, Delete, Copy and ReplaceIfUnchanged of one key exclude each other
// through one of 256 lock files; data is written and synced before the lock is
// taken. PutIfAbsent, the path of all chunks, takes no lock: link(2) decides.
//
// A version is the SHA-256 of an object of up to 16 KiB, which is exact and
// covers all that is ever replaced; of a larger one, inode, size and time of
// change, whose nanoseconds are random.
//
// Files are 0644 and folders 0755, as an origin holds ciphertext only.
//
// A part is a folder of the first level with a `.morsel/` of its own, which may
// belong to another user (OpenParts): he writes there and nowhere else. As he
// is trusted less, no symbolic link is followed below the store's folder by
// who writes, and what root makes in a part belongs to its owner.
//
// Thread safety: thread-safe, and safe among processes on one machine.
// Errors beyond ObjectStore's: kInvalid for a key under a key that is an
// object; kDenied for a write of a store opened for reading.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "store/object_store.h"

namespace morsel {

class DirStore final : public ObjectStore {
 public:
  // kWrite makes the folder, removes what dead writers left, and tries the
  // conditional writes; kRead opens only: kNotFound. kInvalid: no folder.
  static Result<std::unique_ptr<ObjectStore>> Open(const std::string& path,
                                                   Access access);
  // For a process that will give up its rights and become `owner` (0: it stays
  // who it is): opens for reading, and for writing below the folders `parts`,
  // which are made and given to him. One that cannot be: kDenied at the write.
  static Result<std::unique_ptr<ObjectStore>> OpenParts(
      const std::string& path, const std::vector<std::string>& parts,
      uid_t owner);
  // On an open directory, for a process that has no rights on its path. From
  // then on every file is opened relative to it.
  static Result<std::unique_ptr<ObjectStore>> FromDirectory(Fd directory,
                                                            Access access);

  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override;
  Status PutIfAbsent(std::string_view key, ByteSpan bytes) override;
  Status Put(std::string_view key, ByteSpan bytes) override;
  Status ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                            std::string_view version) override;
  Result<ObjectInfo> Head(std::string_view key) override;
  Result<ObjectPage> List(std::string_view prefix, std::string_view after,
                          size_t limit) override;
  Status Delete(std::string_view key) override;
  Status Copy(std::string_view source, std::string_view target) override;

 private:
  DirStore(Fd directory, Access access)
      : directory_(std::move(directory)), access_(access) {}

  // Where the temporary files and locks of some keys lie.
  struct Part {
    Fd hidden;  // a folder .morsel/
    uid_t owner = 0;
  };
  static Result<Part> OpenPart(int directory_fd, const std::string& folder);

  Status PrepareForWriting();
  Status CheckWrite(std::string_view key) const;
  // That of `key`; kDenied if it may not be written.
  Result<const Part*> PartOf(const std::string& key) EXCLUDES(mutex_);
  // The folder of `key`; made, and its parents synced, once a process.
  Result<Fd> MakeFolders(const std::string& key, const Part& part)
      EXCLUDES(mutex_);
  Status MakeFolder(int parent_fd, const std::string& name,
                    const std::string& path, const Part& part) EXCLUDES(mutex_);
  void ForgetFolders() EXCLUDES(mutex_);
  Status SyncFolderOf(const std::string& key) const;
  Status LinkOnce(const std::string& key, ByteSpan bytes);
  // Writes `bytes` to a temporary file and renames it to `key`; unless
  // `version` is null, only if that is the object's version.
  Status Replace(const std::string& key, ByteSpan bytes,
                 const std::string_view* version);

  const Fd directory_;
  const Access access_;
  Part whole_;  // set once, before the store is shared
  Mutex mutex_;
  std::map<std::string, Part, std::less<>> parts_ GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> folders_ GUARDED_BY(mutex_);
};

}  // namespace morsel
