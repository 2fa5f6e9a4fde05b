// SPDX-License-Identifier: Apache-2.0
// What every ObjectStore promises, run against each provider: built once with
// those of this process, and once with S3.
#include "store/conformance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "store/test_folder.h"

namespace morsel {
namespace {

class ObjectStoreTest : public testing::TestWithParam<ConformanceProvider> {
 protected:
  ObjectStoreTest() : store_(GetParam().make(folder_.path() + "/store")) {
    // What a store tried when it was opened for writing is none of the test's.
    EXPECT_TRUE(store_->Delete("scratch/conditions").ok());
  }

  std::string TextOf(std::string_view key) {
    const Result<ObjectData> data = store_->Get(key, 0, UINT64_MAX);
    return data.ok() ? std::string(AsText(data->bytes))
                     : std::string(CodeName(data.error().code));
  }
  std::vector<std::string> Keys(std::string_view prefix,
                                std::string_view after = "",
                                size_t limit = 1000) {
    std::vector<std::string> keys;
    const Result<ObjectPage> page = store_->List(prefix, after, limit);
    EXPECT_TRUE(page.ok());
    if (page.ok())
      for (const auto& row : page->rows) keys.push_back(row.key);
    return keys;
  }

  TestFolder folder_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(ObjectStoreTest, GivesBackWhatWasPut) {
  ASSERT_TRUE(store_->Put("a/b/c", AsBytes("hello")).ok());
  EXPECT_EQ(TextOf("a/b/c"), "hello");
  ASSERT_TRUE(store_->Put("a/b/c", AsBytes("")).ok());
  EXPECT_EQ(TextOf("a/b/c"), "");
  EXPECT_EQ(TextOf("a/b"), "not found");
  EXPECT_EQ(TextOf("a/b/c/d"), "not found");
  EXPECT_EQ(store_->Head("absent").error().code, Code::kNotFound);
}

TEST_P(ObjectStoreTest, ReadsRangesAndStopsAtTheEnd) {
  ASSERT_TRUE(store_->Put("k", AsBytes("0123456789")).ok());
  const auto range = [&](uint64_t offset, uint64_t limit) {
    const Result<ObjectData> data = store_->Get("k", offset, limit);
    EXPECT_TRUE(data.ok());
    EXPECT_EQ(data->info.size_bytes, 10u);
    return std::string(AsText(data->bytes));
  };
  EXPECT_EQ(range(0, 4), "0123");
  EXPECT_EQ(range(8, 4), "89");
  EXPECT_EQ(range(10, 4), "");
  EXPECT_EQ(range(UINT64_MAX, UINT64_MAX), "");
  EXPECT_EQ(range(3, 0), "");
}

TEST_P(ObjectStoreTest, PutIfAbsentKeepsTheFirst) {
  ASSERT_TRUE(store_->PutIfAbsent("x/y", AsBytes("first")).ok());
  EXPECT_EQ(store_->PutIfAbsent("x/y", AsBytes("second")).error().code,
            Code::kExists);
  EXPECT_EQ(store_->PutIfAbsent("x/y", AsBytes("first")).error().code,
            Code::kExists);
  EXPECT_EQ(TextOf("x/y"), "first");
}

TEST_P(ObjectStoreTest, ReplacesOnlyTheVersionThatWasRead) {
  EXPECT_EQ(store_->ReplaceIfUnchanged("k", AsBytes("x"), "1").error().code,
            Code::kNotFound);
  ASSERT_TRUE(store_->Put("k", AsBytes("one")).ok());
  const std::string version = store_->Head("k")->version;
  EXPECT_EQ(store_->Get("k", 0, 1)->info.version, version);
  ASSERT_TRUE(store_->ReplaceIfUnchanged("k", AsBytes("two"), version).ok());
  EXPECT_EQ(
      store_->ReplaceIfUnchanged("k", AsBytes("three"), version).error().code,
      Code::kExists);
  EXPECT_EQ(TextOf("k"), "two");
  EXPECT_EQ(store_->ReplaceIfUnchanged("k", AsBytes("x"), "").error().code,
            Code::kExists);
}

TEST_P(ObjectStoreTest, AVersionNeverReturnsForOtherBytes) {
  // Objects of equal size in a row, small and large, as inode numbers and the
  // kernel's coarse time would make them alike.
  for (const size_t size : {100u, 100'000u}) {
    std::map<std::string, char> seen;
    for (int i = 0; i < 40; ++i) {
      const char letter = static_cast<char>('0' + i);
      const std::string bytes(size, letter);
      ASSERT_TRUE(store_->Put("k", AsBytes(bytes)).ok());
      const auto [it, fresh] = seen.emplace(store_->Head("k")->version, letter);
      EXPECT_EQ(it->second, letter);
    }
  }
}

TEST_P(ObjectStoreTest, OfEightRacingPutsIfAbsentExactlyOneWins) {
  for (int round = 0; round < 10; ++round) {
    const std::string key = "race/" + std::to_string(round);
    std::atomic<int> wins = 0;
    std::atomic<int> winner = -1;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
          const std::string bytes = std::to_string(i);
          const Status put = store_->PutIfAbsent(key, AsBytes(bytes));
          if (put.ok()) {
            ++wins;
            winner = i;
          } else {
            EXPECT_EQ(put.error().code, Code::kExists) << put.error().message;
          }
        });
    }
    EXPECT_EQ(wins, 1);
    EXPECT_EQ(TextOf(key), std::to_string(winner));
  }
}

TEST_P(ObjectStoreTest, RacingReplacementsLoseNoUpdate) {
  ASSERT_TRUE(store_->Put("counter", AsBytes("0")).ok());
  constexpr int kThreads = 4;
  constexpr int kSteps = 10;
  const auto add_one = [&] {
    while (true) {
      const Result<ObjectData> now = store_->Get("counter", 0, 100);
      ASSERT_TRUE(now.ok());
      const std::string next =
          std::to_string(std::stoi(std::string(AsText(now->bytes))) + 1);
      const Status done = store_->ReplaceIfUnchanged("counter", AsBytes(next),
                                                     now->info.version);
      if (done.ok()) return;
      ASSERT_EQ(done.error().code, Code::kExists);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&] {
        for (int step = 0; step < kSteps; ++step) add_one();
      });
  }
  EXPECT_EQ(TextOf("counter"), std::to_string(kThreads * kSteps));
}

