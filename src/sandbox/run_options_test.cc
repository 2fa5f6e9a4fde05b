// SPDX-License-Identifier: Apache-2.0
#include "sandbox/run_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace morsel {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

TEST(BindMount, ParsesHostContainerAndOption) {
  const auto plain = BindMount::Parse("/a b:/c");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->host_path, "/a b");
  EXPECT_EQ(plain->container_path, "/c");
  EXPECT_FALSE(plain->read_only);
  EXPECT_TRUE(BindMount::Parse("/a:/c:ro")->read_only);
  EXPECT_FALSE(BindMount::Parse("/a:/c:rw")->read_only);
}

TEST(BindMount, RefusesOtherForms) {
  for (const char* text : {"", "/a", "a:/b", "/a:b", "/a:", ":/b", "/a:/b:x",
                           "/a:/b:ro:ro", "volume:/b"}) {
    const auto bind = BindMount::Parse(text);
    ASSERT_FALSE(bind.ok()) << text;
    EXPECT_EQ(bind.error().code, Code::kInvalid);
  }
}

TEST(Capabilities, AreDockersFourteenByDefault) {
  const auto names = EffectiveCapabilities({}, {});
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(names->size(), 14U);
  EXPECT_THAT(*names, Contains("CAP_NET_BIND_SERVICE"));
  EXPECT_THAT(*names, Not(Contains("CAP_SYS_ADMIN")));
}

TEST(Capabilities, AreDroppedBeforeTheyAreAdded) {
  const auto names = EffectiveCapabilities({"cap_kill", "NET_ADMIN"}, {"ALL"});
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(*names, ElementsAre("CAP_KILL", "CAP_NET_ADMIN"));
  EXPECT_GE(EffectiveCapabilities({"all"}, {})->size(), 14U);
}

TEST(Capabilities, RefuseAnUnknownName) {
  EXPECT_EQ(EffectiveCapabilities({"FLY"}, {}).error().code, Code::kInvalid);
  EXPECT_EQ(EffectiveCapabilities({}, {""}).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
