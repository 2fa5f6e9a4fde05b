// SPDX-License-Identifier: Apache-2.0
// For tests: devices in memory, and random bytes.
//
// Thread safety: free functions.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <random>

#include "base/fd.h"
#include "block/file_device.h"

namespace morsel {

inline Fd EmptyMemoryFile() {
  Result<Fd> file = MakeMemoryFile("morsel-test", {});
  EXPECT_TRUE(file.ok());
  return std::move(*file);
}

inline Bytes RandomBytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// A device with `content`, whose size is a multiple of 4096.
inline std::unique_ptr<BlockDevice> MemoryDevice(ByteSpan content) {
  Fd file = EmptyMemoryFile();
  EXPECT_TRUE(WriteFullAt(file.get(), 0, content).ok());
  Result<std::unique_ptr<BlockDevice>> device = MakeFileDevice(std::move(file));
  EXPECT_TRUE(device.ok());
  return std::move(*device);
}

}  // namespace morsel
