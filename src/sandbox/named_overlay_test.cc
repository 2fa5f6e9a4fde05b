// SPDX-License-Identifier: Apache-2.0
#include "sandbox/named_overlay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "crypto/cipher.h"
#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

class NamedOverlayTest : public SandboxTest {
 protected:
  Result<NamedOverlay> Take(const std::string& name,
                            const std::string& manifest = "m1") {
    return TakeNamedOverlay(config_, name, manifest, keys_);
  }
};

TEST_F(NamedOverlayTest, KeepsItsKey) {
  auto first = Take("data");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_TRUE(first->is_new);
  ASSERT_EQ(first->key.size(), kXtsKeySize);
  const Bytes key = CopyBytes(first->key.bytes());
  // XTS must not be used with two equal halves.
  EXPECT_FALSE(std::equal(key.begin(), key.begin() + 32, key.begin() + 32));
  first->lock.Close();
  const auto second = Take("data");
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_FALSE(second->is_new);
  EXPECT_EQ(CopyBytes(second->key.bytes()), key);
  const auto other = Take("other");
  ASSERT_TRUE(other.ok());
  EXPECT_NE(CopyBytes(other->key.bytes()), key);
}

TEST_F(NamedOverlayTest, IsTakenOnceAtATime) {
  const auto first = Take("data");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Take("data").error().code, Code::kExists);
}

TEST_F(NamedOverlayTest, StaysWithItsImage) {
  ASSERT_TRUE(Take("data", "m1").ok());
  const auto wrong = Take("data", "m2");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::kInvalid);
}

TEST_F(NamedOverlayTest, CannotStandInForAnother) {
  ASSERT_TRUE(Take("a").ok());
  ASSERT_TRUE(Take("b").ok());
  std::filesystem::copy_file(OverlaysDir(config_) + "/a/meta.json",
                             OverlaysDir(config_) + "/b/meta.json",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(Take("b").error().code, Code::kCorrupt);
}

TEST_F(NamedOverlayTest, RefusesNamesThatArePaths) {
  for (const char* name :
       {"", ".", "..", "a/b", "../x", ".hidden", "-x", "a b", "\xc3\xa4"})
    EXPECT_EQ(Take(name).error().code, Code::kInvalid) << name;
  EXPECT_EQ(Take(std::string(129, 'a')).error().code, Code::kInvalid);
  EXPECT_TRUE(Take("A.b_c-1").ok());
}

TEST_F(NamedOverlayTest, SaysThatItsNoteIsDamaged) {
  ASSERT_TRUE(Take("data").ok());
  std::ofstream(OverlaysDir(config_) + "/data/meta.json") << "{";
  EXPECT_EQ(Take("data").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
