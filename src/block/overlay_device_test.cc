// SPDX-License-Identifier: Apache-2.0
#include "block/overlay_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "block/overlay_map.h"
#include "block/test_devices.h"
#include "block/zero_device.h"
#include "chunk/name.h"
#include "crypto/cipher.h"

namespace morsel {
namespace {

constexpr uint64_t kSize = 3 * kMiB + 5 * kPageSize;
const std::string kManifest(64, 'a');

// The two files of an overlay, and what it takes to open it again.
struct Files {
  Fd data = EmptyMemoryFile();
  Fd map = EmptyMemoryFile();
  bool durable = true;
  std::string boot = "boot-1";
  std::string manifest = kManifest;
  uint64_t max_bytes = kGiB;
  std::atomic<uint32_t> flush_state{kNoFlush};
  Fd witness;
  int used_data = -1;  // the device's own, of the last that was opened
  std::vector<std::unique_ptr<BlockDevice>> images;

  OverlayOptions Options() {
    OverlayOptions options{.data = Duplicate(data.get()).value(),
                           .map = Duplicate(map.get()).value(),
                           .key = SecretBuffer(kXtsKeySize),
                           .manifest_id = manifest,
                           .max_bytes = max_bytes,
                           .durable = durable,
                           .boot_id = durable ? boot : "",
                           .flush_state = &flush_state,
                           .witness = {}};
    if (witness) options.witness = Duplicate(witness.get()).value();
    used_data = options.data.get();
    for (size_t i = 0; i < kXtsKeySize; ++i)
      options.key.mutable_bytes()[i] = static_cast<std::byte>(i);
    return options;
  }
  Result<std::unique_ptr<BlockDevice>> TryOpen(ByteSpan image) {
    images.push_back(MemoryDevice(image));
    return OpenOverlayDevice(*images.back(), Options());
  }
  std::unique_ptr<BlockDevice> Open(ByteSpan image) {
    auto device = TryOpen(image);
    EXPECT_TRUE(device.ok()) << device.error().message;
    return std::move(*device);
  }
  // As another process that was killed has it.
  std::unique_ptr<OverlayMap> OpenMap() const {
    auto opened = OverlayMap::Open(Duplicate(map.get()).value(),
                                   {.virtual_size = kSize,
                                    .manifest_id = manifest,
                                    .durable = durable,
                                    .boot_id = durable ? boot : ""});
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }
  uint64_t AllocatedBytes() const {
    struct stat attributes {};
    EXPECT_EQ(::fstat(data.get(), &attributes), 0);
    return static_cast<uint64_t>(attributes.st_blocks) * 512;
  }
};

Bytes ReadAll(BlockDevice& device) {
  Bytes bytes(device.size());
  EXPECT_TRUE(device.Read(0, bytes).ok());
  return bytes;
}

TEST(OverlayDevice, RandomOperationsAgreeWithAModel) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const bool durable : {false, true}) {
    const Bytes image = RandomBytes(random, kSize);
    Bytes model = image;
    Files files;
    files.durable = durable;
    auto device = files.Open(image);
    for (int i = 0; i < 3000; ++i) {
      uint64_t offset = random() % kSize;
      if (random() % 3 == 0) offset = RoundDown(offset, kPageSize);
      if (random() % 5 == 0) offset = RoundDown(offset, kChunkSize);
      const uint64_t limit = random() % 8 == 0 ? kMiB : 3 * kPageSize;
      uint64_t length = std::min(1 + random() % limit, kSize - offset);
      if (random() % 3 == 0)
        length = std::min(RoundUp(length, kPageSize), kSize - offset);
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const Bytes bytes = RandomBytes(random, length);
          ASSERT_TRUE(device->Write(offset, bytes).ok());
          std::copy(bytes.begin(), bytes.end(), model.begin() + offset);
          break;
        }
        case 3:
          ASSERT_TRUE((random() % 2 == 0 ? device->Discard(offset, length)
                                         : device->Zero(offset, length))
                          .ok());
          std::fill_n(model.begin() + offset, length, std::byte{0});
          break;
        case 4:
          ASSERT_TRUE(device->Flush().ok());
          break;
        case 5:
          if (random() % 20 == 0) {
            device.reset();
            device = files.Open(image);
          }
          break;
        default: {
          Bytes bytes(length);
          ASSERT_TRUE(device->Read(offset, bytes).ok());
          ASSERT_TRUE(
              std::equal(bytes.begin(), bytes.end(), model.begin() + offset));
        }
      }
    }
    EXPECT_EQ(ReadAll(*device), model);
  }
}

