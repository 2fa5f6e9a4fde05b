// SPDX-License-Identifier: Apache-2.0
// A node's figures for Prometheus.
//
// Thread safety: a free function.
#pragma once

#include "base/metrics.h"
#include "zonecache/memcache_commands.h"

namespace morsel {

// `node` must outlive the last Text of `metrics`.
void ExportNodeMetrics(Metrics& metrics, NodeParts& node);

}  // namespace morsel
