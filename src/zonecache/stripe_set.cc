// SPDX-License-Identifier: Apache-2.0
#include "zonecache/stripe_set.h"

#include <algorithm>

#include "zonecache/stripe.h"

namespace morsel {

using Kind = PlaceState::Kind;

StripeSet::StripeSet(const ErasureCode& code, const ChunkRef& ref)
    : code_(code),
      ref_(ref),
      places_(code.stripe_count()),
      values_(code.stripe_count()),
      stripes_(code.stripe_count()) {}

void StripeSet::Answered(uint32_t place, Reply reply) {
  PlaceState& state = places_[place];
  if (reply.kind == Reply::Kind::kMiss) {
    state.kind = Kind::kMiss;
    ++misses_;
    return;
  }
  if (reply.kind != Reply::Kind::kValue) return;  // an error: unknown
  state.cas = reply.cas;
  values_[place] = std::move(reply.value);
  const Result<StripeView> stripe = ParseStripe(ref_.name, values_[place]);
  if (!stripe.ok() || stripe->index >= code_.stripe_count() ||
      stripe->stored_length != ref_.stored_length ||
      stripe->payload.size() != code_.StripeLength(ref_.stored_length)) {
    MarkBad(place);
    return;
  }
  state.kind = Kind::kHit;
  state.index = stripe->index;
  state.checksum = stripe->checksum;
  if (!stripes_[stripe->index].empty()) return;  // held twice
  stripes_[stripe->index] = stripe->payload;
  ++distinct_;
}

void StripeSet::Away(uint32_t place) { places_[place].kind = Kind::kAway; }

void StripeSet::MarkBad(uint32_t place) {
  places_[place].kind = Kind::kBad;
  ++bad_;
}

std::optional<Bytes> StripeSet::Assemble() {
  std::optional<Bytes> chunk = Rebuild(std::nullopt);
  if (chunk) return chunk;
  for (uint32_t i = 0; i < stripes_.size() && distinct_ > code_.k(); ++i) {
    if (stripes_[i].empty()) continue;
    chunk = Rebuild(i);
    if (!chunk) continue;
    Judge(*chunk);
    return chunk;
  }
  return std::nullopt;
}

std::optional<Bytes> StripeSet::Rebuild(std::optional<uint32_t> left_out) {
  std::vector<ByteSpan> used = stripes_;
  if (left_out) used[*left_out] = {};
  Bytes chunk(ref_.stored_length);
  if (!code_.Rebuild(used, chunk).ok() || !ref_.name.Matches(chunk))
    return std::nullopt;
  decoded_ = std::any_of(used.begin(), used.begin() + code_.k(),
                         [](ByteSpan stripe) { return stripe.empty(); });
  return chunk;
}

// Compares every stripe with what the right chunk gives.
void StripeSet::Judge(const Bytes& chunk) {
  const Bytes right = code_.Encode(chunk);
  const size_t length = code_.StripeLength(chunk.size());
  for (uint32_t place = 0; place < places_.size(); ++place) {
    if (places_[place].kind != Kind::kHit) continue;
    const ByteSpan payload =
        ByteSpan(values_[place]).subspan(kStripeHeaderSize);
    if (!std::equal(payload.begin(), payload.end(),
                    right.begin() + places_[place].index * length))
      MarkBad(place);
  }
}

}  // namespace morsel
