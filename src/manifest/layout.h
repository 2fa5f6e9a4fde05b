// SPDX-License-Identifier: Apache-2.0
// Where each field of a manifest lies (docs/formats.md, "Manifest"). Little
// endian; shared by the encoder and the parser.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chunk/name.h"
#include "crypto/cipher.h"

namespace morsel::manifest_layout {

inline constexpr std::string_view kMagic = "MORSELMF";
inline constexpr uint32_t kVersion = 1;
// The same, with the version of the list of popular chunks in the header.
inline constexpr uint32_t kVersionPopular = 2;

inline constexpr size_t kMagicOffset = 0;
inline constexpr size_t kVersionOffset = 8;        // u32
inline constexpr size_t kChunkSizeOffset = 12;     // u32
inline constexpr size_t kVirtualSizeOffset = 16;   // u64
inline constexpr size_t kChunkCountOffset = 24;    // u32
inline constexpr size_t kConfigLengthOffset = 28;  // u32
inline constexpr size_t kRootOffset = 32;          // text, zero padded
inline constexpr size_t kRootLength = 32;
inline constexpr size_t kSaltIdOffset = kRootOffset + kRootLength;
inline constexpr size_t kSaltIdLength = 32;
inline constexpr size_t kNonceOffset = kSaltIdOffset + kSaltIdLength;
inline constexpr size_t kPopularOffset = kNonceOffset + kGcmNonceSize;  // u32
inline constexpr size_t kHeaderSize = 112;
static_assert(kPopularOffset + sizeof(uint32_t) == kHeaderSize);
static_assert(kSaltIdOffset == 64 && kNonceOffset == 96);

inline constexpr size_t kRowIndexOffset = 0;   // u32
inline constexpr size_t kRowLengthOffset = 4;  // u32, bytes
inline constexpr size_t kRowNameOffset = 8;
inline constexpr size_t kRowSize = kRowNameOffset + kDigestSize;
static_assert(kRowSize == 40);

// 1 TiB of chunks, and far more than any config.
inline constexpr uint64_t kMaxVirtualSize = 1024 * kGiB;
inline constexpr uint32_t kMaxChunkCount = kMaxVirtualSize / kChunkSize;
inline constexpr uint32_t kMaxConfigLength = 16 * 1024 * 1024;

}  // namespace morsel::manifest_layout
