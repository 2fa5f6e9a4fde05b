// SPDX-License-Identifier: Apache-2.0
// The providers that a test is run against, here and in the folders above: each
// test program links local_providers.cc (memory, a directory) or
// s3_providers.cc (the service of tests/rgw.sh).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/object_store.h"

namespace morsel {

struct ConformanceProvider {
  const char* name;
  // A store with nothing in it; `folder` does not exist yet.
  std::function<std::unique_ptr<ObjectStore>(const std::string& folder)> make;
};

std::vector<ConformanceProvider> ConformanceProviders();

}  // namespace morsel
