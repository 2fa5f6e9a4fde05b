// SPDX-License-Identifier: Apache-2.0
// Foreign text (of images, servers, files) for a terminal and for messages of
// one line: nothing of it may steer the terminal, or look like a line of its
// own.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>

namespace morsel {

// Control characters as \xNN, those of C1 in UTF-8 (U+0080 to U+009F) too; all
// else, UTF-8 among it, stays.
std::string Printable(std::string_view text);

// Also what is not ASCII as \xNN, and at most `max_bytes` of it, then "...".
std::string PrintableAscii(std::string_view text, size_t max_bytes);

}  // namespace morsel
