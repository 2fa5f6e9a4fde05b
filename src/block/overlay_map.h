// SPDX-License-Identifier: Apache-2.0
// The map of an overlay: two bits for each 4 KiB page of a device, in a file
// that is mapped, so that what was set survives a kill -9.
//
//   0   8  magic "MORSELOV"          16  8  size of the device, bytes
//   8   4  version, 1                24 64  id of the manifest below it
//   12  4  zero                      88  -  zeros up to 4096
//   4096   two bits a page, the lowest page in the lowest bits
//
// Thread safety: Get may run at any time; Set of pages in one group of
// kPagesPerGroup is serialised by the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

enum class PageState : uint8_t {
  kImage = 0,  // never written: the image below has it
  kData = 1,   // in the overlay's data file
  kZero = 2,   // discarded: reads as zeros
};

class OverlayMap {
 public:
  // Pages whose bits share no byte with another group's.
  static constexpr uint64_t kPagesPerGroup = 256;

  // Takes a file: an empty one becomes a new map, preallocated. kInvalid: it
  // is of another size or manifest; kCorrupt: it is no map; kExhausted.
  static Result<OverlayMap> Open(const Fd& file, uint64_t device_size,
                                 const std::string& manifest_id);
  OverlayMap(OverlayMap&& other) noexcept;
  OverlayMap& operator=(OverlayMap&&) = delete;
  ~OverlayMap();

  PageState Get(uint64_t page) const;
  void Set(uint64_t first_page, uint64_t page_count, PageState state);
  // True if every page of the range is of the image. Fast.
  bool IsAllImage(uint64_t first_page, uint64_t page_count) const;
  // The pages of that state, counted one by one.
  uint64_t Count(PageState state) const;

 private:
  OverlayMap(uint8_t* memory, size_t length, uint64_t page_count)
      : memory_(memory), length_(length), page_count_(page_count) {}

  uint8_t* memory_;
  size_t length_;
  uint64_t page_count_;
};

}  // namespace morsel
