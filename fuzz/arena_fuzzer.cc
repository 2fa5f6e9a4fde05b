// SPDX-License-Identifier: Apache-2.0
// Any bytes over the header, the index and the slots of an arena that holds two
// chunks, as edits of eight bytes each. A reader must stay within the file
// whatever they say. A daemon that adopts it must too, and what it then calls
// good must have the hash that its name says.
#include <array>
#include <vector>

#include "base/check.h"
#include "crypto/hash.h"
#include "localcache/arena_layout.h"
#include "localcache/arena_reader.h"
#include "localcache/arena_writer.h"
#include "localcache/server.h"

namespace morsel {
namespace {

constexpr uint64_t kLimit = 2 * kMiB;

struct Chunk {
  ChunkRef ref;
  Bytes bytes;
};

Chunk MakeChunk(std::byte fill, uint32_t pages) {
  Chunk chunk;
  chunk.bytes.assign(size_t{pages} * kPageSize, fill);
  chunk.ref = {ChunkName(Sha256Of(chunk.bytes)), "r1", pages * kPageSize};
  return chunk;
}

struct Arena {
  Arena() {
    file = std::move(MakeArenaFile()).value();
    const auto writer = std::move(ArenaWriter::Open(file, kLimit)).value();
    for (int i = 0; i < 2; ++i)
      CHECK(writer->Put(chunks[i].ref.name, chunks[i].bytes).ok());
    const auto geometry = ArenaGeometry::ForLimit(kLimit);
    metadata_bytes = geometry->pieces_offset;
    content.resize(geometry->file_bytes);
    CHECK(ReadFullAt(file.get(), 0, content).ok());
  }

  // The third is in none.
  const std::array<Chunk, 3> chunks = {MakeChunk(std::byte{1}, 3),
                                       MakeChunk(std::byte{2}, 33),
                                       MakeChunk(std::byte{3}, 128)};
  Fd file;
  Bytes content;  // of the arena as it should be
  size_t metadata_bytes = 0;
};

void Read(const Arena& arena) {
  const auto reader = ArenaReader::Map(arena.file);
  if (!reader.ok()) return;
  for (const Chunk& chunk : arena.chunks) {
    for (const uint32_t checked : {uint32_t{0}, chunk.ref.stored_length}) {
      const ArenaFind found = (*reader)->Find(chunk.ref, 0, checked);
      CHECK((found.outcome == ArenaFind::Outcome::kHit) ==
            found.view.has_value());
      if (!found.view.has_value()) continue;
      const Bytes bytes = found.view->Copy();
      CHECK(bytes.size() == chunk.ref.stored_length);
    }
  }
}

void Adopt(const Arena& arena) {
  const auto writer = ArenaWriter::Open(arena.file, kLimit);
  if (!writer.ok()) return;
  for (const Chunk& chunk : arena.chunks) {
    if ((*writer)->Check(chunk.ref.name) != SlotCheck::kGood) continue;
    const Result<Bytes> bytes = (*writer)->Read(chunk.ref.name);
    CHECK(bytes.ok() && chunk.ref.name.Matches(*bytes));
  }
  const Chunk& last = arena.chunks.back();
  if (!(*writer)->Put(last.ref.name, last.bytes).ok()) return;
  CHECK((*writer)->Check(last.ref.name) == SlotCheck::kGood);
}

void FuzzOne(ByteSpan input) {
  static Arena arena;
  Bytes edited = arena.content;
  for (; input.size() >= 10; input = input.subspan(10)) {
    const size_t at = size_t{LoadLe<uint16_t>(input.data())} * 8;
    const auto value = LoadLe<uint64_t>(input.data() + 2);
    StoreLe<uint64_t>(&edited[at % arena.metadata_bytes], value);
  }
  CHECK(WriteFullAt(arena.file.get(), 0, edited).ok());
  Read(arena);
  Adopt(arena);
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  morsel::FuzzOne(std::as_bytes(std::span(data, size)));
  return 0;
}
