// SPDX-License-Identifier: Apache-2.0
#include "zonecache/ring.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr double kLeastWeight = 0.01;
constexpr double kMostWeight = 100;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error BadEntry(std::string_view entry, const std::string& what) {
  return MakeError(Code::kInvalid,
                   "zone cache node '" + std::string(entry) + "': " + what);
}

Result<NodeSpec> ParseNode(std::string_view entry) {
  NodeSpec node;
  const size_t star = entry.find('*');
  node.address = Trim(entry.substr(0, star));
  const size_t colon = node.address.rfind(':');
  if (colon == std::string::npos || colon == 0 ||
      colon + 1 == node.address.size())
    return BadEntry(entry, "an address is HOST:PORT");
  if (star == std::string_view::npos) return node;
  const std::string_view weight = Trim(entry.substr(star + 1));
  const auto [end, error] = std::from_chars(
      weight.data(), weight.data() + weight.size(), node.weight);
  if (error != std::errc() || end != weight.data() + weight.size() ||
      !(node.weight >= kLeastWeight && node.weight <= kMostWeight))
    return BadEntry(entry, "a weight is a number from 0.01 to 100");
  return node;
}

// The number of a digest's first bytes, and of the chunk's name itself.
uint64_t PositionOf(const Digest& digest, size_t offset) {
  return LoadLe<uint64_t>(&digest[offset]);
}

}  // namespace

Result<std::vector<NodeSpec>> ParseNodes(std::string_view text) {
  std::vector<NodeSpec> nodes;
  while (!text.empty()) {
    const size_t comma = text.find_first_of(",\n");
    const std::string_view entry = Trim(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size()
                                                       : comma + 1);
    if (entry.empty()) continue;
    ASSIGN_OR_RETURN(NodeSpec node, ParseNode(entry));
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  for (size_t i = 1; i < nodes.size(); ++i)
    if (nodes[i].address == nodes[i - 1].address)
      return BadEntry(nodes[i].address, "it is there twice");
  return nodes;
}

Ring::Ring(std::vector<NodeSpec> nodes) : nodes_(std::move(nodes)) {
  // One digest gives four points.
  constexpr size_t kPerDigest = kDigestSize / sizeof(uint64_t);
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const auto count = std::max<size_t>(
        1,
        static_cast<size_t>(std::llround(nodes_[i].weight * kPointsPerWeight)));
    Digest digest{};
    for (size_t p = 0; p < count; ++p) {
      if (p % kPerDigest == 0)
        digest = Sha256Of(AsBytes("morsel-ring-1 " + nodes_[i].address + " " +
                                  std::to_string(p / kPerDigest)));
      points_.push_back(
          {PositionOf(digest, p % kPerDigest * sizeof(uint64_t)), i});
    }
  }
  // Ties are decided by address, not by the order of the list.
  std::sort(points_.begin(), points_.end(),
            [&](const Point& a, const Point& b) {
              if (a.position != b.position) return a.position < b.position;
              return nodes_[a.node].address < nodes_[b.node].address;
            });
}

std::vector<Place> Ring::Walk(const ChunkName& name, uint32_t count) const {
  std::vector<Place> places;
  if (points_.empty()) return places;
  const size_t distinct = std::min<size_t>(count, nodes_.size());
  const uint64_t position = PositionOf(name.digest(), 0);
  // The first point after ours; the walk begins with the one before it.
  size_t at = static_cast<size_t>(
      std::upper_bound(points_.begin(), points_.end(), position,
                       [](uint64_t value, const Point& point) {
                         return value < point.position;
                       }) -
      points_.begin());
  places.reserve(count);
  // Every node has a point, so one turn finds them all.
  while (places.size() < distinct) {
    at = (at == 0 ? points_.size() : at) - 1;
    const uint32_t node = points_[at].node;
    if (std::none_of(places.begin(), places.end(),
                     [&](const Place& place) { return place.node == node; }))
      places.push_back({node, 0});
  }
  for (size_t i = distinct; i < count; ++i)
    places.push_back(
        {places[i - distinct].node, places[i - distinct].round + 1});
  return places;
}

std::string StripeKey(const ChunkName& name, uint32_t k, uint32_t r,
                      uint32_t round) {
  std::string key =
      name.ToString() + "." + std::to_string(k) + "+" + std::to_string(r);
  if (round > 0) key += "." + std::to_string(round);
  return key;
}

}  // namespace morsel