TEST_P(ObjectStoreTest, ListsInByteOrderByPages) {
  // '-' < '/' < '0', so a folder stands between its neighbours.
  const std::vector<std::string> keys = {"a-b",  "a/x", "a/y/z",
                                         "a/y0", "a0",  "b"};
  for (const std::string& key : keys)
    ASSERT_TRUE(store_->Put(key, AsBytes(key)).ok());
  EXPECT_EQ(Keys(""), keys);
  std::vector<std::string> paged;
  for (std::string after;;) {
    const Result<ObjectPage> page = store_->List("", after, 2);
    ASSERT_TRUE(page.ok());
    for (const auto& row : page->rows) {
      paged.push_back(row.key);
      EXPECT_EQ(row.info.size_bytes, row.key.size());
    }
    if (!page->more) break;
    after = paged.back();
  }
  EXPECT_EQ(paged, keys);
  EXPECT_EQ(Keys("a/"), (std::vector<std::string>{"a/x", "a/y/z", "a/y0"}));
  EXPECT_EQ(Keys("a/y"), (std::vector<std::string>{"a/y/z", "a/y0"}));
  EXPECT_EQ(Keys("a", "a/x"),
            (std::vector<std::string>{"a/y/z", "a/y0", "a0"}));
  EXPECT_TRUE(Keys("nowhere/").empty());
}