TEST(OverlayDevice, StoresNoPlaintext) {
  Files files;
  const auto device = files.Open(Bytes(kSize));
  ASSERT_TRUE(device->Write(0, Bytes(2 * kPageSize, std::byte{0x41})).ok());
  Bytes stored(2 * kPageSize);
  ASSERT_TRUE(ReadFullAt(files.data.get(), 0, stored).ok());
  EXPECT_EQ(AsText(stored).find("AAAA"), std::string_view::npos);
  // Two equal pages look different, as their numbers do.
  EXPECT_FALSE(std::equal(stored.begin(), stored.begin() + kPageSize,
                          stored.begin() + kPageSize));
}

TEST(OverlayDevice, DiscardGivesSpaceBackAndHidesTheImage) {
  const Bytes image(kSize, std::byte{9});
  Files files;
  const auto device = files.Open(image);
  ASSERT_TRUE(device->Write(0, Bytes(kMiB, std::byte{1})).ok());
  EXPECT_GE(files.AllocatedBytes(), kMiB);
  ASSERT_TRUE(device->Discard(0, 2 * kMiB).ok());
  EXPECT_EQ(files.AllocatedBytes(), 0u);
  Bytes bytes(2 * kMiB + 1);
  ASSERT_TRUE(device->Read(0, bytes).ok());
  EXPECT_TRUE(IsZero(ByteSpan(bytes).first(2 * kMiB)));
  EXPECT_EQ(bytes.back(), std::byte{9});
}

// A kill before each step of a discard and after the last.
TEST(OverlayDevice, ADiscardThatWasCutShortGivesItsSpaceBack) {
  const Bytes image(kSize, std::byte{9});
  const uint64_t kPages = OverlayMap::kPagesPerGroup;
  for (const bool durable : {false, true}) {
    Files files;
    files.durable = durable;
    const auto killed = files.Open(image);
    ASSERT_TRUE(killed->Write(0, Bytes(kMiB, std::byte{1})).ok());
    {
      const auto map = files.OpenMap();
      map->NoteHole(3, 3);
      map->NoteHole(2, 2);
      map->Set(2 * kPages + 1, kPages - 2, PageState::kZero);
      map->NoteHole(5, uint64_t{1} << 40);  // there is none
    }
    const auto device = files.Open(image);
    EXPECT_EQ(files.AllocatedBytes(), kMiB - (kPages - 2) * kPageSize);
    Bytes model = image;
    std::fill_n(model.begin(), kMiB, std::byte{1});
    std::fill_n(model.begin() + (2 * kPages + 1) * kPageSize,
                (kPages - 2) * kPageSize, std::byte{0});
    EXPECT_EQ(ReadAll(*device), model);
    // Done: what is written there later is not touched.
    ASSERT_TRUE(device->Write(0, Bytes(kMiB, std::byte{2})).ok());
    files.Open(image);
    EXPECT_EQ(files.AllocatedBytes(), kMiB);
    ASSERT_TRUE(device->Discard(0, kMiB).ok());
    const auto map = files.OpenMap();
    for (size_t i = 0; i < OverlayMap::kHoleNotes; ++i)
      EXPECT_FALSE(map->NotedHole(i).has_value()) << i;
  }
}

