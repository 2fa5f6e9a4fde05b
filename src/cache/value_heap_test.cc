// SPDX-License-Identifier: Apache-2.0
#include "cache/value_heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace morsel {
namespace {

std::shared_ptr<ValueHeap> MakeHeap(uint64_t max_bytes) {
  auto heap = ValueHeap::Make(max_bytes);
  CHECK(heap.ok());
  return *heap;
}

TEST(ValueHeap, RunsDoNotOverlapAndLimitsHoldUnderRandomUse) {
  constexpr uint64_t kMaxBytes = 4 * kMiB;
  const uint64_t seed = 5;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto heap = MakeHeap(kMaxBytes);
  struct Held {
    ValueBuffer buffer;
    int pattern;
  };
  std::vector<Held> held;
  uint64_t held_bytes = 0;
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t budget = kMaxBytes / 2 + random() % (kMaxBytes / 2);
    const size_t size =
        1 + (random() % 4 == 0 ? random() % (200 * kKiB) : random() % 5000);
    auto buffer = heap->Allocate(size, budget);
    if (buffer) {
      const int pattern = static_cast<int>(random() % 256);
      std::memset(buffer->span().data(), pattern, size);
      held_bytes += RoundUp(size, ValueHeap::kUnitBytes);
      held.push_back({*std::move(buffer), pattern});
    }
    while (!held.empty() && (!buffer || random() % 3 == 0)) {
      std::swap(held[random() % held.size()], held.back());
      const auto bytes = held.back().buffer.span();
      for (const std::byte byte : {bytes.front(), bytes.back()})
        ASSERT_EQ(byte, static_cast<std::byte>(held.back().pattern));
      held_bytes -= RoundUp(bytes.size(), ValueHeap::kUnitBytes);
      held.pop_back();
      if (random() % 4 != 0) break;
    }
    ASSERT_EQ(heap->used_bytes(), held_bytes);
    ASSERT_LE(heap->touched_bytes(), kMaxBytes);
    ASSERT_GE(heap->touched_bytes(), held_bytes);
  }
  held.clear();
  // All holes have been joined again.
  EXPECT_TRUE(heap->Allocate(kMaxBytes, kMaxBytes).has_value());
  heap->Trim(0);
  EXPECT_EQ(heap->touched_bytes(), 0u);
}

TEST(ValueHeap, EmptyGranulesMakeRoomInTheBudget) {
  const auto heap = MakeHeap(kMiB);
  auto first = heap->Allocate(100 * kKiB, 128 * kKiB);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(heap->Allocate(100 * kKiB, 128 * kKiB).has_value());
  first.reset();
  EXPECT_TRUE(heap->Allocate(120 * kKiB, 128 * kKiB).has_value());
}

TEST(ValueHeap, AValueOutlivesItsHeap) {
  auto heap = MakeHeap(kMiB);
  auto buffer = heap->Allocate(10, kMiB);
  ASSERT_TRUE(buffer.has_value());
  std::memset(buffer->span().data(), 'x', 10);
  const SharedBytes value = std::move(*buffer).Share();
  EXPECT_TRUE(heap->Owns(value.span()));
  heap.reset();
  EXPECT_EQ(value.text(), "xxxxxxxxxx");
}

TEST(ValueHeap, AnEmptyValueHasARunToo) {
  const auto heap = MakeHeap(kMiB);
  auto buffer = heap->Allocate(0, kMiB);
  ASSERT_TRUE(buffer.has_value());
  EXPECT_EQ(buffer->span().size(), 0u);
}

}  // namespace
}  // namespace morsel
