// SPDX-License-Identifier: Apache-2.0
// A mount namespace of this process's own, for the time of one container: its
// root is seen by nobody else, and goes by itself if we are killed.
//
// Thread safety: namespaces belong to the thread; one of these at a time, on
// the thread that made it.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class PrivateMounts {
 public:
  // What other devices of Morsel have mounted is let go in here, or it could
  // not be detached before our end: where mounts do not propagate, a copy
  // keeps the file system. Two kinds stay: mounts that hold one of
  // `needed_paths`, and images that are mounted below one, as whoever binds a
  // folder wants what is seen in it. Those are in use until our end. FUSE files
  // of devices below a needed path go all the same: they are none of a
  // container's, and would keep every device of the worker.
  // kDenied: needs root. kInvalid: a path cannot be followed.
  static Result<PrivateMounts> Enter(
      const Config& config, const std::vector<std::string>& needed_paths);
  PrivateMounts(PrivateMounts&&) noexcept = default;
  PrivateMounts& operator=(PrivateMounts&&) noexcept = default;
  ~PrivateMounts();

  // Back to the namespace, root and working directory of before; everything
  // mounted in here goes.
  Status Leave();

 private:
  PrivateMounts(Fd outside, Fd root)
      : outside_(std::move(outside)), root_(std::move(root)) {}

  Fd outside_;  // none: left
  Fd root_;     // out there
};

}  // namespace morsel