TEST(OverlayDevice, AHoleLeftBeforeARebootIsPunchedAfterIt) {
  const Bytes image(kSize, std::byte{9});
  const uint64_t kPages = OverlayMap::kPagesPerGroup;
  Files files;
  files.durable = true;
  {
    const auto device = files.Open(image);
    ASSERT_TRUE(device->Write(0, Bytes(kMiB, std::byte{1})).ok());
    ASSERT_TRUE(device->Flush().ok());
  }
  {
    const auto map = files.OpenMap();
    map->NoteHole(0, 1);
    map->Set(kPages, kPages, PageState::kZero);
    ASSERT_TRUE(map->Publish(map->Snapshot()).ok());
  }
  files.boot = "boot-2";
  files.Open(image);
  EXPECT_EQ(files.AllocatedBytes(), kMiB - kPages * kPageSize);
}

// A file that cannot be synced.
Fd Unsyncable() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd other(ends[1]);
  return Fd(ends[0]);
}

TEST(OverlayDevice, AfterAFailedFlushNoneSucceedsInAnyProcess) {
  const Bytes image(kSize);
  Files files;
  auto device = files.Open(image);
  ASSERT_TRUE(device->Write(0, AsBytes("kept")).ok());
  ASSERT_TRUE(device->Flush().ok());
  const Fd data = Duplicate(files.used_data).value();
  ASSERT_EQ(::dup3(Unsyncable().get(), files.used_data, O_CLOEXEC),
            files.used_data);
  EXPECT_EQ(device->Flush().error().code, Code::kIo);
  // The disk is well again, but what it lost is lost.
  ASSERT_EQ(::dup3(data.get(), files.used_data, O_CLOEXEC), files.used_data);
  EXPECT_EQ(device->Flush().error().code, Code::kIo);
  device = files.Open(image);
  EXPECT_EQ(device->Flush().error().code, Code::kIo);
  // Another device, with the same overlay.
  files.flush_state = kNoFlush;
  EXPECT_TRUE(files.Open(image)->Flush().ok());
}

TEST(OverlayDevice, AFlushWhoseProcessWasKilledFailsIfTheWitnessSaysSo) {
  const Bytes image(kSize);
  Files files;
  files.witness = Duplicate(files.data.get()).value();
  files.flush_state = kFlushUnderWay;
  EXPECT_TRUE(files.Open(image)->Flush().ok());
  EXPECT_EQ(files.flush_state, kNoFlush);
  files.witness = Unsyncable();
  // Nothing is in doubt: it is not asked.
  EXPECT_TRUE(files.Open(image)->Flush().ok());
  files.flush_state = kFlushUnderWay;
  EXPECT_EQ(files.Open(image)->Flush().error().code, Code::kIo);
  EXPECT_EQ(files.flush_state, kFlushFailed);
}

TEST(OverlayDevice, IsFullAtItsLimitAndUsableAgainAfterADiscard) {
  Files files;
  files.max_bytes = 4 * kPageSize;
  const auto device = files.Open(Bytes(kSize));
  const Bytes page(kPageSize, std::byte{1});
  for (uint64_t i = 0; i < 4; ++i)
    ASSERT_TRUE(device->Write(i * kPageSize, page).ok());
  EXPECT_EQ(device->Write(9 * kPageSize, page).error().code, Code::kExhausted);
  EXPECT_EQ(device->Write(9 * kPageSize + 1, AsBytes("x")).error().code,
            Code::kExhausted);
  // What is written already can be written again.
  EXPECT_TRUE(device->Write(0, page).ok());
  ASSERT_TRUE(device->Discard(0, kPageSize).ok());
  EXPECT_TRUE(device->Write(9 * kPageSize, page).ok());
  const auto again = files.Open(Bytes(kSize));
  EXPECT_EQ(again->Write(0, page).error().code, Code::kExhausted);
}

