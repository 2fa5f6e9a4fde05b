// SPDX-License-Identifier: Apache-2.0
// What the tests of sources share: chunks with true names, and a source whose
// answers a test decides.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "chunk/chunk_source.h"

namespace morsel {

struct TestChunk {
  ChunkRef ref;
  Bytes bytes;
};

inline TestChunk MakeTestChunk(uint64_t seed, uint32_t length = 3 * kPageSize,
                               std::string root = "r1") {
  std::mt19937_64 random(seed);
  Bytes bytes(length);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  const ChunkName name(Sha256Of(bytes));
  return {
      .ref = {.name = name, .root = std::move(root), .stored_length = length},
      .bytes = std::move(bytes)};
}

// No test waits this long unless it hangs.
inline Want WholeChunk(const ChunkRef& ref) {
  return {.deadline = SystemClock().Now() + std::chrono::minutes(2),
          .length = ref.stored_length};
}

class ScriptedSource final : public ChunkSource {
 public:
  using Script = std::function<Result<ChunkView>(const ChunkRef&, const Want&)>;
  explicit ScriptedSource(Script script) : script_(std::move(script)) {}

  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override {
    ++calls;
    return script_(ref, want);
  }

  std::atomic<int> calls = 0;

 private:
  const Script script_;
};

inline ScriptedSource FailingSource(Code code) {
  return ScriptedSource(
      [code](const ChunkRef&, const Want&) -> Result<ChunkView> {
        return MakeError(code, "scripted");
      });
}

// A view that is invalid from the start.
inline ChunkView StaleView(const TestChunk& chunk) {
  static const std::atomic<uint64_t> generation{2};
  std::array<const std::byte*, ChunkView::kMaxPieces> pieces{};
  pieces[0] = chunk.bytes.data();
  return ChunkView(pieces, chunk.ref.stored_length, &generation, 0);
}

}  // namespace morsel
