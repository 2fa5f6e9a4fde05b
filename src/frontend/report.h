// SPDX-License-Identifier: Apache-2.0
// What the processes of an agent say to each other and to the starter: an error
// as {"error": {"code": WORD, "message": TEXT}}; and a child that has lost its
// local cache, {"needs_cache": N}.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace morsel {

Json ErrorReport(const Error& error);
// Ok if the text reports none; kInternal if it is no report.
Status ParseReport(std::string_view text);

// A live local cache cuts off who does not read its answers, and only the guard
// can connect. `received` is how many connections the child has got so far: one
// that is on its way makes the word void.
Json NeedsCacheReport(uint64_t received);
// `received`, if the text is such a word.
std::optional<uint64_t> ParseNeedsCache(std::string_view text);

}  // namespace morsel
