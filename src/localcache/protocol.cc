// SPDX-License-Identifier: Apache-2.0
#include "localcache/protocol.h"

#include <algorithm>

namespace morsel {
namespace {

constexpr uint32_t kProtocolMagic = 0x31434c4d;  // "MLC1"
constexpr uint8_t kHello = 1;
constexpr uint8_t kWelcome = 2;
constexpr uint8_t kGet = 3;
constexpr uint8_t kDone = 4;
constexpr uint8_t kPart = 5;
constexpr uint8_t kFlagOwned = 1;
constexpr uint8_t kFlagSuspect = 2;

// Codes on the wire: their place here, from 1 on. Only grows at its end.
constexpr auto kCodes = std::to_array<Code>(
    {Code::kInvalid, Code::kNotFound, Code::kExists, Code::kCorrupt,
     Code::kUnavailable, Code::kTimeout, Code::kExhausted, Code::kDenied,
     Code::kIo, Code::kInternal});

class Writer {
 public:
  explicit Writer(uint8_t kind) { Put(kind); }
  template <typename T>
  Writer& Put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    StoreLe(bytes_.data() + at, value);
    return *this;
  }
  Writer& Append(ByteSpan bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// Reads fields until one is missing; after that everything is 0 and ok() is
// false.
class Reader {
 public:
  explicit Reader(ByteSpan packet) : rest_(packet) {}
  template <typename T>
  T Take() {
    const ByteSpan bytes = TakeBytes(sizeof(T));
    return ok_ ? LoadLe<T>(bytes.data()) : T{0};
  }
  ByteSpan TakeBytes(size_t count) {
    if (count > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const ByteSpan taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  ByteSpan TakeRest() { return TakeBytes(rest_.size()); }
  // True if every field was there and nothing is left.
  bool IsDone() const { return ok_ && rest_.empty(); }

 private:
  ByteSpan rest_;
  bool ok_ = true;
};

Error BadPacket(const char* what) {
  return MakeError(Code::kInvalid,
                   std::string("local cache protocol: bad packet: ") + what);
}

Result<uint16_t> ParseVersion(Reader& in) {
  const auto magic = in.Take<uint32_t>();
  const auto version = in.Take<uint16_t>();
  if (!in.IsDone() || magic != kProtocolMagic) return BadPacket("greeting");
  return version;
}

Result<GetMessage> ParseGet(Reader& in) {
  GetMessage get;
  get.id = in.Take<uint64_t>();
  const auto urgency = in.Take<uint8_t>();
  const auto flags = in.Take<uint8_t>();
  get.deadline_ms = in.Take<uint32_t>();
  get.ref.stored_length = in.Take<uint32_t>();
  const ByteSpan name = in.TakeBytes(kDigestSize);
  get.ref.root = AsText(in.TakeBytes(in.Take<uint8_t>()));
  if (!in.IsDone()) return BadPacket("length of get");
  if (urgency > 1 || flags > (kFlagOwned | kFlagSuspect))
    return BadPacket("flags of get");
  if (get.ref.stored_length == 0 || get.ref.stored_length > kChunkSize ||
      get.ref.stored_length % kPageSize != 0)
    return BadPacket("stored length of get");
  if (!IsRootName(get.ref.root)) return BadPacket("root of get");
  Digest digest;
  std::copy(name.begin(), name.end(), digest.begin());
  get.ref.name = ChunkName(digest);
  get.urgency = urgency == 0 ? Urgency::kDemand : Urgency::kPrefetch;
  get.owned = (flags & kFlagOwned) != 0;
  get.suspect = (flags & kFlagSuspect) != 0;
  return get;
}

Result<DoneMessage> ParseDone(Reader& in) {
  DoneMessage done;
  done.id = in.Take<uint64_t>();
  const auto code = in.Take<uint8_t>();
  const auto is_inline = in.Take<uint8_t>();
  const auto length = in.Take<uint16_t>();
  const ByteSpan text = in.TakeBytes(length);
  if (!in.IsDone()) return BadPacket("length of done");
  if (code > kCodes.size() || is_inline > 1 || length > kMaxErrorText)
    return BadPacket("fields of done");
  done.is_inline = is_inline == 1;
  if (code != 0)
    done.error = MakeError(kCodes[code - 1], std::string(AsText(text)));
  return done;
}

Result<PartMessage> ParsePart(Reader& in) {
  PartMessage part;
  part.id = in.Take<uint64_t>();
  part.offset = in.Take<uint32_t>();
  part.bytes = in.TakeRest();
  if (!in.IsDone() || part.bytes.empty() || part.bytes.size() > kPartBytes ||
      part.offset > kChunkSize || part.bytes.size() > kChunkSize - part.offset)
    return BadPacket("part");
  return part;
}

}  // namespace

bool IsRootName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxRootLength && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

Bytes Encode(const HelloMessage& message) {
  return Writer(kHello).Put(kProtocolMagic).Put(message.version).Take();
}

Bytes Encode(const WelcomeMessage& message) {
  return Writer(kWelcome).Put(kProtocolMagic).Put(message.version).Take();
}

Bytes Encode(const GetMessage& message) {
  CHECK(IsRootName(message.ref.root));
  const auto flags = static_cast<uint8_t>((message.owned ? kFlagOwned : 0) |
                                          (message.suspect ? kFlagSuspect : 0));
  return Writer(kGet)
      .Put(message.id)
      .Put(static_cast<uint8_t>(message.urgency == Urgency::kDemand ? 0 : 1))
      .Put(flags)
      .Put(message.deadline_ms)
      .Put(message.ref.stored_length)
      .Append(message.ref.name.digest())
      .Put(static_cast<uint8_t>(message.ref.root.size()))
      .Append(AsBytes(message.ref.root))
      .Take();
}

Bytes Encode(const DoneMessage& message) {
  uint8_t code = 0;
  std::string_view text;
  if (message.error.has_value()) {
    const auto* const place =
        std::find(kCodes.begin(), kCodes.end(), message.error->code);
    code = static_cast<uint8_t>(place - kCodes.begin() + 1);
    text = std::string_view(message.error->message).substr(0, kMaxErrorText);
  }
  return Writer(kDone)
      .Put(message.id)
      .Put(code)
      .Put(static_cast<uint8_t>(message.is_inline ? 1 : 0))
      .Put(static_cast<uint16_t>(text.size()))
      .Append(AsBytes(text))
      .Take();
}

Bytes Encode(const PartMessage& message) {
  CHECK(!message.bytes.empty() && message.bytes.size() <= kPartBytes);
  return Writer(kPart)
      .Put(message.id)
      .Put(message.offset)
      .Append(message.bytes)
      .Take();
}

Result<ClientMessage> ParseClientMessage(ByteSpan packet) {
  Reader in(packet);
  switch (in.Take<uint8_t>()) {
    case kHello: {
      ASSIGN_OR_RETURN(const uint16_t version, ParseVersion(in));
      return ClientMessage(HelloMessage{version});
    }
    case kGet: {
      ASSIGN_OR_RETURN(GetMessage get, ParseGet(in));
      return ClientMessage(std::move(get));
    }
    default:
      return BadPacket("kind");
  }
}

Result<DaemonMessage> ParseDaemonMessage(ByteSpan packet) {
  Reader in(packet);
  switch (in.Take<uint8_t>()) {
    case kWelcome: {
      ASSIGN_OR_RETURN(const uint16_t version, ParseVersion(in));
      return DaemonMessage(WelcomeMessage{version});
    }
    case kDone: {
      ASSIGN_OR_RETURN(DoneMessage done, ParseDone(in));
      return DaemonMessage(std::move(done));
    }
    case kPart: {
      ASSIGN_OR_RETURN(PartMessage part, ParsePart(in));
      return DaemonMessage(part);
    }
    default:
      return BadPacket("kind");
  }
}

}  // namespace morsel
