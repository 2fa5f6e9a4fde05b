// SPDX-License-Identifier: Apache-2.0
// The names of a tree while layers are applied: found by (directory, name),
// and listed by directory. 36 bytes a name, without the name itself.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ext4/tree.h"

namespace morsel {

class EntryTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  // `names` is Tree::names, and outlives the table.
  explicit EntryTable(const std::string& names);

  // The entry of that name, or kNone.
  uint32_t Find(uint32_t directory, std::string_view name) const;
  uint32_t NodeOf(uint32_t entry) const { return entries_[entry].node; }
  // Requires: no entry of that name in that directory.
  void Insert(uint32_t directory, TreeName name, uint32_t node);
  void Remove(uint32_t entry);

  // The entries of a directory: FirstOf, then NextOf until kNone.
  uint32_t FirstOf(uint32_t directory) const {
    return directory < first_.size() ? first_[directory] : kNone;
  }
  uint32_t NextOf(uint32_t entry) const { return entries_[entry].next; }

  // All entries, sorted by directory, then by the bytes of the name.
  std::vector<TreeEntry> Sorted() const;

 private:
  struct Entry {
    uint32_t directory = kNone;  // kNone: removed
    uint32_t node = 0;
    TreeName name;
    uint32_t next = kNone;  // in the same directory
    uint32_t previous = kNone;
  };

  std::string_view NameOf(const Entry& entry) const {
    return std::string_view(names_).substr(entry.name.offset,
                                           entry.name.length);
  }
  size_t SlotOf(uint32_t directory, std::string_view name) const;
  void Grow();

  const std::string& names_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;   // entries to use again
  std::vector<uint32_t> first_;  // of each directory, by node
  // Open addressing with linear probing; a power of two, at most half full.
  std::vector<uint32_t> slots_;
  size_t used_slots_ = 0;
};

}  // namespace morsel