TEST(OverlayDevice, KeepsWritesThatWereNeverFlushedOverAKill) {
  std::mt19937_64 random(1);
  const Bytes image = RandomBytes(random, kSize);
  Files files;
  const auto killed = files.Open(image);
  ASSERT_TRUE(killed->Write(100, AsBytes("acknowledged")).ok());
  // `killed` is still open: nothing of it was closed or flushed.
  const auto device = files.Open(image);
  EXPECT_EQ(ReadAll(*device), ReadAll(*killed));
}

// A power cut here: the map's file as it is, the data file as of the last
// flush, another boot.
TEST(OverlayDevice, AfterAPowerCutHoldsWhatWasFlushedAndNoNoise) {
  std::mt19937_64 random(2);
  const Bytes image = RandomBytes(random, kSize);
  Files files;
  Bytes flushed;
  Files later;
  {
    const auto device = files.Open(image);
    ASSERT_TRUE(device->Write(4000, RandomBytes(random, 9000)).ok());
    ASSERT_TRUE(device->Discard(kMiB, kMiB).ok());
    ASSERT_TRUE(device->Flush().ok());
    flushed = ReadAll(*device);
    Bytes data(kSize);
    ASSERT_TRUE(ReadFullAt(files.data.get(), 0, data).ok());
    ASSERT_TRUE(WriteFullAt(later.data.get(), 0, data).ok());
    ASSERT_TRUE(device->Write(2 * kMiB, RandomBytes(random, 50000)).ok());
  }
  const Result<uint64_t> size = FileSize(files.map.get());
  ASSERT_TRUE(size.ok());
  Bytes map(*size);
  ASSERT_TRUE(ReadFullAt(files.map.get(), 0, map).ok());
  ASSERT_TRUE(WriteFullAt(later.map.get(), 0, map).ok());
  later.boot = "boot-2";
  EXPECT_EQ(ReadAll(*later.Open(image)), flushed);
  // And once more under the same boot.
  EXPECT_EQ(ReadAll(*later.Open(image)), flushed);
}

TEST(OverlayDevice, RefusesTheOverlayOfAnotherImage) {
  Files files;
  files.Open(Bytes(kSize));
  files.manifest = std::string(64, 'b');
  const auto other = files.TryOpen(Bytes(kSize));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kInvalid);
  EXPECT_NE(other.error().message.find(kManifest), std::string::npos);
  files.manifest = kManifest;
  EXPECT_EQ(files.TryOpen(Bytes(2 * kSize)).error().code, Code::kInvalid);
  files.durable = false;
  EXPECT_EQ(files.TryOpen(Bytes(kSize)).error().code, Code::kInvalid);
}

// tests/golden/make.py made it: page 1 is written, page 2 discarded.
TEST(OverlayMap, IsThatOfTheGoldenFile) {
  const Bytes golden =
      ReadWholeFile(GOLDEN_FOLDER "/overlay-map-1", kMiB).value();
  std::string manifest;
  for (int i = 0; i < 32; ++i) manifest += "ab";
  const OverlayMapOptions options{
      .virtual_size = 32 * kPageSize,
      .manifest_id = manifest,
      .durable = true,
      .boot_id = "00000000-0000-0000-0000-000000000001"};
  const Fd made = EmptyMemoryFile();
  {
    auto map = OverlayMap::Open(Duplicate(made.get()).value(), options).value();
    map->Set(1, 1, PageState::kData);
    map->Set(2, 1, PageState::kZero);
    ASSERT_TRUE(map->Publish(map->Snapshot()).ok());
  }
  Bytes bytes(golden.size());
  ASSERT_EQ(FileSize(made.get()).value(), golden.size());
  ASSERT_TRUE(ReadFullAt(made.get(), 0, bytes).ok());
  EXPECT_EQ(bytes, golden);
}

