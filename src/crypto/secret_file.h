// SPDX-License-Identifier: Apache-2.0
// Reading a file of secrets: every buffer that holds a part of it on the way
// is wiped.
//
// Thread safety: free functions.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "crypto/secret.h"

namespace morsel {

// What is left to read of `file`. `what` names it in errors. kExhausted: it is
// larger than `limit_bytes`; kIo.
Result<SecretBuffer> ReadSecrets(const Fd& file, const std::string& what,
                                 uint64_t limit_bytes);
// The whole file; also the errors of OpenFile.
Result<SecretBuffer> ReadSecretFile(const std::string& path,
                                    uint64_t limit_bytes);

}  // namespace morsel
