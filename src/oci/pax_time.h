// SPDX-License-Identifier: Apache-2.0
// The one thing in a tar header that libarchive drops: the sign of a time
// between -1 s and 0, which it gives as 0 s and a fraction.
//
// Format: pax extended headers, POSIX.1-2017 "pax", "pax Extended Header".
//
// Thread safety: pure functions.
#pragma once

#include "base/bytes.h"

namespace morsel {

// Whether the pax records among the header blocks of one entry give it a
// modification time with a minus sign. `headers` begins with the entry's first
// block; blocks that are cut short or make no sense have no records.
bool HasNegativePaxTime(ByteSpan headers);

}  // namespace morsel
