// SPDX-License-Identifier: Apache-2.0
// The figures of a worker's zone cache client, for Prometheus and for
// `morsel stat`.
//
// Thread safety: free functions.
#pragma once

#include "base/json.h"
#include "base/metrics.h"
#include "zonecache/striped_source.h"

namespace morsel {

// `source` must outlive the last Text of `metrics`.
void ExportStripedMetrics(Metrics& metrics, const StripedSource& source);

// {"stripes_bad": ..., "nodes": [{"node": ..., "down": ...}]}
Json StripedFigures(const StripedSource& source);

}  // namespace morsel
