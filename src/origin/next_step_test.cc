// SPDX-License-Identifier: Apache-2.0
#include "origin/next_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "origin/popular.h"
#include "origin/record_store.h"
#include "origin/salt.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRoot = "r0123456789ab";
const std::string kId(64, 'a');

std::string StepOf(const std::string& key) {
  return WithNextStep(MakeError(Code::kCorrupt, "damaged"), key).message;
}

TEST(NextStep, FollowsFromTheKey) {
  EXPECT_THAT(StepOf("images/a/b/1.json"), HasSubstr("morsel rm a/b:1"));
  EXPECT_THAT(StepOf(RecordKey(kId)), HasSubstr("convert its image again"));
  EXPECT_THAT(StepOf(ManifestKey(kRoot, kId)), HasSubstr("convert its image"));
  EXPECT_THAT(StepOf(RootStateKey(kRoot)), HasSubstr("write it anew"));
  EXPECT_THAT(StepOf(SaltKey(kRoot, "ab")), HasSubstr("retire " + kRoot));
  EXPECT_THAT(StepOf(PopularKey(kRoot)), HasSubstr("counted.json"));
  EXPECT_THAT(StepOf("roots/first.json"), HasSubstr("delete it"));
  EXPECT_THAT(StepOf("alarms/x/y/z.json"), HasSubstr("an alarm"));
  for (const char* other : {"", "roots", "roots/", "what/is/it"})
    EXPECT_THAT(StepOf(other), HasSubstr("; ")) << other;
}

TEST(NextStep, IsOfDamageAlone) {
  EXPECT_EQ(WithNextStep(MakeError(Code::kTimeout, "late"), "images/a/1.json")
                .message,
            "late");
  const std::string newer = "a format that this does not know: use a newer one";
  EXPECT_EQ(
      WithNextStep(MakeError(Code::kCorrupt, newer), RecordKey(kId)).message,
      newer);
}

// Whoever reads one that is damaged says where and what to do.
TEST(NextStep, IsInWhatReadersSay) {
  MemoryStore store;
  for (const std::string& text : {std::string("junk"), std::string("{}"),
                                  std::string(R"({"format": 1, "x": 2})")}) {
    const auto put = [&](const std::string& key) {
      ASSERT_TRUE(store.Put(key, AsBytes(text)).ok());
    };
    put(RecordKey(kId));
    put(RootStateKey(kRoot));
    put(SaltKey(kRoot, "ab"));
    put(PopularKey(kRoot));
    put("images/a/1.json");
    const auto says = [&](const auto& result, const std::string& key,
                          const std::string& step) {
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code, Code::kCorrupt);
      EXPECT_THAT(result.error().message, HasSubstr(key));
      EXPECT_THAT(result.error().message, HasSubstr(step));
    };
    says(LoadRecord(store, kId), RecordKey(kId), "restore it");
    says(LoadRootState(store, kRoot), RootStateKey(kRoot), "restore it");
    says(ReadWrappedSalt(store, SaltKey(kRoot, "ab")), SaltKey(kRoot, "ab"),
         "restore it");
    says(ReadPopular(store, kRoot), PopularKey(kRoot), "delete it");
    says(LoadPointer(store, {.repository = "a", .tag = "1"}), "images/a/1.json",
         "morsel rm a:1");
  }
  ASSERT_TRUE(store.Put(RecordKey(kId), AsBytes(R"({"format": 2})")).ok());
  EXPECT_THAT(LoadRecord(store, kId).error().message,
              Not(HasSubstr("restore it")));
}

}  // namespace
}  // namespace morsel
