// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "localcache/arena_reader.h"
#include "localcache/arena_writer.h"
#include "localcache/server.h"
#include "localcache/test_chunks.h"

namespace morsel {
namespace {

using Outcome = ArenaFind::Outcome;

constexpr uint64_t kSmallArena = 4 * kMiB;

struct TestArena {
  explicit TestArena(uint64_t limit = kSmallArena)
      : file(Must(MakeArenaFile())),
        writer(Must(ArenaWriter::Open(file, limit))) {
    reader = Must(ArenaReader::Map(Must(Duplicate(writer->reader_fd()))));
  }
  Outcome Find(const TestChunk& chunk) const {
    return reader->Find(chunk.ref, 0, chunk.ref.stored_length).outcome;
  }

  Fd file;
  std::unique_ptr<ArenaWriter> writer;
  std::unique_ptr<ArenaReader> reader;
};

// A second mapping through which a test does damage.
class Vandal {
 public:
  explicit Vandal(const Fd& file)
      : geometry_(Must(ArenaGeometry::ForLimit(Must(FileSize(file.get()))))),
        mapping_(Must(SharedMapping::Map(file.get(), geometry_.file_bytes,
                                         SharedMapping::Access::kReadWrite))),
        map_{mapping_.base(), geometry_} {}
  const ArenaMap<std::byte>& map() const { return map_; }
  ArenaSlot& SlotOf(const TestChunk& chunk) const {
    for (uint32_t slot = 0; slot < geometry_.piece_count; ++slot)
      if (map_.Slot(slot).name[0] == WordsOf(chunk.ref.name)[0])
        return map_.Slot(slot);
    CHECK(false);
  }
  void FlipData(const TestChunk& chunk, uint32_t offset) const {
    map_.Piece(
        SlotOf(chunk).pieces[offset / kPieceSize])[offset % kPieceSize] ^=
        std::byte{1};
  }

 private:
  ArenaGeometry geometry_;
  SharedMapping mapping_;
  ArenaMap<std::byte> map_;
};

TEST(ArenaGeometry, StaysWithinItsLimitAndFollowsFromItsSize) {
  for (uint64_t limit = 2 * kMiB; limit < 64 * kGiB; limit = limit * 5 / 3) {
    const auto geometry = ArenaGeometry::ForLimit(limit);
    ASSERT_TRUE(geometry.ok());
    EXPECT_LE(geometry->file_bytes, limit);
    const auto again = ArenaGeometry::ForLimit(geometry->file_bytes);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->piece_count, geometry->piece_count);
    EXPECT_EQ(again->pieces_offset, geometry->pieces_offset);
  }
  EXPECT_EQ(ArenaGeometry::ForLimit(kMiB).error().code, Code::kInvalid);
  EXPECT_EQ(ArenaGeometry::ForLimit(~uint64_t{0}).error().code, Code::kInvalid);
}

TEST(Arena, GivesBackWhatWasPut) {
  TestArena arena;
  for (const uint32_t pages : {1u, 15u, 16u, 17u, 128u}) {
    const TestChunk chunk = MakeTestChunk(pages, pages);
    EXPECT_EQ(arena.Find(chunk), Outcome::kMiss);
    ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
    const ArenaFind found =
        arena.reader->Find(chunk.ref, 0, chunk.ref.stored_length);
    ASSERT_EQ(found.outcome, Outcome::kHit);
    EXPECT_EQ(found.view->Copy(), chunk.bytes);
    EXPECT_TRUE(found.view->still_valid());
    EXPECT_EQ(*arena.writer->Read(chunk.ref.name), chunk.bytes);
    ChunkRef longer = chunk.ref;
    longer.stored_length += kPageSize;
    EXPECT_EQ(arena.reader->Find(longer, 0, 1).outcome, Outcome::kMiss);
  }
}

// Random puts and looks against a map: whatever is found is right, what was
// put last is there, and the bytes stay under the limit.
TEST(Arena, AgreesWithAModelUnderRandomUse) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  TestArena arena(8 * kMiB);
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 60; ++i) chunks.push_back(MakeTestChunk(seed + i));
  std::map<ChunkName, bool> put;
  for (int step = 0; step < 600; ++step) {
    const TestChunk& chunk = chunks[random() % chunks.size()];
    if (random() % 2 == 0) {
      ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
      put[chunk.ref.name] = true;
      EXPECT_EQ(arena.Find(chunk), Outcome::kHit);
    }
    const auto found =
        arena.reader->Find(chunk.ref, 0, chunk.ref.stored_length);
    EXPECT_EQ(found.outcome == Outcome::kHit,
              arena.writer->Contains(chunk.ref.name, chunk.ref.stored_length));
    if (found.outcome != Outcome::kHit) continue;
    EXPECT_TRUE(put[chunk.ref.name]);
    EXPECT_EQ(found.view->Copy(), chunk.bytes);
    arena.writer->Touch(std::array{found.slot});
  }
  const ArenaStats stats = arena.writer->Stats();
  EXPECT_GT(stats.evictions, 0u);
  EXPECT_LE(stats.allocated_bytes, stats.limit_bytes);
  struct stat info {};
  ASSERT_EQ(fstat(arena.file.get(), &info), 0);
  EXPECT_LE(static_cast<uint64_t>(info.st_blocks) * 512, 8 * kMiB);
}

