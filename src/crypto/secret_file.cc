// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret_file.h"

#include <fcntl.h>

#include <algorithm>

namespace morsel {
namespace {

constexpr size_t kFirstBytes = 4096;

// The same bytes in a buffer of another size; the old one wipes itself.
SecretBuffer Resized(const SecretBuffer& old, size_t used, size_t size) {
  SecretBuffer other(size);
  std::copy_n(old.bytes().begin(), used, other.mutable_bytes().begin());
  return other;
}

}  // namespace

Result<SecretBuffer> ReadSecrets(const Fd& file, const std::string& what,
                                 uint64_t limit_bytes) {
  SecretBuffer buffer(kFirstBytes);
  size_t used = 0;
  while (true) {
    ASSIGN_OR_RETURN_AS(
        const size_t n,
        ReadUpTo(file.get(), buffer.mutable_bytes().subspan(used)), what);
    used += n;
    if (used > limit_bytes)
      return MakeError(Code::kExhausted,
                       what + ": larger than " + HumanSize(limit_bytes));
    if (used < buffer.size()) return Resized(buffer, used, used);
    buffer = Resized(buffer, used, 2 * used);
  }
}

Result<SecretBuffer> ReadSecretFile(const std::string& path,
                                    uint64_t limit_bytes) {
  ASSIGN_OR_RETURN(const Fd file, OpenFile(path, O_RDONLY));
  return ReadSecrets(file, path, limit_bytes);
}

}  // namespace morsel
