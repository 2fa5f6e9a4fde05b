// SPDX-License-Identifier: Apache-2.0
#include "zonecache/client_metrics.h"

namespace morsel {
namespace {

const std::string kPrefix = "morsel_zone_cache_";

void Show(Metrics& metrics, const StripedStats& stats) {
  const auto total = [&](const char* name, const char* help, uint64_t value) {
    metrics.MakeCounter(kPrefix + name, help).SetTotal(value);
  };
  total("decoded_total", "Chunks that were rebuilt with a parity stripe.",
        stats.decoded);
  total("stripes_bad_total",
        "Stripes that nodes gave and that were damaged; none was used.",
        stats.bad_stripes);
  total("stripes_repaired_total", "Damaged stripes that were replaced.",
        stats.repaired);
  total("stripes_added_total", "Stripes that were put where none was.",
        stats.added);
  total("stripes_not_put_total", "Stripes that a node did not take.",
        stats.put_failures);
  total("puts_queued_total", "Chunks that were queued to be put.",
        stats.queued);
  total("puts_dropped_total", "Chunks that the queue had no room for.",
        stats.dropped);
  total("nodes_passed_over_total",
        "Stripes that were not asked for, as the node was down or behind.",
        stats.nodes_passed_over);
}

int64_t CountDown(const std::vector<NodeState>& nodes) {
  int64_t down = 0;
  for (const NodeState& node : nodes) down += node.stats.is_down ? 1 : 0;
  return down;
}

}  // namespace

void ExportStripedMetrics(Metrics& metrics, const StripedSource& source) {
  metrics.OnCollect([&metrics, &source] {
    Show(metrics, source.Stats());
    const std::vector<NodeState> nodes = source.Nodes();
    metrics.MakeGauge(kPrefix + "nodes", "Nodes that this worker knows.")
        .Set(static_cast<int64_t>(nodes.size()));
    metrics
        .MakeGauge(kPrefix + "nodes_down",
                   "Nodes of them that do not answer this worker.")
        .Set(CountDown(nodes));
  });
}

Json StripedFigures(const StripedSource& source) {
  const StripedStats stats = source.Stats();
  Json json;
  json["decoded"] = stats.decoded;
  json["stripes_bad"] = stats.bad_stripes;
  json["stripes_repaired"] = stats.repaired;
  json["stripes_added"] = stats.added;
  json["stripes_not_put"] = stats.put_failures;
  json["puts_queued"] = stats.queued;
  json["puts_dropped"] = stats.dropped;
  Json nodes{Json::Array()};
  for (const NodeState& state : source.Nodes()) {
    Json node;
    node["node"] = state.address;
    node["down"] = state.stats.is_down;
    node["connections"] = state.stats.connections;
    node["failures"] = state.stats.failures;
    node["passed_over"] = state.stats.passed_over;
    nodes.Append(std::move(node));
  }
  json["nodes"] = std::move(nodes);
  return json;
}

}  // namespace morsel
