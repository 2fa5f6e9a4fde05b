// SPDX-License-Identifier: Apache-2.0
// The parts of DirStore that work on files: temporary files with an owner,
// lock files, versions, and the walk that lists.
//
// Thread safety: free functions; a TempFile or KeyLock is owned by one thread.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "base/fd.h"
#include "store/object_store.h"

namespace morsel {

// A synced file in the hidden folder `folder_fd`, flocked while it lives; the
// destructor removes its name.
class TempFile {
 public:
  // kExhausted if the disk is full; then nothing is left.
  static Result<TempFile> Write(int folder_fd, ByteSpan bytes);
  TempFile(TempFile&&) noexcept = default;
  TempFile& operator=(TempFile&&) = delete;
  ~TempFile() { Remove(); }

  const std::string& name() const { return name_; }
  // Removes the name, e.g. as soon as the file has got another one.
  void Remove();

 private:
  TempFile(int folder_fd, std::string name, Fd fd)
      : folder_fd_(folder_fd), name_(std::move(name)), fd_(std::move(fd)) {}

  int folder_fd_;
  std::string name_;
  Fd fd_;
};

// Removes temporary files in `folder_fd` whose writer is dead: nobody holds
// their flock, and they are older than a minute (one that is just being made
// has no flock yet).
Status SweepTempFiles(int folder_fd);

// Takes the lock of `key`'s shard: one of 256 files in `folder_fd`. Held until
// the descriptor is closed.
Result<Fd> LockKey(int folder_fd, std::string_view key);

// The version of the open file: see dir_store.h.
Result<std::string> FileVersion(int fd, const struct stat& info);

// fsync(2) of the folder `path` under `directory_fd`.
Status SyncFolder(int directory_fd, const std::string& path);

// ObjectStore::List over the files under `directory_fd`.
Result<ObjectPage> ListFiles(int directory_fd, std::string_view prefix,
                             std::string_view after, size_t limit);

}  // namespace morsel
