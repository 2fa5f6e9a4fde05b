// SPDX-License-Identifier: Apache-2.0
// What a path will mean in a container that has not started yet: its root file
// system with the folders and files of -v over it, though nothing is bound yet.
//
// Symlinks are followed by us, one step after the other, since a step may lead
// from a bind into the image and back; the kernel opens each step inside the
// one or the other, so that no path leads to the host (rootfs.h).
//
// Thread safety: const functions may run at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "sandbox/rootfs.h"
#include "sandbox/run_options.h"

namespace morsel {

class ContainerView {
 public:
  // `rootfs` must outlive it. A later bind covers those before it. kNotFound:
  // the host has no such file; kInvalid: more than 40 symlinks.
  static Result<ContainerView> Make(const Rootfs& rootfs,
                                    const std::vector<BindMount>& binds);

  // As open(2) in the container. kNotFound, kDenied, kInvalid as above.
  Result<Fd> Open(const std::string& path, uint64_t flags) const;
  bool has_binds() const { return !binds_.empty(); }

 private:
  struct Bind {
    std::string path;  // in the container, no symlink in it
    std::string host_path;
    Fd host;
  };
  // What to do where a path ends in the middle.
  enum class Missing { kFails, kIsTakenAsNamed };

  explicit ContainerView(const Rootfs& rootfs) : rootfs_(rootfs) {}

  // The same path without symlinks, "." and "..".
  Result<std::string> Resolve(const std::string& path, Missing missing) const;
  Result<Fd> OpenStep(const std::string& resolved, uint64_t flags) const;
  // runc makes the folders above the place of a bind.
  bool IsAboveABind(const std::string& resolved) const;

  const Rootfs& rootfs_;
  std::vector<Bind> binds_;
};

}  // namespace morsel
