// SPDX-License-Identifier: Apache-2.0
#include "chunk/fault_source.h"

namespace morsel {

FaultSource::FaultSource(ChunkSource& next, std::vector<ChunkFaultRule> rules,
                         uint64_t seed)
    : next_(next), random_(seed) {
  for (ChunkFaultRule& rule : rules) rules_.push_back({std::move(rule)});
}

FaultSource::Plan FaultSource::PlanCall(const ChunkRef& ref) {
  Plan plan;
  const MutexLock lock(mutex_);
  plan.draw = random_();
  for (Armed& armed : rules_) {
    const ChunkFaultRule& rule = armed.rule;
    if (rule.chunk && *rule.chunk != ref.name) continue;
    ++armed.calls;
    if (armed.calls < rule.from_call ||
        armed.calls - rule.from_call >= rule.call_count) {
      continue;
    }
    // Drawn for each call, so that the same seed gives the same run.
    const double draw = static_cast<double>(random_() >> 11) * 0x1p-53;
    if (draw >= rule.probability) continue;
    plan.flip |= rule.kind == ChunkFaultRule::Kind::kFlip;
    plan.truncate |= rule.kind == ChunkFaultRule::Kind::kTruncate;
    if (rule.kind == ChunkFaultRule::Kind::kError && !plan.error) {
      plan.error = rule.code;
    }
  }
  return plan;
}

Result<ChunkView> FaultSource::Get(const ChunkRef& ref, const Want& want) {
  const Plan plan = PlanCall(ref);
  if (plan.error) {
    return MakeError(*plan.error,
                     "chunk " + ref.name.Short() + ": injected fault");
  }
  Result<ChunkView> view = next_.Get(ref, want);
  if (!view.ok() || (!plan.flip && !plan.truncate)) return view;
  Bytes bytes = view->Copy();
  if (plan.flip && !bytes.empty()) {
    const uint64_t bit = plan.draw % (bytes.size() * 8);
    bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  if (plan.truncate) bytes.resize(bytes.size() / 2);
  return ChunkView::Owned(std::move(bytes));
}

}  // namespace morsel
