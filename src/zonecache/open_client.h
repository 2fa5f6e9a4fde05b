// SPDX-License-Identifier: Apache-2.0
// The zone cache as the settings `zone_cache.*` describe it.
//
// Thread safety: as StripedSource; Reload by one thread at a time.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/config.h"
#include "base/result.h"
#include "zonecache/etcd.h"
#include "zonecache/striped_source.h"

namespace morsel {

// Whether there is a zone cache at all.
bool HasZoneCache(const Config& config);

struct ZoneCache {
  std::unique_ptr<StripedSource> source;
  // Keeps the source's nodes those of etcd; null with a static list.
  std::unique_ptr<EtcdMembership> membership;

  // To be called once; until then there is no thread.
  void Begin() {
    if (membership != nullptr) membership->Begin();
  }
};

// Opens certificates and looks the nodes up, so it is called before a process
// gives up its rights, and Begin after that. It then needs poll and what
// HttpSyscalls names: nodes may have names, which SIGHUP looks up.
// Requires: HasZoneCache. kInvalid: a setting is wrong, and which.
Result<ZoneCache> OpenZoneCache(const Config& config, Clock& clock);

// The static list of the settings once more: on SIGHUP. With etcd it does
// nothing. kInvalid: the list is wrong; the old one stays.
Status ReloadZoneNodes(const Config& config, StripedSource& source);

// zone_cache.etcd and its prefix. Requires that it is set.
EtcdOptions EtcdOptionsOf(const Config& config);

}  // namespace morsel
