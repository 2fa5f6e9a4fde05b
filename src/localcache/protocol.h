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
//   6 admit    guard: u32 magic, u16 version, u8 starting, u32 age ms, u8 n,
//              n bytes device, u8 n, n bytes manifest id, u8 n, n bytes root
//   7 verdict  daemon: u32 magic, u16 version, u8 code (0: admitted), u16 n,
//              n bytes text
//   8 stat     tool: u32 magic, u16 version
//   9 report   daemon: u32 magic, u16 version, then JSON
//
// Who connects to the shared daemon's socket says `admit` or `stat` first; a
// guard that is admitted gives its socket to its child, who says `hello`. The
// sockets that a private daemon gets from its guard are admitted already; who
// has not said `hello` may say `stat`.
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

inline constexpr uint16_t kLocalCacheVersion = 2;
inline constexpr uint32_t kPartBytes = 64 * 1024;
// The longest packet.
inline constexpr size_t kMaxPacket = kPartBytes + 64;
inline constexpr size_t kMaxRootLength = 64;
inline constexpr size_t kMaxErrorText = 512;
inline constexpr size_t kMaxDeviceLength = 64;

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

struct AdmitMessage {
  uint16_t version = kLocalCacheVersion;
  // A device that is being attached: it may be refused. Else one that is, and
  // whose connection was lost.
  bool starting = false;
  uint32_t age_ms = 0;  // since it was attached
  std::string device;   // its id, for people
  // What it shows: 64 hexadecimal digits, and the root where that was when the
  // device was attached. Both may be empty: not known.
  std::string manifest_id;
  std::string root;
};

struct VerdictMessage {
  uint16_t version = kLocalCacheVersion;
  std::optional<Error> error;  // none: admitted
};

struct StatMessage {
  uint16_t version = kLocalCacheVersion;
};

struct ReportMessage {
  uint16_t version = kLocalCacheVersion;
  std::string json;
};

using ClientMessage =
    std::variant<HelloMessage, GetMessage, AdmitMessage, StatMessage>;
using DaemonMessage = std::variant<WelcomeMessage, DoneMessage, PartMessage,
                                   VerdictMessage, ReportMessage>;

Bytes Encode(const HelloMessage& message);
Bytes Encode(const WelcomeMessage& message);
// Requires: a root that IsRootName.
Bytes Encode(const GetMessage& message);
// The error's text is cut at kMaxErrorText.
Bytes Encode(const DoneMessage& message);
// Requires: 1 to kPartBytes bytes.
Bytes Encode(const PartMessage& message);
// A device's name is cut at kMaxDeviceLength, a text at kMaxErrorText.
// Requires: a root that IsRootName and a manifest id, or neither.
Bytes Encode(const AdmitMessage& message);
Bytes Encode(const VerdictMessage& message);
Bytes Encode(const StatMessage& message);
// Requires: at most kPartBytes of JSON.
Bytes Encode(const ReportMessage& message);

// What the daemon, and what a client may receive. kInvalid.
Result<ClientMessage> ParseClientMessage(ByteSpan packet);
Result<DaemonMessage> ParseDaemonMessage(ByteSpan packet);

// 1 to kMaxRootLength letters, digits, '.', '_' and '-', not led by a dot.
bool IsRootName(std::string_view name);

}  // namespace morsel
