// SPDX-License-Identifier: Apache-2.0
#include "zonecache/striped_source.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "zonecache/exchange.h"
#include "zonecache/stripe.h"
#include "zonecache/stripe_set.h"
#include "zonecache/stripe_writer.h"

namespace morsel {
namespace {

// What failed reads saw is remembered for so many chunks, for their Offer.
constexpr size_t kRemembered = 4096;

struct Members {
  Ring ring{{}};
  std::vector<std::shared_ptr<NodePool>> pools;  // by node of the ring
};

// What the places of chunks held when they were last read in vain.
class Memory {
 public:
  void Keep(const ChunkName& name, std::vector<PlaceState> places)
      EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (!seen_.insert_or_assign(name, std::move(places)).second) return;
    order_.push_back(name);
    while (order_.size() > kRemembered) {
      seen_.erase(order_.front());
      order_.pop_front();
    }
  }

  std::optional<std::vector<PlaceState>> Take(const ChunkName& name)
      EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = seen_.find(name);
    if (found == seen_.end()) return std::nullopt;
    // Its place in the order stays, empty.
    return std::exchange(found->second, {});
  }

 private:
  Mutex mutex_;
  std::unordered_map<ChunkName, std::vector<PlaceState>> seen_
      GUARDED_BY(mutex_);
  std::deque<ChunkName> order_ GUARDED_BY(mutex_);
};

// What a vain read took for a stripe, but is none of the chunk that the origin
// gave, is bad.
void JudgeSeen(const ErasureCode& code, const ChunkRef& ref, ByteSpan chunk,
               std::vector<PlaceState>& seen) {
  const auto is_hit = [](const PlaceState& state) {
    return state.kind == PlaceState::Kind::kHit;
  };
  if (std::none_of(seen.begin(), seen.end(), is_hit)) return;
  const Bytes stripes = code.Encode(chunk);
  const size_t length = code.StripeLength(chunk.size());
  for (PlaceState& state : seen) {
    if (!is_hit(state)) continue;
    const StripeHeader right = MakeStripeHeader(
        ref.name, state.index, ref.stored_length,
        ByteSpan(stripes).subspan(state.index * length, length));
    if (state.checksum != ChecksumIn(right))
      state.kind = PlaceState::Kind::kBad;
  }
}

class Striped final : public StripedSource {
 public:
  Striped(const StripedOptions& options, const ErasureCode& code,
          StreamMaker make_stream, Clock& clock)
      : options_(options),
        code_(code),
        make_stream_(std::move(make_stream)),
        clock_(clock),
        members_(std::make_shared<const Members>()),
        writer_(code_, options.put_queue, options.put_timeout, clock) {}

  void SetNodes(const std::vector<NodeSpec>& nodes) override {
    auto members = std::make_shared<Members>();
    members->ring = Ring(nodes);
    std::map<std::string, std::shared_ptr<NodePool>> known;
    for (const auto& pool : CurrentMembers()->pools)
      known.emplace(pool->address(), pool);
    for (const NodeSpec& node : members->ring.nodes()) {
      std::shared_ptr<NodePool>& pool = known[node.address];
      if (pool == nullptr)
        pool = std::make_shared<NodePool>(node.address, options_.pool,
                                          make_stream_, clock_);
      members->pools.push_back(pool);
    }
    const MutexLock lock(mutex_);
    members_ = std::move(members);
  }

  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override {
    ++gets_;
    const PlacePools places = PlacesOf(ref);
    StripeSet set(code_, ref);
    std::optional<Bytes> chunk;
    {
      const Deadline deadline =
          std::min(want.deadline, clock_.Now() + options_.timeout);
      const std::vector<std::string> requests = Requests(ref, places);
      Exchange exchange(clock_);
      Ask(places, requests, exchange, set);
      chunk = Gather(exchange, set, deadline);
    }
    bad_stripes_ += set.bad();
    if (set.bad() > 0) LogBad(ref, places, set);
    if (!chunk) return GiveUp(ref, set);
    ++hits_;
    bytes_ += chunk->size();
    if (set.decoded()) ++decoded_;
    std::vector<StripePut> puts = PlanRepair(set.places(), false);
    if (!puts.empty() && writer_.HasRoom())
      writer_.Queue({ref, *chunk, places, std::move(puts)});
    return ChunkView::Owned(std::move(*chunk));
  }

  void Offer(const ChunkRef& ref, ByteSpan ciphertext) override {
    PlacePools places = PlacesOf(ref);
    if (places.pools.empty() || ciphertext.empty() || !writer_.HasRoom())
      return;
    std::vector<PlaceState> seen =
        memory_.Take(ref.name).value_or(std::vector<PlaceState>());
    seen.resize(code_.stripe_count());
    JudgeSeen(code_, ref, ciphertext, seen);
    writer_.Queue({ref, CopyBytes(ciphertext), std::move(places),
                   PlanRepair(seen, true)});
  }

  void Flush() override { writer_.Flush(); }

  StripedStats Stats() const override {
    StripedStats stats;
    stats.gets = gets_;
    stats.hits = hits_;
    stats.misses = misses_;
    stats.failures = failures_;
    stats.corrupt = corrupt_;
    stats.decoded = decoded_;
    stats.bytes = bytes_;
    stats.bad_stripes = bad_stripes_;
    for (const NodeState& node : Nodes())
      stats.nodes_passed_over += node.stats.passed_over;
    const StripeWriterStats writer = writer_.Stats();
    stats.queued = writer.queued;
    stats.dropped = writer.dropped;
    stats.added = writer.added;
    stats.repaired = writer.repaired;
    stats.put_failures = writer.failures;
    return stats;
  }

