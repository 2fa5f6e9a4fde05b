// SPDX-License-Identifier: Apache-2.0
// The OCI bundle of a container: from an image's config and the options of
// `morsel run` to runc's config.json (runtime-spec 1.0.2) and the files that
// are bound over /etc/hostname, /etc/hosts and /etc/resolv.conf.
//
// Thread safety: functions without state.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "sandbox/image_config.h"
#include "sandbox/rootfs.h"
#include "sandbox/run_options.h"

namespace morsel {

// What will run, after image and options were merged.
struct ProcessPlan {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string working_dir;
  ContainerUser user;
  std::string hostname;

  // The value of PATH in `env`.
  std::string SearchPath() const;
};

// kInvalid: no command, or a relative working directory; kNotFound: a user or
// group that the image does not have.
Result<ProcessPlan> PlanProcess(const Rootfs& rootfs, const ImageConfig& image,
                                const RunOptions& options,
                                const std::string& container_id);

struct BundleRequest {
  std::string bundle_dir;  // exists; etc/ and config.json are written to it
  std::string rootfs_dir;  // where the root is mounted
  std::string container_id;
  bool read_only_device = false;  // nothing can be made in the root
};

// Writes the bundle. kInvalid: a capability or bind that cannot be; kNotFound:
// the host's side of a bind does not exist; kIo.
Status WriteBundle(const BundleRequest& request, const Rootfs& rootfs,
                   const ProcessPlan& plan, const RunOptions& options);

}  // namespace morsel
