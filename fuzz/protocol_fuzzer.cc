// SPDX-License-Identifier: Apache-2.0
// Any bytes as a packet of the local cache's protocol, in both directions, and
// as what a starter hands to an agent. A packet that is accepted is the one
// that its encoder makes of it.
#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "block/agent_setup.h"
#include "localcache/protocol.h"

namespace morsel {
namespace {

template <typename T>
bool IsFine(const Result<T>& result) {
  if (result.ok()) return true;
  CHECK(result.error().code == Code::kInvalid);
  return false;
}

void CheckSame(const Bytes& encoded, ByteSpan packet) {
  CHECK(std::ranges::equal(encoded, packet));
}

void ParsePackets(ByteSpan packet) {
  if (const auto message = ParseClientMessage(packet); IsFine(message))
    std::visit([&](const auto& m) { CheckSame(Encode(m), packet); }, *message);
  const auto answer = ParseDaemonMessage(packet);
  if (!IsFine(answer)) return;
  if (const auto* done = std::get_if<DoneMessage>(&*answer)) {
    // The text of an answer that is none of an error is passed over.
    if (done->error.has_value()) CheckSame(Encode(*done), packet);
    return;
  }
  std::visit([&](const auto& m) { CheckSame(Encode(m), packet); }, *answer);
}

void ParseSetup(std::string_view text) {
  const Result<Json> json = Json::Parse(text);
  if (!json.ok()) return;
  const Result<AgentSetup> setup = AgentSetup::FromJson(*json);
  if (!IsFine(setup)) return;
  const Json encoded = setup->ToJson();
  const Result<AgentSetup> again = AgentSetup::FromJson(encoded);
  CHECK(again.ok() && again->ToJson() == encoded);
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const morsel::ByteSpan input = std::as_bytes(std::span(data, size));
  morsel::ParsePackets(input);
  morsel::ParseSetup(morsel::AsText(input));
  return 0;
}
