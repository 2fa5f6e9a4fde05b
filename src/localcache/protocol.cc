// SPDX-License-Identifier: Apache-2.0
#include "localcache/protocol.h"

#include <algorithm>

#include "origin/records.h"

namespace morsel {
namespace {

constexpr uint32_t kProtocolMagic = 0x31434c4d;  // "MLC1"
constexpr uint8_t kHello = 1;
constexpr uint8_t kWelcome = 2;
constexpr uint8_t kGet = 3;
constexpr uint8_t kDone = 4;
constexpr uint8_t kPart = 5;
constexpr uint8_t kAdmit = 6;
constexpr uint8_t kVerdict = 7;
constexpr uint8_t kStat = 8;
constexpr uint8_t kReport = 9;
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
  // True if every field was there.
  bool ok() const { return ok_; }
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

// The version behind a right magic; what follows is the caller's.
Result<uint16_t> TakeVersion(Reader& in) {
  const auto magic = in.Take<uint32_t>();
  const auto version = in.Take<uint16_t>();
  if (magic != kProtocolMagic) return BadPacket("greeting");
  return version;
}

Result<uint16_t> ParseVersion(Reader& in) {
  ASSIGN_OR_RETURN(const uint16_t version, TakeVersion(in));
  if (!in.IsDone()) return BadPacket("greeting");
  return version;
}

// The place of an error's code on the wire; 0 for none.
uint8_t WireCode(const std::optional<Error>& error) {
  if (!error.has_value()) return 0;
  const auto* const place =
      std::find(kCodes.begin(), kCodes.end(), error->code);
  return static_cast<uint8_t>(place - kCodes.begin() + 1);
}

std::string_view WireText(const std::optional<Error>& error) {
  if (!error.has_value()) return {};
  return std::string_view(error->message).substr(0, kMaxErrorText);
}

// Requires: code <= kCodes.size().
std::optional<Error> ErrorOf(uint8_t code, ByteSpan text) {
  if (code == 0) return std::nullopt;
  return MakeError(kCodes[code - 1], std::string(AsText(text)));
}

// Both of them, or neither.
bool IsImage(const std::string& manifest_id, const std::string& root) {
  if (manifest_id.empty()) return root.empty();
  return IsManifestId(manifest_id) && IsRootName(root);
}

Result<AdmitMessage> ParseAdmit(Reader& in) {
  AdmitMessage admit;
  ASSIGN_OR_RETURN(admit.version, TakeVersion(in));
  const auto starting = in.Take<uint8_t>();
  admit.age_ms = in.Take<uint32_t>();
  admit.device = AsText(in.TakeBytes(in.Take<uint8_t>()));
  // Another version has other fields from here on.
  if (in.ok() && admit.version != kLocalCacheVersion) return admit;
  admit.manifest_id = AsText(in.TakeBytes(in.Take<uint8_t>()));
  admit.root = AsText(in.TakeBytes(in.Take<uint8_t>()));
  if (!in.IsDone()) return BadPacket("length of admit");
  if (starting > 1 || admit.device.size() > kMaxDeviceLength ||
      !IsImage(admit.manifest_id, admit.root))
    return BadPacket("fields of admit");
  admit.starting = starting == 1;
  return admit;
}

Result<VerdictMessage> ParseVerdict(Reader& in) {
  VerdictMessage verdict;
  ASSIGN_OR_RETURN(verdict.version, TakeVersion(in));
  const auto code = in.Take<uint8_t>();
  const auto length = in.Take<uint16_t>();
  const ByteSpan text = in.TakeBytes(length);
  if (!in.IsDone()) return BadPacket("length of verdict");
  if (code > kCodes.size() || length > kMaxErrorText ||
      (code == 0 && length != 0))
    return BadPacket("fields of verdict");
  verdict.error = ErrorOf(code, text);
  return verdict;
}

Result<ReportMessage> ParseReport(Reader& in) {
  ReportMessage report;
  ASSIGN_OR_RETURN(report.version, TakeVersion(in));
  report.json = AsText(in.TakeRest());
  if (!in.IsDone() || report.json.size() > kPartBytes)
    return BadPacket("report");
  return report;
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
  done.error = ErrorOf(code, text);
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
  const std::string_view text = WireText(message.error);
  return Writer(kDone)
      .Put(message.id)
      .Put(WireCode(message.error))
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

Bytes Encode(const AdmitMessage& message) {
  const std::string_view device =
      std::string_view(message.device).substr(0, kMaxDeviceLength);
  CHECK(IsImage(message.manifest_id, message.root));
  return Writer(kAdmit)
      .Put(kProtocolMagic)
      .Put(message.version)
      .Put(static_cast<uint8_t>(message.starting ? 1 : 0))
      .Put(message.age_ms)
      .Put(static_cast<uint8_t>(device.size()))
      .Append(AsBytes(device))
      .Put(static_cast<uint8_t>(message.manifest_id.size()))
      .Append(AsBytes(message.manifest_id))
      .Put(static_cast<uint8_t>(message.root.size()))
      .Append(AsBytes(message.root))
      .Take();
}

Bytes Encode(const VerdictMessage& message) {
  const std::string_view text = WireText(message.error);
  return Writer(kVerdict)
      .Put(kProtocolMagic)
      .Put(message.version)
      .Put(WireCode(message.error))
      .Put(static_cast<uint16_t>(text.size()))
      .Append(AsBytes(text))
      .Take();
}

Bytes Encode(const StatMessage& message) {
  return Writer(kStat).Put(kProtocolMagic).Put(message.version).Take();
}

Bytes Encode(const ReportMessage& message) {
  CHECK(message.json.size() <= kPartBytes);
  return Writer(kReport)
      .Put(kProtocolMagic)
      .Put(message.version)
      .Append(AsBytes(message.json))
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
    case kAdmit: {
      ASSIGN_OR_RETURN(AdmitMessage admit, ParseAdmit(in));
      return ClientMessage(std::move(admit));
    }
    case kStat: {
      ASSIGN_OR_RETURN(const uint16_t version, ParseVersion(in));
      return ClientMessage(StatMessage{version});
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
    case kVerdict: {
      ASSIGN_OR_RETURN(VerdictMessage verdict, ParseVerdict(in));
      return DaemonMessage(std::move(verdict));
    }
    case kReport: {
      ASSIGN_OR_RETURN(ReportMessage report, ParseReport(in));
      return DaemonMessage(std::move(report));
    }
    default:
      return BadPacket("kind");
  }
}

}  // namespace morsel
