// SPDX-License-Identifier: Apache-2.0
#include "block/startup_recorder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <thread>

#include "base/fd.h"

namespace morsel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

class StartupRecorderTest : public testing::Test {
 protected:
  ~StartupRecorderTest() override {
    ::unlink((folder_ + "/stats").c_str());
    ::rmdir(folder_.c_str());
  }

  static std::string MakeFolder() {
    std::string path = testing::TempDir() + "recorder-XXXXXX";
    return ::mkdtemp(path.data());
  }
  std::vector<uint32_t> Profile() const {
    return ReadDeviceStats(folder_)->startup_chunks;
  }

  const std::string folder_ = MakeFolder();
  const Fd file_ = OpenFile(folder_ + "/stats", O_RDWR | O_CREAT, 0600).value();
  const bool is_made_ = InitDeviceStats(file_.get()).ok();
  const MappedDeviceStats stats_ = MappedDeviceStats::Map(file_.get()).value();
};

TEST_F(StartupRecorderTest, KeepsTheOrderOfTheFirstReads) {
  StartupRecorder recorder(stats_.page(), 100);
  EXPECT_TRUE(recorder.was_empty());
  EXPECT_THAT(Profile(), IsEmpty());
  for (const uint32_t index : {7U, 0U, 7U, 99U, 0U, 8U}) recorder.Note(index);
  recorder.Note(5000);  // no such chunk
  EXPECT_THAT(Profile(), ElementsAre(7, 0, 99, 8));
}

TEST_F(StartupRecorderTest, ASuccessorGoesOn) {
  StartupRecorder(stats_.page(), 100).Note(3);
  StartupRecorder successor(stats_.page(), 100);
  EXPECT_FALSE(successor.was_empty());
  successor.Note(3);
  successor.Note(4);
  EXPECT_THAT(Profile(), ElementsAre(3, 4));
}

TEST_F(StartupRecorderTest, EndsWhenItIsFull) {
  StartupRecorder recorder(stats_.page(), 2000);
  for (uint32_t i = 0; i < 2000; ++i) recorder.Note(i);
  std::vector<uint32_t> expected(kMaxStartupChunks);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(Profile(), expected);
}

TEST_F(StartupRecorderTest, ManyThreadsNoteEachChunkOnce) {
  StartupRecorder recorder(stats_.page(), 500);
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i)
      threads.emplace_back([&recorder, i] {
        std::vector<uint32_t> order(500);
        std::iota(order.begin(), order.end(), 0U);
        std::shuffle(order.begin(), order.end(), std::mt19937(i));
        for (const uint32_t index : order) recorder.Note(index);
      });
  }
  std::vector<uint32_t> all(500);
  std::iota(all.begin(), all.end(), 0U);
  EXPECT_THAT(Profile(), UnorderedElementsAreArray(all));
}

}  // namespace
}  // namespace morsel
