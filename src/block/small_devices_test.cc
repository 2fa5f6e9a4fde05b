// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "block/device_stats.h"
#include "block/fault_device.h"
#include "block/file_device.h"
#include "block/stats_device.h"
#include "block/test_devices.h"
#include "block/zero_device.h"

namespace morsel {
namespace {

TEST(ZeroDevice, ReadsZerosAndRefusesWrites) {
  const auto device = MakeZeroDevice(8192);
  EXPECT_EQ(device->size(), 8192u);
  Bytes bytes(100, std::byte{1});
  ASSERT_TRUE(device->Read(4090, bytes).ok());
  EXPECT_TRUE(IsZero(bytes));
  EXPECT_EQ(device->Write(0, bytes).error().code, Code::kDenied);
  EXPECT_EQ(device->Discard(0, 1).error().code, Code::kDenied);
  EXPECT_EQ(device->Zero(0, 1).error().code, Code::kDenied);
  EXPECT_TRUE(device->Flush().ok());
}

TEST(ZeroDevice, RefusesWhatLiesOutside) {
  const auto device = MakeZeroDevice(4096);
  Bytes bytes(2);
  EXPECT_EQ(device->Read(4095, bytes).error().code, Code::kInvalid);
  EXPECT_EQ(device->Read(~uint64_t{0}, bytes).error().code, Code::kInvalid);
}

TEST(FileDevice, KeepsWhatIsWrittenAndPunchesHoles) {
  const auto device = MemoryDevice(Bytes(16384, std::byte{7}));
  ASSERT_TRUE(device->Write(5000, AsBytes("hello")).ok());
  ASSERT_TRUE(device->Discard(8192, 4096).ok());
  ASSERT_TRUE(device->Flush().ok());
  Bytes bytes(16384);
  ASSERT_TRUE(device->Read(0, bytes).ok());
  EXPECT_EQ(AsText(ByteSpan(bytes).subspan(5000, 5)), "hello");
  EXPECT_TRUE(IsZero(ByteSpan(bytes).subspan(8192, 4096)));
  EXPECT_EQ(bytes[8191], std::byte{7});
  EXPECT_EQ(device->Write(16380, AsBytes("hello")).error().code,
            Code::kInvalid);
}

TEST(FileDevice, RefusesABrokenSize) {
  Fd file = EmptyMemoryFile();
  ASSERT_EQ(::ftruncate(file.get(), 100), 0);
  EXPECT_EQ(MakeFileDevice(std::move(file)).error().code, Code::kInvalid);
}

TEST(FaultDevice, FailsTheSameCallsForTheSameSeed) {
  const auto failures = [](uint64_t seed) {
    const auto device =
        MakeFaultDevice(MakeZeroDevice(4096),
                        {.seed = seed, .read_faults_per_million = 300000});
    std::vector<bool> failed;
    Bytes byte(1);
    for (int i = 0; i < 200; ++i) failed.push_back(!device->Read(0, byte).ok());
    return failed;
  };
  EXPECT_EQ(failures(1), failures(1));
  EXPECT_NE(failures(1), failures(2));
  const std::vector<bool> some = failures(1);
  const auto count = std::count(some.begin(), some.end(), true);
  EXPECT_GT(count, 30);
  EXPECT_LT(count, 90);
}

TEST(FaultDevice, PassesOnWhatItDoesNotFail) {
  const auto device = MakeFaultDevice(MemoryDevice(Bytes(4096)),
                                      {.flush_faults_per_million = 1000000});
  ASSERT_TRUE(device->Write(1, AsBytes("x")).ok());
  Bytes byte(1);
  ASSERT_TRUE(device->Read(1, byte).ok());
  EXPECT_EQ(AsText(byte), "x");
  EXPECT_EQ(device->Flush().error().code, Code::kIo);
}

TEST(StatsDevice, CountsIntoAFileThatTheToolReads) {
  const std::string folder = ::testing::TempDir() + "stats-device";
  ::mkdir(folder.c_str(), 0700);
  const std::string path = folder + "/stats";
  EXPECT_EQ(ReadDeviceStats(folder).error().code, Code::kNotFound);
  Result<Fd> file = OpenFile(path, O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(file.ok() && InitDeviceStats(file->get()).ok());
  const Result<MappedDeviceStats> stats = MappedDeviceStats::Map(file->get());
  ASSERT_TRUE(stats.ok());
  const auto device = MakeStatsDevice(MakeZeroDevice(8192), stats->page());
  Bytes bytes(100);
  ASSERT_TRUE(device->Read(0, bytes).ok());
  EXPECT_FALSE(device->Write(0, bytes).ok());
  stats->page().Add(DeviceCounter::kBytesLoaded, 12345);
  const Result<DeviceStats> read = ReadDeviceStats(folder);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->reads, 1u);
  EXPECT_EQ(read->read_bytes, 100u);
  EXPECT_EQ(read->writes, 1u);
  EXPECT_EQ(read->write_bytes, 100u);
  EXPECT_EQ(read->errors, 1u);
  EXPECT_EQ(read->bytes_loaded, 12345u);
  ASSERT_TRUE(WriteFullAt(file->get(), 0, AsBytes("nonsense")).ok());
  EXPECT_EQ(ReadDeviceStats(folder).error().code, Code::kCorrupt);
  ::unlink(path.c_str());
  ::rmdir(folder.c_str());
}

}  // namespace
}  // namespace morsel
