// SPDX-License-Identifier: Apache-2.0
#include "store/fault_store.h"

namespace morsel {
namespace {

Error Injected(const FaultRule& rule, const StoreCall& call) {
  return MakeError(rule.code, std::string(StoreOpName(call.op)) + " " +
                                  std::string(call.key) + ": injected fault");
}

}  // namespace

FaultStore::FaultStore(ObjectStore& next, std::vector<FaultRule> rules,
                       uint64_t seed)
    : FilterStore(next), random_(seed) {
  for (FaultRule& rule : rules) rules_.push_back({std::move(rule)});
}

const FaultRule* FaultStore::Fires(FaultRule::Kind kind,
                                   const StoreCall& call) {
  const MutexLock lock(mutex_);
  const FaultRule* fired = nullptr;
  for (Armed& armed : rules_) {
    const FaultRule& rule = armed.rule;
    if (rule.kind != kind || (rule.op && *rule.op != call.op) ||
        !call.key.starts_with(rule.key_prefix))
      continue;
    ++armed.calls;
    if (armed.calls < rule.from_call ||
        armed.calls - rule.from_call >= rule.call_count)
      continue;
    // Drawn for each call, so that the same seed gives the same run.
    const double draw = static_cast<double>(random_() >> 11) * 0x1p-53;
    if (fired == nullptr && draw < rule.probability) fired = &rule;
  }
  return fired;  // rules are never changed, so it stays good
}

uint64_t FaultStore::Draw() {
  const MutexLock lock(mutex_);
  return random_();
}

Status FaultStore::Before(const StoreCall& call) {
  const FaultRule* rule = Fires(FaultRule::Kind::kError, call);
  return rule == nullptr ? Ok() : Status(Injected(*rule, call));
}

Status FaultStore::After(const StoreCall& call, const Status& answer) {
  const FaultRule* rule = Fires(FaultRule::Kind::kLostReply, call);
  return rule == nullptr ? answer : Status(Injected(*rule, call));
}

Result<ObjectData> FaultStore::Get(std::string_view key, uint64_t offset,
                                   uint64_t limit_bytes) {
  Result<ObjectData> data = FilterStore::Get(key, offset, limit_bytes);
  if (!data.ok() || data->bytes.empty()) return data;
  const StoreCall call{StoreOp::kGet, key};
  if (Fires(FaultRule::Kind::kFlip, call) != nullptr) {
    const uint64_t bit = Draw() % (data->bytes.size() * 8);
    data->bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  if (Fires(FaultRule::Kind::kTruncate, call) != nullptr)
    data->bytes.resize(data->bytes.size() / 2);
  return data;
}

}  // namespace morsel
