// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "crypto/secret_text.h"

namespace morsel {
namespace {

// The VmFlags of the mapping that holds `address`, from /proc/self/smaps.
std::string FlagsOfMapping(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      inside = begin <= wanted && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line + " ";
    }
  }
  return "";
}

bool AllZero(ByteSpan bytes) {
  return std::ranges::all_of(
      bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(WipeTest, ZeroesEveryByte) {
  Bytes bytes(100, std::byte{7});
  Wipe(bytes);
  EXPECT_TRUE(AllZero(bytes));
  Wipe({});
}

TEST(SecretKeyTest, MovedFromKeyIsWiped) {
  SecretKey key = SecretKey::Generate(SystemRandom());
  const Bytes copy = CopyBytes(key.bytes());
  EXPECT_FALSE(AllZero(copy));
  SecretKey moved = std::move(key);
  EXPECT_TRUE(AllZero(key.bytes()));  // NOLINT: what a move leaves is shown
  EXPECT_EQ(CopyBytes(moved.bytes()), copy);
  SecretKey assigned;
  assigned = std::move(moved);
  EXPECT_TRUE(AllZero(moved.bytes()));  // NOLINT
  EXPECT_EQ(CopyBytes(assigned.bytes()), copy);
  EXPECT_EQ(CopyBytes(assigned.Clone().bytes()), copy);
}

TEST(SecretKeyTest, DestroyedKeyLeavesNoTrace) {
  alignas(SecretKey) std::array<std::byte, sizeof(SecretKey)> memory;
  auto* key = std::construct_at(reinterpret_cast<SecretKey*>(memory.data()));
  std::ranges::fill(key->mutable_bytes(), std::byte{0x5a});
  std::destroy_at(key);
  EXPECT_EQ(std::ranges::count(memory, std::byte{0x5a}), 0);
}

TEST(SecretBufferTest, IsExcludedFromCoreFiles) {
  const SecretBuffer buffer(10000);
  const std::string flags = FlagsOfMapping(buffer.bytes().data());
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
}

TEST(SecretBufferTest, MovesItsPages) {
  SecretBuffer buffer(5000);
  std::ranges::fill(buffer.mutable_bytes(), std::byte{1});
  const std::byte* data = buffer.bytes().data();
  SecretBuffer moved = std::move(buffer);
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(moved.size(), 5000u);
  SecretBuffer assigned(1);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.bytes().data(), data);
  EXPECT_EQ(assigned.bytes()[4999], std::byte{1});
}

TEST(SecretBufferTest, EmptyBufferHasNoPages) {
  const SecretBuffer none;
  EXPECT_EQ(none.size(), 0u);
  const SecretBuffer zero(0);
  EXPECT_TRUE(zero.bytes().empty());
}

TEST(SecretTextTest, IsLockedStaysOutOfCoreFilesAndWipesItsSource) {
  std::string source = "wJalrXUtnFEMI/K7MDENG";
  const SecretText secret = SecretText::TakeFrom(source);
  EXPECT_TRUE(source.empty());
  const char* left = source.data();
  EXPECT_EQ(std::string(left, 8), std::string(8, '\0'));
  const SecretText copy = secret;
  EXPECT_EQ(copy.bytes().data(), secret.bytes().data());
  EXPECT_EQ(AsText(copy.bytes()), "wJalrXUtnFEMI/K7MDENG");
  const std::string flags = FlagsOfMapping(copy.bytes().data());
  EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
#ifndef MORSEL_SANITIZED  // there mlock does nothing
  EXPECT_NE(flags.find(" lo "), std::string::npos) << flags;
#endif
  EXPECT_TRUE(SecretText().empty());
  EXPECT_TRUE(SecretText("").empty());
}

}  // namespace
}  // namespace morsel
