// SPDX-License-Identifier: Apache-2.0
// From the settings (`keys.provider`, `key_file`, `kms.*`) to a key service.
//
// Thread safety: free functions.
#pragma once

#include <memory>
#include <string>

#include "base/config.h"
#include "base/result.h"
#include "keys/key_service.h"

namespace morsel {

// True if the keys are in a file, not in a service.
bool UsesKeyFile(const Config& config);

// kInvalid: no such provider; else the errors of the provider's opening.
Result<std::unique_ptr<KeyService>> OpenKeyService(const Config& config,
                                                   const std::string& key_file);

}  // namespace morsel
