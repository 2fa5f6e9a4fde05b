// SPDX-License-Identifier: Apache-2.0
// What a person does about an object of the origin that is damaged: it depends
// on what the object is for, and so on its key alone.
//
// Thread safety: a free function.
#pragma once

#include <string_view>

#include "base/result.h"

namespace morsel {

// `error` of reading the object `key`, with the next step at its end if it is
// kCorrupt. What a newer Morsel wrote is not damaged: that error says what to
// do already.
Error WithNextStep(Error error, std::string_view key);

}  // namespace morsel