  std::vector<NodeState> Nodes() const override {
    std::vector<NodeState> nodes;
    for (const auto& pool : CurrentMembers()->pools)
      nodes.push_back({pool->address(), pool->Stats()});
    return nodes;
  }

 private:
  std::shared_ptr<const Members> CurrentMembers() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return members_;
  }

  PlacePools PlacesOf(const ChunkRef& ref) const {
    const std::shared_ptr<const Members> members = CurrentMembers();
    PlacePools places{members, {}, {}};
    for (const Place& place :
         members->ring.Walk(ref.name, code_.stripe_count())) {
      places.pools.push_back(members->pools[place.node].get());
      places.rounds.push_back(place.round);
    }
    return places;
  }

  std::vector<std::string> Requests(const ChunkRef& ref,
                                    const PlacePools& places) const {
    std::vector<std::string> requests;
    for (const uint32_t round : places.rounds)
      requests.push_back(
          "gets " + StripeKey(ref.name, code_.k(), code_.r(), round) + "\r\n");
    return requests;
  }

  static void Ask(const PlacePools& places,
                  const std::vector<std::string>& requests, Exchange& exchange,
                  StripeSet& set) {
    for (uint32_t i = 0; i < places.pools.size(); ++i) {
      const std::string& request = requests[i];
      if (!exchange.Add(i, *places.pools[i],
                        {{const_cast<char*>(request.data()), request.size()}}))
        set.Away(i);
    }
  }

  // Takes answers until k stripes give the chunk, or cannot any more.
  std::optional<Bytes> Gather(Exchange& exchange, StripeSet& set,
                              Deadline deadline) const {
    while (set.possible(exchange.pending())) {
      auto outcome = exchange.Next(deadline);
      if (!outcome) break;
      const uint32_t before = set.distinct();
      Note(*std::move(outcome), set);
      if (set.distinct() < code_.k() || set.distinct() == before) continue;
      std::optional<Bytes> chunk = set.Assemble();
      if (!chunk) continue;
      // Who was too late for this chunk has come by now, mostly: hashing it
      // took longer. It would have to be read from its socket some time anyhow.
      while (auto late = exchange.NextArrived()) Note(*std::move(late), set);
      return chunk;
    }
    return std::nullopt;
  }

  static void Note(Exchange::Outcome outcome, StripeSet& set) {
    if (outcome.reply.ok())
      set.Answered(outcome.place, std::move(*outcome.reply));
    else
      set.Away(outcome.place);
  }

  Error GiveUp(const ChunkRef& ref, const StripeSet& set) {
    memory_.Keep(ref.name, set.places());
    const std::string where =
        "chunk " + ref.name.Short() + " in the zone cache: ";
    const std::string count = std::to_string(set.distinct()) + " of " +
                              std::to_string(code_.k()) + " stripes";
    if (set.distinct() >= code_.k() || set.bad() > 0) {
      ++corrupt_;
      return MakeError(Code::kCorrupt, where + count + " are there and " +
                                           std::to_string(set.bad()) +
                                           " are damaged; none fit the name");
    }
    if (set.misses() > code_.r() || set.places().empty() ||
        CurrentMembers()->pools.empty()) {
      ++misses_;
      return MakeError(Code::kNotFound, where + count);
    }
    ++failures_;
    return MakeError(Code::kUnavailable,
                     where + count + " came in time; the origin is asked");
  }

  static void LogBad(const ChunkRef& ref, const PlacePools& places,
                     const StripeSet& set) {
    for (uint32_t i = 0; i < set.places().size(); ++i)
      if (set.places()[i].kind == PlaceState::Kind::kBad)
        LogWarn("damaged stripe refused", {{"chunk", ref.name.ToString()},
                                           {"tier", "zone cache"},
                                           {"node", places.pools[i]->address()},
                                           {"place", i}});
  }

  const StripedOptions options_;
  const ErasureCode code_;
  const StreamMaker make_stream_;
  Clock& clock_;
  std::atomic<uint64_t> gets_{0};
  std::atomic<uint64_t> hits_{0};
  std::atomic<uint64_t> misses_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> corrupt_{0};
  std::atomic<uint64_t> decoded_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> bad_stripes_{0};
  Memory memory_;
  mutable Mutex mutex_;
  std::shared_ptr<const Members> members_ GUARDED_BY(mutex_);
  StripeWriter writer_;  // last: its thread uses the rest
};

}  // namespace

Result<std::unique_ptr<StripedSource>> StripedSource::Make(
    const StripedOptions& options, StreamMaker make_stream, Clock& clock) {
  ASSIGN_OR_RETURN(const ErasureCode code,
                   ErasureCode::Make(options.k, options.r));
  if (!make_stream)
    make_stream = [](Fd socket, const std::string&) {
      return Result<std::unique_ptr<Stream>>(
          MakePlainStream(std::move(socket)));
    };
  return std::unique_ptr<StripedSource>(
      std::make_unique<Striped>(options, code, std::move(make_stream), clock));
}

}  // namespace morsel
