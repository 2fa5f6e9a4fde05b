// SPDX-License-Identifier: Apache-2.0
#include "chunk/chunk_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace morsel {
namespace {

constexpr uint32_t kPiece = ChunkView::kPieceSize;

Bytes RandomBytes(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(ChunkViewTest, OwnedBytesAreOneRunAndAlwaysValid) {
  const Bytes bytes = RandomBytes(1, 3 * kPiece + 4096);
  const ChunkView view = ChunkView::Owned(bytes);
  EXPECT_EQ(view.length(), bytes.size());
  EXPECT_TRUE(view.still_valid());
  EXPECT_EQ(view.Run(100, 2 * kPiece).size(), 2 * kPiece);
  EXPECT_EQ(view.Copy(), bytes);
}

TEST(ChunkViewTest, MovedViewStillReadsItsOwnBytes) {
  const Bytes bytes = RandomBytes(2, 8192);
  ChunkView view = ChunkView::Owned(bytes);
  ChunkView moved = std::move(view);
  EXPECT_EQ(moved.Copy(), bytes);
  const std::byte* const owned = moved.Run(0, 1).data();
  const Bytes taken = moved.Take();
  EXPECT_EQ(taken, bytes);
  EXPECT_EQ(taken.data(), owned);
  EXPECT_TRUE(moved.still_valid());
}

TEST(ChunkViewTest, RunEndsWithItsPiece) {
  const Bytes bytes = RandomBytes(3, 2 * kPiece + 8192);
  // Pieces lie in memory in any order.
  Bytes memory(4 * kPiece);
  std::array<const std::byte*, ChunkView::kMaxPieces> pieces{};
  const size_t places[] = {2, 0, 3};
  for (size_t i = 0; i < 3; ++i) {
    pieces[i] = &memory[places[i] * kPiece];
    const size_t size = std::min<size_t>(kPiece, bytes.size() - i * kPiece);
    std::copy_n(&bytes[i * kPiece], size, &memory[places[i] * kPiece]);
  }
  std::atomic<uint64_t> generation{4};
  ChunkView view(pieces, static_cast<uint32_t>(bytes.size()), &generation, 4);
  EXPECT_EQ(view.Run(kPiece - 10, 100).size(), 10u);
  EXPECT_EQ(view.Run(kPiece, 2 * 4096).size(), 8192u);
  EXPECT_TRUE(view.Run(view.length(), 0).empty());
  EXPECT_EQ(view.Copy(), bytes);
  EXPECT_EQ(view.Take(), bytes);
  EXPECT_TRUE(view.still_valid());
  generation = 5;
  EXPECT_FALSE(view.still_valid());
}

TEST(ChunkViewDeathTest, RunBeyondTheEndIsAProgrammersError) {
  const ChunkView view = ChunkView::Owned(Bytes(4096));
  EXPECT_DEATH(view.Run(4096, 1), "length_");
}

}  // namespace
}  // namespace morsel
