// SPDX-License-Identifier: Apache-2.0
// A FUSE mount made by hand: mount(2) with an open /dev/fuse, so that whoever
// holds the descriptor keeps the mount alive, whichever process serves it.
//
// Thread safety: owned by one thread.
#pragma once

#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class FuseMount {
 public:
  // Mounts on the folder `path`, for every user that its permissions admit.
  // kDenied: not root; kNotFound: no /dev/fuse; kIo.
  static Result<FuseMount> Make(const std::string& path);
  // Takes over what another has mounted on `path` with `fd`.
  static FuseMount Adopt(Fd fd, std::string path) {
    return FuseMount(std::move(fd), std::move(path));
  }
  FuseMount(FuseMount&& other) noexcept;
  FuseMount& operator=(FuseMount&&) = delete;
  // Aborts, unless unmounted.
  ~FuseMount();

  int fd() const { return fd_.get(); }
  // Unmounted or aborted, by whomever: there is nothing to serve any more.
  bool HasEnded() const;
  // A user waits whose request no server has received yet.
  bool HasWaiting() const;
  // kExists: the file is in use. Its server then sees the connection end.
  Status Unmount();
  // Ends the connection: every request, now and later, gets an error. Then
  // unmounts, from those who still use it too.
  void Abort();

 private:
  FuseMount(Fd fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}

  Fd fd_;
  std::string path_;  // empty: unmounted
};

}  // namespace morsel
