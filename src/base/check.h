// SPDX-License-Identifier: Apache-2.0
// Checks of our own promises. A failed CHECK is a programmer's error: it
// prints where and what, and aborts. Data from peers, disks and images gets an
// Error instead, never a CHECK.
#pragma once

namespace morsel {

[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace morsel

#define CHECK(cond)                                     \
  do {                                                  \
    if (!(cond)) [[unlikely]]                           \
      ::morsel::CheckFailed(__FILE__, __LINE__, #cond); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(cond) \
  do {               \
  } while (false && (cond))
#else
#define DCHECK(cond) CHECK(cond)
#endif
