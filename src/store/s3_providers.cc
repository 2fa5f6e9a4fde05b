// SPDX-License-Identifier: Apache-2.0
#include "store/conformance.h"
#include "store/test_s3.h"

namespace morsel {

std::vector<ConformanceProvider> ConformanceProviders() {
  return {{"S3", [](const std::string&) {
             const std::optional<TestS3> s3 = TestS3::Find();
             // By hand: tests/rgw.sh up DIR; MORSEL_TEST_RGW=DIR/env.
             CHECK(s3.has_value());
             return s3->Store();
           }}};
}

}  // namespace morsel
