// SPDX-License-Identifier: Apache-2.0
#include "image/entry_table.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace morsel {
namespace {

constexpr size_t kInitialSlots = 1024;

}  // namespace

EntryTable::EntryTable(const std::string& names)
    : names_(names), slots_(kInitialSlots, kNone) {}

size_t EntryTable::SlotOf(uint32_t directory, std::string_view name) const {
  const size_t hash = std::hash<std::string_view>()(name) ^
                      (directory * size_t{0x9e3779b97f4a7c15});
  // The multiplication moves what differs upwards: fold it back.
  return (hash ^ (hash >> 32)) & (slots_.size() - 1);
}

uint32_t EntryTable::Find(uint32_t directory, std::string_view name) const {
  const size_t mask = slots_.size() - 1;
  for (size_t slot = SlotOf(directory, name); slots_[slot] != kNone;
       slot = (slot + 1) & mask) {
    const Entry& entry = entries_[slots_[slot]];
    if (entry.directory == directory && NameOf(entry) == name)
      return slots_[slot];
  }
  return kNone;
}

void EntryTable::Insert(uint32_t directory, TreeName name, uint32_t node) {
  if (2 * (used_slots_ + 1) > slots_.size()) Grow();
  uint32_t index = static_cast<uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  if (directory >= first_.size()) first_.resize(directory + 1, kNone);
  Entry& entry = entries_[index];
  entry = {directory, node, name, first_[directory], kNone};
  if (entry.next != kNone) entries_[entry.next].previous = index;
  first_[directory] = index;
  const size_t mask = slots_.size() - 1;
  size_t slot = SlotOf(directory, NameOf(entry));
  while (slots_[slot] != kNone) slot = (slot + 1) & mask;
  slots_[slot] = index;
  ++used_slots_;
}

void EntryTable::Remove(uint32_t index) {
  Entry& entry = entries_[index];
  CHECK(entry.directory != kNone);
  const size_t mask = slots_.size() - 1;
  size_t hole = SlotOf(entry.directory, NameOf(entry));
  while (slots_[hole] != index) hole = (hole + 1) & mask;
  // Moves later entries of the run up, so that no grave is needed.
  for (size_t slot = (hole + 1) & mask; slots_[slot] != kNone;
       slot = (slot + 1) & mask) {
    const Entry& moved = entries_[slots_[slot]];
    const size_t home = SlotOf(moved.directory, NameOf(moved));
    if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
    slots_[hole] = slots_[slot];
    hole = slot;
  }
  slots_[hole] = kNone;
  --used_slots_;
  if (entry.previous == kNone)
    first_[entry.directory] = entry.next;
  else
    entries_[entry.previous].next = entry.next;
  if (entry.next != kNone) entries_[entry.next].previous = entry.previous;
  entry.directory = kNone;
  free_.push_back(index);
}

void EntryTable::Grow() {
  slots_.assign(slots_.size() * 2, kNone);
  const size_t mask = slots_.size() - 1;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].directory == kNone) continue;
    size_t slot = SlotOf(entries_[i].directory, NameOf(entries_[i]));
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = i;
  }
}

std::vector<TreeEntry> EntryTable::Sorted() const {
  std::vector<TreeEntry> sorted;
  sorted.reserve(used_slots_);
  for (const Entry& entry : entries_)
    if (entry.directory != kNone)
      sorted.push_back({entry.directory, entry.node, entry.name});
  const std::string_view names = names_;
  std::sort(sorted.begin(), sorted.end(),
            [names](const TreeEntry& a, const TreeEntry& b) {
              if (a.directory != b.directory) return a.directory < b.directory;
              return names.substr(a.name.offset, a.name.length) <
                     names.substr(b.name.offset, b.name.length);
            });
  return sorted;
}

}  // namespace morsel
