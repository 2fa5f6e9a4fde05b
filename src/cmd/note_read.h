// SPDX-License-Identifier: Apache-2.0
// A read of an expired root succeeds, and is an alarm that stops all deletion
// (origin/alarm.h). Of attached devices the local cache raises it; of what a
// person reads by a verb, this does.
//
// Thread safety: owned by main.
#pragma once

#include <string>

#include "cmd/tool.h"

namespace morsel {

// Looks at the root where the image that was just read is now; to be called
// before what may fail. If that is
// expired: raises the alarm, or says on stderr that it may not. A state that
// cannot be read is none of its business: the read has succeeded.
void NoteRead(Tool& tool, const ManifestRecord& record,
              const std::string& verb);

}  // namespace morsel
