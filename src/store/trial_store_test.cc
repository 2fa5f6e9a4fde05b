// SPDX-License-Identifier: Apache-2.0
#include "store/trial_store.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

TEST(TrialStore, DoesWhatItWasToldLast) {
  MemoryStore memory;
  TrialStore store(memory);
  ASSERT_TRUE(store.Put("a", AsBytes("hello")).ok());
  store.Set({.is_down = true});
  EXPECT_EQ(store.Get("a", 0, 10).error().code, Code::kUnavailable);
  EXPECT_EQ(store.Put("b", AsBytes("x")).error().code, Code::kUnavailable);
  store.Set({.flip_part = 1});
  EXPECT_NE(AsText(store.Get("a", 0, 10)->bytes), "hello");
  store.Set({.delay = std::chrono::milliseconds(20)});
  const auto begun = SystemClock().Now();
  EXPECT_EQ(AsText(store.Get("a", 0, 10)->bytes), "hello");
  EXPECT_GE(SystemClock().Now() - begun, std::chrono::milliseconds(20));
  store.Set({});
  EXPECT_EQ(AsText(store.Get("a", 0, 10)->bytes), "hello");
}

TEST(TrialStore, ParsesItsSetting) {
  const auto trial = Trial::Parse("down,delay=250,flip=0.5");
  ASSERT_TRUE(trial.ok());
  EXPECT_TRUE(trial->is_down);
  EXPECT_EQ(trial->delay, std::chrono::milliseconds(250));
  EXPECT_EQ(trial->flip_part, 0.5);
  EXPECT_TRUE(Trial::Parse("").ok());
  for (const char* text : {"up", "delay", "delay=", "delay=x", "delay=-1",
                           "flip=2", "flip", "down=1", ",", "down,,"})
    EXPECT_FALSE(Trial::Parse(text).ok()) << text;
}

}  // namespace
}  // namespace morsel
