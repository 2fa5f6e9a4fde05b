// SPDX-License-Identifier: Apache-2.0
// Looking into the root file system of a container that has not started yet:
// who a user is, making the working directory.
//
// Everything in there belongs to the image and may be hostile. Every path is
// resolved by the kernel inside the root (openat2, RESOLVE_IN_ROOT: ".." and
// absolute symlinks stay in it), files are read only if they are regular and
// not too long, and nothing is executed.
//
// Thread safety: const functions may run at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

struct ContainerUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;
  std::string home = "/";
};

// openat2(2): `path` below `dir`, with these RESOLVE_ flags and without magic
// links.
Result<Fd> OpenBelow(const Fd& dir, const std::string& path, uint64_t flags,
                     uint64_t resolve);

class Rootfs {
 public:
  // `dir` is where the root is mounted.
  static Result<Rootfs> Open(const std::string& dir);

  // "", "name", "uid", each also with ":group" or ":gid": as in an OCI
  // config. Supplementary groups are those of /etc/group, unless a group was
  // named. kNotFound: no such name in /etc/passwd or /etc/group; kInvalid: a
  // number that is too large.
  Result<ContainerUser> LookUpUser(const std::string& spec) const;

  // mkdir -p inside the root. `path` is absolute. kInvalid if something else
  // is in the way.
  Status MakeDirectory(const std::string& path) const;

  // True if there is anything at `path`, after symlinks.
  bool Exists(const std::string& path) const;

  // open(2) inside the root.
  Result<Fd> OpenInside(const std::string& path, uint64_t flags) const;

 private:
  explicit Rootfs(Fd root) : root_(std::move(root)) {}

  Result<std::string> ReadTextFile(const std::string& path) const;

  Fd root_;
};

}  // namespace morsel
