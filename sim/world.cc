// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <algorithm>

#include "invariants.h"

namespace morsel::sim {
namespace {

// A step is half a second on average: a root's life from its retirement takes
// some 800 steps, a device gets several turns in a lease period.
constexpr std::chrono::seconds kMinRetired(60);
constexpr std::chrono::seconds kLease(100);
// One sleep in two is that of a process that lost its turn, the other one
// outlasts a root.
constexpr uint64_t kShortSleepSteps = 60;
constexpr uint64_t kLongSleepSteps = 1500;
constexpr uint64_t kOftenerBeforeWrites = 6;

// A small document that is made or changed: a moment at which all that was
// looked at before may have become wrong.
bool IsDecisive(const StoreCall& call) {
  const bool writes = call.op == StoreOp::kPut ||
                      call.op == StoreOp::kReplace ||
                      call.op == StoreOp::kPutIfAbsent;
  return writes && call.key.find("/chunks/") == std::string_view::npos &&
         !call.key.starts_with("scratch/");
}

}  // namespace

Result<WrappedKey> SimKeys::Wrap(const SecretKey& data_key,
                                 std::string_view context) {
  return WrappedKey{
      key_id_, ToHex(Sha256Of(AsBytes(context))) + ToHex(data_key.bytes())};
}

Result<SecretKey> SimKeys::Unwrap(const WrappedKey& wrapped,
                                  std::string_view context) {
  if (wrapped.key_id != key_id_)
    return MakeError(Code::kDenied, "another key's");
  const std::string prefix = ToHex(Sha256Of(AsBytes(context)));
  if (!wrapped.blob_hex.starts_with(prefix))
    return MakeError(Code::kCorrupt, "another context's");
  Bytes bytes(kKeySize);
  RETURN_IF_ERROR(ParseHex(
      std::string_view(wrapped.blob_hex).substr(prefix.size()), bytes));
  return SecretKey(bytes);
}

World::World(const WorldOptions& world_options)
    : options(world_options),
      rng(world_options.seed),
      store_clock(now, 0),
      store(store_clock),
      random(rng),
      keys("a1") {
  gc.min_retired = kMinRetired;
  gc.lease_period = kLease;
  gc.batch_size = 3;
  gc.thread_count = 1;
}

void World::Violate(const std::string& what) {
  if (violations.size() < 10) violations.push_back(what);
}

void ActorStore::SleepOrYield(const StoreCall& call) {
  uint64_t sleepy = world_.options.sleep_one_in;
  if (!world_.faults || punctual_ || sleepy == 0) return turn_.Yield();
  if (IsDecisive(call))
    sleepy = std::max<uint64_t>(sleepy / kOftenerBeforeWrites, 1);
  if (!OneIn(world_.rng, sleepy)) return turn_.Yield();
  turn_.Sleep(world_.rng() %
              (OneIn(world_.rng, 2) ? kShortSleepSteps : kLongSleepSteps));
}

Status ActorStore::Before(const StoreCall& call) {
  if (dead_) return Crashed();
  SleepOrYield(call);
  const uint64_t fragile = world_.options.crash_one_in;
  if (world_.faults && fragile > 0 && OneIn(world_.rng, fragile)) {
    dies_after_ = OneIn(world_.rng, 2);
    if (!dies_after_) {
      dead_ = true;
      return Crashed();
    }
  }
  CheckBefore(world_, call);
  return Ok();
}

Status ActorStore::After(const StoreCall& call, const Status& answer) {
  if (answer.ok()) CheckAfter(world_, call);
  if (!dies_after_) return answer;
  dies_after_ = false;
  dead_ = true;
  return Crashed();
}

}  // namespace morsel::sim
