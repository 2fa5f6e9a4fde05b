// SPDX-License-Identifier: Apache-2.0
#include "ext4/test_reader.h"

#include <ext2fs/ext2fs.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace morsel {
namespace {

struct Listing {
  std::vector<std::pair<std::string, ext2_ino_t>> entries;
};

int ListEntry(ext2_ino_t, int, ext2_dir_entry* entry, int, int, char*,
              void* listing) {
  const std::string_view name(
      entry->name, static_cast<size_t>(ext2fs_dirent_name_len(entry)));
  if (name != "." && name != ".." && entry->inode != 0) {
    static_cast<Listing*>(listing)->entries.emplace_back(name, entry->inode);
  }
  return 0;
}

std::string ReadContent(ext2_filsys fs, ext2_ino_t number) {
  std::string content;
  ext2_file_t file = nullptr;
  EXPECT_EQ(ext2fs_file_open(fs, number, 0, &file), 0);
  std::array<char, 65536> piece;
  unsigned int got = 0;
  do {
    EXPECT_EQ(ext2fs_file_read(file, piece.data(), piece.size(), &got), 0);
    content.append(piece.data(), got);
  } while (got > 0);
  ext2fs_file_close(file);
  return content;
}

FoundFile ReadOne(ext2_filsys fs, ext2_ino_t number) {
  ext2_inode_large raw = {};
  auto* const inode = reinterpret_cast<ext2_inode*>(&raw);
  EXPECT_EQ(ext2fs_read_inode_full(fs, number, inode, sizeof(raw)), 0);
  FoundFile found;
  found.mode = raw.i_mode;
  found.uid = inode_uid(raw);
  found.gid = inode_gid(raw);
  found.links = raw.i_links_count;
  found.mtime_seconds = static_cast<int32_t>(raw.i_mtime) +
                        (static_cast<int64_t>(raw.i_mtime_extra & 3) << 32);
  found.mtime_nanoseconds = raw.i_mtime_extra >> 2;
  if (S_ISREG(found.mode)) found.content = ReadContent(fs, number);
  if (S_ISLNK(found.mode)) {
    found.content =
        ext2fs_is_fast_symlink(inode)
            ? std::string(reinterpret_cast<char*>(raw.i_block), raw.i_size)
            : ReadContent(fs, number);
  }
  return found;
}

}  // namespace

std::map<std::string, FoundFile> ReadFiles(const std::string& image_path) {
  std::map<std::string, FoundFile> found;
  ext2_filsys fs = nullptr;
  const errcode_t error = ext2fs_open(image_path.c_str(), EXT2_FLAG_64BITS, 0,
                                      0, unix_io_manager, &fs);
  EXPECT_EQ(error, 0);
  if (error != 0) return found;
  std::vector<std::pair<std::string, ext2_ino_t>> open = {{"", EXT2_ROOT_INO}};
  while (!open.empty()) {
    const auto [path, number] = open.back();
    open.pop_back();
    found[path] = ReadOne(fs, number);
    if (!S_ISDIR(found[path].mode)) continue;
    Listing listing;
    EXPECT_EQ(ext2fs_dir_iterate2(fs, number, 0, nullptr, ListEntry, &listing),
              0);
    for (const auto& [name, inode] : listing.entries) {
      open.emplace_back(path.empty() ? name : path + "/" + name, inode);
    }
  }
  ext2fs_close(fs);
  return found;
}

}  // namespace morsel
