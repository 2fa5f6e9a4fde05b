// SPDX-License-Identifier: Apache-2.0
#include "keys/open_key_service.h"

#include "keys/file_key_service.h"
#include "keys/kms_key_service.h"
#include "net/aws_credentials.h"

namespace morsel {

bool UsesKeyFile(const Config& config) {
  return config.Text("keys.provider") == "file";
}

Result<std::unique_ptr<KeyService>> OpenKeyService(
    const Config& config, const std::string& key_file) {
  const std::string& provider = config.Text("keys.provider");
  if (provider == "file") return FileKeyService::Open(key_file);
  if (provider != "aws-kms")
    return MakeError(Code::kInvalid, "keys.provider: there is no '" + provider +
                                         "'; there are file and aws-kms");
  return KmsKeyService::Open({.key = config.Text("kms.key"),
                              .region = AwsRegion(config.Text("kms.region")),
                              .endpoint = config.Text("kms.endpoint"),
                              .ca_file = config.Text("kms.ca_file"),
                              .profile = config.Text("kms.profile")});
}

}  // namespace morsel