TEST_P(ObjectStoreTest, DeletesAndCopies) {
  ASSERT_TRUE(store_->Put("from", AsBytes("text")).ok());
  ASSERT_TRUE(store_->Put("to/there", AsBytes("older")).ok());
  ASSERT_TRUE(store_->Copy("from", "to/there").ok());
  EXPECT_EQ(TextOf("to/there"), "text");
  ASSERT_TRUE(store_->Delete("from").ok());
  ASSERT_TRUE(store_->Delete("from").ok());
  EXPECT_EQ(TextOf("from"), "not found");
  EXPECT_EQ(store_->Copy("from", "elsewhere").error().code, Code::kNotFound);
  EXPECT_TRUE(store_->PutIfAbsent("from", AsBytes("anew")).ok());
}

TEST_P(ObjectStoreTest, RefusesHostileKeys) {
  const std::string bad[] = {"",
                             "/",
                             "/etc/passwd",
                             "a//b",
                             "a/",
                             "..",
                             "../x",
                             "a/../b",
                             "a/.",
                             ".morsel/tmp-1",
                             std::string("a\0b", 3),
                             "a b",
                             "caf\xc3\xa9",
                             "line\n",
                             std::string(256, 'x'),
                             std::string(1025, 'x')};
  for (const std::string& key : bad) {
    EXPECT_EQ(CheckKey(key).error().code, Code::kInvalid) << key;
    EXPECT_EQ(store_->Put(key, {}).error().code, Code::kInvalid);
    EXPECT_EQ(store_->PutIfAbsent(key, {}).error().code, Code::kInvalid);
    EXPECT_EQ(store_->ReplaceIfUnchanged(key, {}, "1").error().code,
              Code::kInvalid);
    EXPECT_EQ(store_->Get(key, 0, 1).error().code, Code::kInvalid);
    EXPECT_EQ(store_->Head(key).error().code, Code::kInvalid);
    EXPECT_EQ(store_->Delete(key).error().code, Code::kInvalid);
    EXPECT_EQ(store_->Copy("a", key).error().code, Code::kInvalid);
    EXPECT_EQ(store_->Copy(key, "a").error().code, Code::kInvalid);
  }
  EXPECT_TRUE(Keys("").empty());
  EXPECT_TRUE(CheckKey(std::string(255, 'x')).ok());
}

TEST_P(ObjectStoreTest, HonoursConditions) {
  // The second time it finds what the first has left.
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(CheckConditionalWrites(*store_).ok());
  EXPECT_EQ(Keys(""), Keys("scratch/"));
}

TEST_P(ObjectStoreTest, RandomOperationsMatchAMap) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::map<std::string, std::string> model;
  // No key is the folder of another.
  const std::string keys[] = {"a", "b-", "b/1", "b/2/x", "b/2/y", "b0", "c/d"};
  for (int step = 0; step < 300; ++step) {
    const std::string& key = keys[random() % std::size(keys)];
    const std::string bytes(random() % 50, static_cast<char>('a' + step % 26));
    switch (random() % 5) {
      case 0:
        ASSERT_TRUE(store_->Put(key, AsBytes(bytes)).ok());
        model[key] = bytes;
        break;
      case 1:
        EXPECT_EQ(store_->PutIfAbsent(key, AsBytes(bytes)).ok(),
                  model.emplace(key, bytes).second);
        break;
      case 2:
        ASSERT_TRUE(store_->Delete(key).ok());
        model.erase(key);
        break;
      case 3:
        EXPECT_EQ(TextOf(key), model.contains(key) ? model[key] : "not found");
        break;
      default: {
        std::vector<std::string> expected;
        const std::string prefix = key.substr(0, random() % 3);
        const std::string after = keys[random() % std::size(keys)];
        for (const auto& [name, value] : model)
          if (name.starts_with(prefix) && name > after)
            expected.push_back(name);
        EXPECT_EQ(Keys(prefix, after), expected) << prefix << " " << after;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Providers, ObjectStoreTest,
                         testing::ValuesIn(ConformanceProviders()),
                         [](const auto& provider) {
                           return std::string(provider.param.name);
                         });

}  // namespace
}  // namespace morsel
