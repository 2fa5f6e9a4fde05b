// SPDX-License-Identifier: Apache-2.0
// What agents and morsel-localcache say to each other over a SOCK_SEQPACKET
// socket (docs/formats.md, "Local cache protocol").
//
// One message is one packet: a byte that says its kind, then its fields,
// little endian, without padding.
//
//   1 hello    client: u32 magic, u16 version
//   2 welcome  daemon: u32 magic, u16 version; carries arena and ring
//   3 get      client: u64 id, u8 urgency, u8 flags, u32 deadline ms,
//              u32 stored length, 32 bytes name, u8 n, n bytes root
//   4 done     daemon: u64 id, u8 code (0: ok), u8 inline, u16 n, n bytes text
//   5 part     daemon: u64 id, u32 offset, then 1 to 65536 bytes
//
// An answer in line is its parts, in order, and then a `done` with inline = 1.
//
// The parser takes hostile input: a packet that is too short, too long, or has
// a field out of its range is kInvalid, and who sent it is cut off.
//
// Thread safety: free functions.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "chunk/chunk_source.h"

namespace morsel {

inline constexpr uint16_t kLocalCacheVersion = 1;
inline constexpr uint32_t kPartBytes = 64 * 1024;
// The longest packet.
inline constexpr size_t kMaxPacket = kPartBytes + 64;
inline constexpr size_t kMaxRootLength = 64;
inline constexpr size_t kMaxErrorText = 512;

struct HelloMessage {
  uint16_t version = kLocalCacheVersion;
};

struct WelcomeMessage {
  uint16_t version = kLocalCacheVersion;
};

struct GetMessage {
  uint64_t id = 0;
  ChunkRef ref;
  Urgency urgency = Urgency::kDemand;
  bool owned = false;    // the answer shall carry the bytes
  bool suspect = false;  // a page was bad: check the slot first
  uint32_t deadline_ms = 0;
};

struct DoneMessage {
  uint64_t id = 0;
  std::optional<Error> error;  // none: it is in the arena, or was sent
  bool is_inline = false;
};

struct PartMessage {
  uint64_t id = 0;
  uint32_t offset = 0;
  ByteSpan bytes;  // borrows from the packet
};

using ClientMessage = std::variant<HelloMessage, GetMessage>;
using DaemonMessage = std::variant<WelcomeMessage, DoneMessage, PartMessage>;

Bytes Encode(const HelloMessage& message);
Bytes Encode(const WelcomeMessage& message);
// Requires: a root that IsRootName.
Bytes Encode(const GetMessage& message);
// The error's text is cut at kMaxErrorText.
Bytes Encode(const DoneMessage& message);
// Requires: 1 to kPartBytes bytes.
Bytes Encode(const PartMessage& message);

// What the daemon, and what a client may receive. kInvalid.
Result<ClientMessage> ParseClientMessage(ByteSpan packet);
Result<DaemonMessage> ParseDaemonMessage(ByteSpan packet);

// 1 to kMaxRootLength letters, digits, '.', '_' and '-', not led by a dot.
bool IsRootName(std::string_view name);

}  // namespace morsel