TEST(OverlayDevice, RefusesADamagedMap) {
  Files files;
  files.Open(Bytes(kSize));
  ASSERT_TRUE(WriteFullAt(files.map.get(), 4096 + 8, AsBytes("\xff")).ok());
  EXPECT_EQ(files.TryOpen(Bytes(kSize)).error().code, Code::kCorrupt);
  ASSERT_TRUE(WriteFullAt(files.map.get(), 0, AsBytes("nonsense")).ok());
  EXPECT_EQ(files.TryOpen(Bytes(kSize)).error().code, Code::kCorrupt);
  Files shorter;
  shorter.Open(Bytes(kSize));
  ASSERT_EQ(::ftruncate(shorter.map.get(), 5000), 0);
  EXPECT_EQ(shorter.TryOpen(Bytes(kSize)).error().code, Code::kCorrupt);
}

TEST(OverlayDevice, BeginsAnewWhereItsMakingWasCutShort) {
  Files files;
  ASSERT_EQ(::ftruncate(files.map.get(), 8192), 0);
  const Bytes image(kSize, std::byte{3});
  EXPECT_EQ(ReadAll(*files.Open(image)), image);
}

// Each thread owns every fourth stretch of 100 bytes, so that all pages are
// shared and none of the bytes.
TEST(OverlayDevice, ConcurrentWritesToPartsOfOnePageAreAllKept) {
  constexpr uint64_t kStretch = 100;
  constexpr int kThreads = 4;
  constexpr uint64_t kUsed = 40 * kPageSize;
  Files files;
  const auto device = files.Open(Bytes(kSize, std::byte{0xee}));
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int round = 1; round <= 3; ++round)
        for (uint64_t at = static_cast<uint64_t>(t) * kStretch;
             at + kStretch <= kUsed; at += kThreads * kStretch) {
          const Bytes bytes(kStretch, static_cast<std::byte>(16 * t + round));
          Bytes read(kStretch);
          if (!device->Write(at, bytes).ok() || !device->Read(at, read).ok() ||
              read != bytes)
            ++wrong;
        }
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

// Readers beside discards and rewrites see old or new pages, never noise.
TEST(OverlayDevice, ReadsBesideDiscardsSeeNoNoise) {
  constexpr uint64_t kPages = 64;
  Files files;
  const auto device = files.Open(Bytes(kSize, std::byte{0x11}));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  {
    std::jthread changer([&] {
      std::mt19937_64 random(3);
      const Bytes page(kPageSize, std::byte{0x11});
      for (int i = 0; i < 4000; ++i) {
        const uint64_t at = random() % kPages * kPageSize;
        if (!device->Discard(at, kPageSize).ok()) ++wrong;
        if (!device->Write(at, page).ok()) ++wrong;
      }
      stop = true;
    });
    std::mt19937_64 random(4);
    Bytes page(kPageSize);
    while (!stop) {
      if (!device->Read(random() % kPages * kPageSize, page).ok()) ++wrong;
      for (const std::byte b : page)
        if (b != std::byte{0x11} && b != std::byte{0}) {
          ++wrong;
          break;
        }
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(OverlayMap, RunLengthAgreesWithGet) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kPages = 300;
  auto map = OverlayMap::Open(
      EmptyMemoryFile(),
      {.virtual_size = kPages * kPageSize, .manifest_id = kManifest});
  ASSERT_TRUE(map.ok());
  for (int i = 0; i < 500; ++i) {
    const uint64_t first = random() % kPages;
    const uint64_t room = std::min(
        OverlayMap::kPagesPerGroup - first % OverlayMap::kPagesPerGroup,
        kPages - first);
    (*map)->Set(first, 1 + random() % room,
                static_cast<PageState>(random() % 3));
    const uint64_t page = random() % kPages;
    const auto state = static_cast<PageState>(random() % 3);
    const uint64_t limit = random() % (kPages - page + 1);
    uint64_t expected = 0;
    while (expected < limit && (*map)->Get(page + expected) == state)
      ++expected;
    ASSERT_EQ((*map)->RunLength(page, state, limit), expected);
  }
}

}  // namespace
}  // namespace morsel
