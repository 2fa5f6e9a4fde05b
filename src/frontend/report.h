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

Json ErrorReport(const Error& error);
// Ok if the text reports none; kInternal if it is no report.
Status ParseReport(std::string_view text);

}  // namespace morsel
