// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

namespace morsel {
namespace {

class KernelRandom final : public Random {
 public:
  void Fill(MutableByteSpan out) override {
    while (!out.empty()) {
      const ssize_t n = ::getrandom(out.data(), out.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      CHECK(n > 0);
      out = out.subspan(static_cast<size_t>(n));
    }
  }
};

}  // namespace

Random& SystemRandom() {
  static KernelRandom random;
  return random;
}

std::string RandomHex(Random& random, size_t byte_count) {
  Bytes bytes(byte_count);
  random.Fill(bytes);
  return ToHex(bytes);
}

}  // namespace morsel