TEST(Arena, GrowsInStepsToItsLimitAndNeverFurther) {
  TestArena arena(40 * kMiB);
  uint64_t last = 0;
  for (uint64_t i = 0; i < 120; ++i) {
    const TestChunk chunk = MakeTestChunk(i, kPagesPerChunk);
    ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
    const uint64_t now = arena.writer->Stats().allocated_bytes;
    EXPECT_GE(now, last);
    EXPECT_LE(now - last, kArenaStep + kArenaStep / kPieceSize * 1024);
    struct stat info {};
    ASSERT_EQ(fstat(arena.file.get(), &info), 0);
    EXPECT_EQ(static_cast<uint64_t>(info.st_blocks) * 512, now);
    last = now;
  }
  // But for what aligns the pieces.
  EXPECT_LE(last, arena.writer->Stats().limit_bytes);
  EXPECT_GT(last, arena.writer->Stats().limit_bytes - kPieceSize);
}

TEST(Arena, KeepsWhatIsUsedWhenItIsFull) {
  TestArena arena(8 * kMiB);
  const TestChunk hot = MakeTestChunk(0, kPagesPerChunk);
  ASSERT_TRUE(arena.writer->Put(hot.ref.name, hot.bytes).ok());
  for (uint64_t i = 1; i < 100; ++i) {
    const auto found = arena.reader->Find(hot.ref, 0, 1);
    ASSERT_EQ(found.outcome, Outcome::kHit) << i;
    arena.writer->Touch(std::array{found.slot});
    const TestChunk cold = MakeTestChunk(i, kPagesPerChunk);
    ASSERT_TRUE(arena.writer->Put(cold.ref.name, cold.bytes).ok());
  }
}

TEST(Arena, AViewKnowsThatItsPiecesWereGivenAway) {
  TestArena arena;
  const TestChunk first = MakeTestChunk(1000, kPagesPerChunk);
  ASSERT_TRUE(arena.writer->Put(first.ref.name, first.bytes).ok());
  const auto found = arena.reader->Find(first.ref, 0, kPageSize);
  ASSERT_EQ(found.outcome, Outcome::kHit);
  for (uint64_t i = 0; i < 20; ++i) {
    const TestChunk next = MakeTestChunk(i, kPagesPerChunk);
    ASSERT_TRUE(arena.writer->Put(next.ref.name, next.bytes).ok());
  }
  EXPECT_FALSE(found.view->still_valid());
}

TEST(Arena, AFlippedBitIsFoundAndTheSlotDropped) {
  TestArena arena;
  const Vandal vandal(arena.file);
  const TestChunk chunk = MakeTestChunk(1, 40);
  ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
  EXPECT_EQ(arena.writer->Check(chunk.ref.name), SlotCheck::kGood);
  vandal.FlipData(chunk, 20 * kPageSize + 5);
  EXPECT_EQ(arena.Find(chunk), Outcome::kBadPage);
  // Only the pages that are wanted are checked.
  EXPECT_EQ(arena.reader->Find(chunk.ref, 0, 20 * kPageSize).outcome,
            Outcome::kHit);
  EXPECT_EQ(arena.reader->Find(chunk.ref, 20 * kPageSize, 1).outcome,
            Outcome::kBadPage);
  EXPECT_EQ(arena.writer->Check(chunk.ref.name), SlotCheck::kDropped);
  EXPECT_EQ(arena.writer->Check(chunk.ref.name), SlotCheck::kAbsent);
  EXPECT_EQ(arena.Find(chunk), Outcome::kMiss);
}

TEST(Arena, AFlippedCrcIsDroppedThoughTheBytesAreGood) {
  TestArena arena;
  const Vandal vandal(arena.file);
  const TestChunk chunk = MakeTestChunk(1, 4);
  ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
  vandal.SlotOf(chunk).crcs[2] ^= 1;
  EXPECT_EQ(arena.Find(chunk), Outcome::kBadPage);
  EXPECT_EQ(arena.writer->Check(chunk.ref.name), SlotCheck::kDropped);
}

