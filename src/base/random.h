// SPDX-License-Identifier: Apache-2.0
// Random numbers come in through this interface, so that tests and
// simulations own them. Thread safety: implementations are thread-safe.
#pragma once

#include "base/bytes.h"

namespace morsel {

class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(MutableByteSpan out) = 0;
};

// The kernel's (getrandom), fit for keys. Aborts if there is none.
Random& SystemRandom();

// `byte_count` random bytes as lower-case hexadecimal: for ids.
std::string RandomHex(Random& random, size_t byte_count);

}  // namespace morsel
