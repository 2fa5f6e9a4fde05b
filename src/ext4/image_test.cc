// SPDX-License-Identifier: Apache-2.0
#include "ext4/image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "ext4/test_tree.h"

namespace morsel {
namespace {

TEST(Ext4Image, AnEmptyTreeIsCleanAndSmall) {
  TreeBuilder builder;
  const auto image = BuildImage(builder.Build(), builder.source());
  ExpectClean(*image, builder.source());
  EXPECT_EQ(image->size_bytes(), 16 * kGiB);
  EXPECT_LE(image->chunks().size(), 5u);
}

TEST(Ext4Image, ASmallTreeIsClean) {
  TreeBuilder builder;
  builder.File("etc/passwd", "root:x:0:0\n");
  builder.File("usr/bin/large", std::string(3 << 20, 'x'));
  builder.Symlink("bin", "usr/bin");
  builder.Symlink("usr/long", std::string(4095, 't'));
  builder.Special("dev/null", S_IFCHR | 0666, 1, 3);
  builder.Special("dev/big", S_IFBLK | 0660, 300, 70000);
  builder.Special("fifo", S_IFIFO | 0600, 0, 0);
  builder.HardLink("etc/other", "etc/passwd");
  for (int i = 0; i < 3000; ++i) {
    builder.File("many/" + std::string(100, 'n') + std::to_string(i), "");
  }
  const auto image = BuildImage(builder.Build(), builder.source());
  ExpectClean(*image, builder.source());
}

}  // namespace
}  // namespace morsel