// Whatever the tables say, a reader stays inside of the arena.
TEST(Arena, AReaderSurvivesRandomTables) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  TestArena arena;
  const Vandal vandal(arena.file);
  const TestChunk chunk = MakeTestChunk(1, 40);
  ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
  const uint64_t hash = WordsOf(chunk.ref.name)[0];
  ArenaSlot& slot = vandal.SlotOf(chunk);
  for (int i = 0; i < 20000; ++i) {
    const auto number = static_cast<uint32_t>(random() % 300);
    vandal.map().Bucket(hash)[random() % kBucketWords] =
        random() % 2 ? IndexWord(hash, number) : random();
    slot.pieces[random() % kPiecesPerSlot] =
        static_cast<uint32_t>(random() % 2 ? random() : random() % 70);
    if (random() % 4 == 0) slot.generation = random();
    if (random() % 4 == 0) slot.stored_length = chunk.ref.stored_length;
    if (random() % 4 == 0)
      vandal.map().header().allocated_pieces =
          static_cast<uint32_t>(random() % 2 ? random() : random() % 70);
    const auto found =
        arena.reader->Find(chunk.ref, 0, chunk.ref.stored_length);
    if (found.outcome == Outcome::kHit) {
      EXPECT_EQ(found.view->length(), chunk.ref.stored_length);
    }
  }
}

TEST(Arena, ARestartKeepsStableSlotsAndFreesOddOnes) {
  TestArena arena(8 * kMiB);
  const TestChunk kept = MakeTestChunk(1, 100);
  const TestChunk torn = MakeTestChunk(2, 100);
  ASSERT_TRUE(arena.writer->Put(kept.ref.name, kept.bytes).ok());
  ASSERT_TRUE(arena.writer->Put(torn.ref.name, torn.bytes).ok());
  const Vandal vandal(arena.file);
  // As if the daemon had died while it changed the slot.
  const uint64_t odd = vandal.SlotOf(torn).generation |= 1;
  EXPECT_EQ(arena.Find(torn), Outcome::kMiss);
  const uint64_t before = arena.writer->Stats().allocated_bytes;

  EXPECT_EQ(ArenaWriter::Open(arena.file, 8 * kMiB).error().code,
            Code::kUnavailable);
  arena.writer.reset();
  EXPECT_EQ(ArenaWriter::Open(arena.file, 16 * kMiB).error().code,
            Code::kExists);
  arena.writer = Must(ArenaWriter::Open(arena.file, 8 * kMiB));
  EXPECT_EQ(arena.writer->Stats().allocated_bytes, before);
  EXPECT_EQ(arena.writer->Stats().chunks, 1u);
  EXPECT_EQ(arena.Find(kept), Outcome::kHit);
  EXPECT_EQ(arena.Find(torn), Outcome::kMiss);
  for (uint64_t i = 10; i < 40; ++i) {
    const TestChunk chunk = MakeTestChunk(i);
    ASSERT_TRUE(arena.writer->Put(chunk.ref.name, chunk.bytes).ok());
    EXPECT_EQ(arena.Find(chunk), Outcome::kHit);
  }
  for (uint32_t i = 0; i < vandal.map().geometry.piece_count; ++i)
    if (vandal.map().Slot(i).name[0] == WordsOf(torn.ref.name)[0]) {
      EXPECT_GE(vandal.map().Slot(i).generation.load(), odd);
    }
}

TEST(Arena, ARestartGivesNoPieceToTwoSlots) {
  TestArena arena(8 * kMiB);
  const TestChunk one = MakeTestChunk(1, 100);
  const TestChunk two = MakeTestChunk(2, 100);
  ASSERT_TRUE(arena.writer->Put(one.ref.name, one.bytes).ok());
  ASSERT_TRUE(arena.writer->Put(two.ref.name, two.bytes).ok());
  const Vandal vandal(arena.file);
  vandal.SlotOf(one).pieces[3] = vandal.SlotOf(two).pieces[1].load();
  arena.writer.reset();
  arena.writer = Must(ArenaWriter::Open(arena.file, 8 * kMiB));
  EXPECT_EQ(arena.writer->Stats().chunks, 1u);
}

TEST(Arena, RefusesAnotherLayout) {
  TestArena arena;
  const Vandal vandal(arena.file);
  vandal.map().header().version = kArenaVersion + 1;
  EXPECT_EQ(ArenaReader::Map(arena.file).error().code, Code::kInvalid);
  arena.writer.reset();
  EXPECT_EQ(ArenaWriter::Open(arena.file, kSmallArena).error().code,
            Code::kExists);
  auto other = MakeMemoryFile("other", AsBytes("no arena"));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(ArenaReader::Map(*other).error().code, Code::kInvalid);
  EXPECT_EQ(ArenaWriter::Open(arena.file, 1).error().code, Code::kInvalid);
}

