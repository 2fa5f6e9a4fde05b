// SPDX-License-Identifier: Apache-2.0
// How an error crosses from one process of an agent to the next, and to the
// starter: {"error": {"code": WORD, "message": TEXT}}.
//
// Thread safety: free functions.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace morsel {

// What a child says to its guard when it has lost its local cache: a live one
// cuts off who does not read its answers, and only the guard can connect.
inline constexpr std::string_view kNeedsCache = "needs a local cache";

Json ErrorReport(const Error& error);
// Ok if the text reports none; kInternal if it is no report.
Status ParseReport(std::string_view text);

}  // namespace morsel
