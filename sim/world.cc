// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include "invariants.h"

namespace morsel::sim {
namespace {

// A step is up to 2 s, so that a run of a thousand steps sees all the states.
constexpr std::chrono::seconds kMinRetired(120);
constexpr std::chrono::seconds kLease(60);
constexpr uint64_t kLongSleepSteps = 600;

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

Status ActorStore::Before(const StoreCall& call) {
  if (dead_) return Crashed();
  const uint64_t sleepy = world_.options.sleep_one_in;
  if (world_.faults && !punctual_ && sleepy > 0 && OneIn(world_.rng, sleepy))
    turn_.Sleep(world_.rng() % kLongSleepSteps);
  else
    turn_.Yield();
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
