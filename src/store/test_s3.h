// SPDX-License-Identifier: Apache-2.0
// The S3 service of tests/rgw.sh for tests: MORSEL_TEST_RGW names its file of
// settings; ctest starts it and sets that.
#pragma once

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/random.h"
#include "store/s3_store.h"

namespace morsel {

class TestS3 {
 public:
  // No value where there is no such service.
  static std::optional<TestS3> Find() {
    const char* path = std::getenv("MORSEL_TEST_RGW");
    if (path == nullptr) return std::nullopt;
    const Result<Bytes> file = ReadWholeFile(path, kMiB);
    if (!file.ok()) return std::nullopt;
    TestS3 found;
    std::string_view text = AsText(*file);
    while (!text.empty()) {
      const std::string line(text.substr(0, text.find('\n')));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      const size_t equals = line.find('=');
      if (equals != std::string::npos)
        found.settings_[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return found;
  }

  const std::string& Setting(const std::string& name) const {
    return settings_.at(name);
  }

  // A place of its own in the bucket, with more options after it ("&a=b").
  S3Address Address(const std::string& options = "") const {
    return ParseS3Address("s3://" + Setting("MORSEL_TEST_BUCKET") + "/" +
                          RandomHex(SystemRandom(), 8) +
                          "?endpoint=" + Setting("MORSEL_S3_ENDPOINT") +
                          "&region=" + Setting("MORSEL_S3_REGION") + options)
        .value();
  }

  S3Store::Parts Parts(RetryBudget& retries) const {
    return {.http = MakeHttpClient({}).value(),
            .credentials = MakeAwsCredentialSource(
                {.profile = "",
                 .environment = [settings = settings_](const std::string& name)
                     -> std::optional<std::string> {
                   const auto it = settings.find(name);
                   if (it == settings.end()) return std::nullopt;
                   return it->second;
                 }}),
            .retries = retries,
            .clock = SystemClock()};
  }

  std::unique_ptr<ObjectStore> Store(const std::string& options = "") const {
    auto store = S3Store::Open(Address(options), Access::kWrite,
                               Parts(ProcessRetryBudget()));
    CHECK(store.ok());
    return std::move(store).value();
  }

 private:
  TestS3() = default;

  std::map<std::string, std::string> settings_;
};

}  // namespace morsel
