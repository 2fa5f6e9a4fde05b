// SPDX-License-Identifier: Apache-2.0
// The providers that conformance_test.cc is run against: each test program
// that it is linked into defines its own.
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
