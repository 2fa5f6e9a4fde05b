// SPDX-License-Identifier: Apache-2.0
#include "cache/policy.h"

#include <array>
#include <string>
#include <utility>

#include "cache/lru_k.h"
#include "cache/queue_policies.h"
#include "cache/s3_fifo.h"

namespace morsel {
namespace {

constexpr std::array<std::pair<PolicyKind, std::string_view>, 5> kNames = {{
    {PolicyKind::kLruK, "lru-k"},
    {PolicyKind::kLru, "lru"},
    {PolicyKind::kFifo, "fifo"},
    {PolicyKind::kS3Fifo, "s3-fifo"},
    {PolicyKind::kSieve, "sieve"},
}};

}  // namespace

std::unique_ptr<EvictionPolicy> MakePolicy(const PolicyOptions& options) {
  switch (options.kind) {
    case PolicyKind::kLruK:
      return std::make_unique<LruKPolicy>(options);
    case PolicyKind::kLru:
      return std::make_unique<LruPolicy>();
    case PolicyKind::kFifo:
      return std::make_unique<FifoPolicy>();
    case PolicyKind::kS3Fifo:
      return std::make_unique<S3FifoPolicy>(options.retained_per_resident);
    case PolicyKind::kSieve:
      return std::make_unique<SievePolicy>();
  }
  CHECK(false && "a kind without a policy");
  return nullptr;
}

std::string_view PolicyName(PolicyKind kind) {
  for (const auto& [known, name] : kNames)
    if (known == kind) return name;
  return "?";
}

Result<PolicyKind> ParsePolicyKind(std::string_view name) {
  std::string all;
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
    all += (all.empty() ? "" : ", ") + std::string(known);
  }
  return MakeError(Code::kInvalid, "cache policy '" + std::string(name) +
                                       "' is unknown; there are " + all);
}

}  // namespace morsel