TEST(Arena, ReadersCannotWriteThroughTheirDescriptor) {
  TestArena arena;
  EXPECT_FALSE(SharedMapping::Map(arena.writer->reader_fd(), kPageSize,
                                  SharedMapping::Access::kReadWrite)
                   .ok());
}

// Each reads at random while the writer recycles; what is accepted must be the
// bytes of the name that was asked for. Returns the number of wrong ones.
uint64_t ReadForAWhile(const ArenaReader& reader,
                       const std::vector<TestChunk>& chunks, uint64_t seed,
                       const std::function<bool()>& is_over,
                       std::atomic<uint64_t>& accepted) {
  std::mt19937_64 random(seed);
  uint64_t wrong = 0;
  Bytes buffer;
  while (!is_over()) {
    const TestChunk& chunk = chunks[random() % chunks.size()];
    const uint32_t page =
        static_cast<uint32_t>(random()) % (chunk.ref.stored_length / kPageSize);
    const uint32_t offset = page * kPageSize;
    const uint32_t length =
        std::min(chunk.ref.stored_length - offset, uint32_t{4} * kPageSize);
    const auto found = reader.Find(chunk.ref, offset, length);
    if (found.outcome == Outcome::kBadPage) ++wrong;
    if (found.outcome != Outcome::kHit) continue;
    // A reader that is slow now and then.
    if (random() % 64 == 0) std::this_thread::yield();
    buffer.clear();
    while (buffer.size() < length) {
      const auto done = static_cast<uint32_t>(buffer.size());
      const ByteSpan run = found.view->Run(offset + done, length - done);
      buffer.insert(buffer.end(), run.begin(), run.end());
    }
    if (!found.view->still_valid()) continue;
    ++accepted;
    if (std::memcmp(buffer.data(), chunk.bytes.data() + offset, length) != 0)
      ++wrong;
  }
  return wrong;
}

std::vector<TestChunk> ManyChunks(uint64_t seed) {
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 40; ++i) chunks.push_back(MakeTestChunk(seed + i));
  return chunks;
}

void Recycle(ArenaWriter& writer, const std::vector<TestChunk>& chunks,
             uint64_t seed, int puts) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < puts; ++i) {
    const TestChunk& chunk = chunks[random() % chunks.size()];
    ASSERT_TRUE(writer.Put(chunk.ref.name, chunk.bytes).ok());
  }
}

TEST(ArenaStress, ThreadsNeverAcceptBytesOfAnotherChunk) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  TestArena arena;
  const auto chunks = ManyChunks(seed);
  std::atomic<bool> over = false;
  std::atomic<uint64_t> wrong = 0;
  std::atomic<uint64_t> accepted = 0;
  {
    std::vector<std::jthread> readers;
    for (uint64_t i = 0; i < 3; ++i)
      readers.emplace_back([&, i] {
        wrong += ReadForAWhile(
            *arena.reader, chunks, seed + i, [&] { return over.load(); },
            accepted);
      });
    std::jthread other([&] { Recycle(*arena.writer, chunks, seed, 2000); });
    Recycle(*arena.writer, chunks, seed + 1, 2000);
    other.join();
    while (accepted == 0) std::this_thread::yield();
    over = true;
  }
  EXPECT_EQ(wrong, 0u);
}

TEST(ArenaStress, ProcessesNeverAcceptBytesOfAnotherChunk) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  TestArena arena;
  const auto chunks = ManyChunks(seed);
  auto shared = MakeMemoryFile("over", Bytes(kPageSize));
  ASSERT_TRUE(shared.ok());
  const auto page = Must(SharedMapping::Map(shared->get(), kPageSize,
                                            SharedMapping::Access::kReadWrite));
  auto& over = *reinterpret_cast<std::atomic<uint32_t>*>(page.base());
  auto& accepted = *reinterpret_cast<std::atomic<uint64_t>*>(page.base() + 64);
  std::vector<pid_t> children;
  for (uint64_t i = 0; i < 4; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const uint64_t wrong = ReadForAWhile(
          *arena.reader, chunks, seed + i, [&] { return over.load() != 0; },
          accepted);
      _exit(wrong == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  // Frozen at any point and woken again much later; the last one is killed.
  for (int round = 0; round < 40; ++round) {
    for (const pid_t child : children) kill(child, SIGSTOP);
    Recycle(*arena.writer, chunks, seed + static_cast<uint64_t>(round), 50);
    for (const pid_t child : children) kill(child, SIGCONT);
    Recycle(*arena.writer, chunks, seed - static_cast<uint64_t>(round), 50);
  }
  while (accepted == 0) std::this_thread::yield();
  kill(children.back(), SIGKILL);
  over = 1;
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, child == children.back() ? SIGKILL : 0);
  }
}

}  // namespace
}  // namespace morsel
