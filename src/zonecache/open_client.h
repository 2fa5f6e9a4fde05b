// SPDX-License-Identifier: Apache-2.0
// The zone cache as the settings `zone_cache.*` describe it.
//
// Thread safety: as StripedSource; Reload by one thread at a time.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/config.h"
#include "base/result.h"
#include "zonecache/striped_source.h"

namespace morsel {

// Whether there is a zone cache at all.
bool HasZoneCache(const Config& config);

// Opens certificates and looks the nodes up, so it is called before a process
// gives up its rights; afterwards it needs socket, connect, getsockopt,
// setsockopt and poll. Requires: HasZoneCache. kInvalid: a setting is wrong,
// and which.
Result<std::unique_ptr<StripedSource>> OpenZoneCache(const Config& config,
                                                     Clock& clock);

// The nodes of the settings, for a source that was opened: on SIGHUP.
// kInvalid: the list is wrong; the old one stays.
Status ReloadZoneNodes(const Config& config, StripedSource& source);

}  // namespace morsel
