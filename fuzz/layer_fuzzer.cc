// SPDX-License-Identifier: Apache-2.0
// Any bytes as the blob of a layer: through decompression and the tar reader.
// It must not fail in another way than by an error, and every entry must keep
// the promises of oci/layer_reader.h, on which the merge relies.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/check.h"
#include "oci/inflate.h"
#include "oci/layer_reader.h"
#include "oci/path.h"

namespace morsel {
namespace {

// A bomb ends here, as it does at LayerStreamOptions::limit_bytes.
constexpr uint64_t kMaxPlainBytes = 4 * kMiB;

// Gives the input in pieces of a size that suits no format.
class PieceSource final : public ByteSource {
 public:
  explicit PieceSource(ByteSpan bytes) : rest_(bytes) {}
  Result<ByteSpan> Read() override {
    const ByteSpan piece = rest_.first(std::min<size_t>(977, rest_.size()));
    rest_ = rest_.subspan(piece.size());
    return piece;
  }

 private:
  ByteSpan rest_;
};

class LimitedSource final : public ByteSource {
 public:
  explicit LimitedSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)) {}
  Result<ByteSpan> Read() override {
    ASSIGN_OR_RETURN(const ByteSpan piece, inner_->Read());
    size_bytes_ += piece.size();
    if (size_bytes_ > kMaxPlainBytes)
      return MakeError(Code::kInvalid, "the layer is too large");
    return piece;
  }

 private:
  const std::unique_ptr<ByteSource> inner_;
  uint64_t size_bytes_ = 0;
};

void CheckXattrs(const LayerEntry& entry) {
  for (size_t i = 0; i < entry.xattrs.size(); ++i) {
    const auto& [name, value] = entry.xattrs[i];
    CHECK(!name.empty() && name.size() <= kMaxNameBytes);
    CHECK(value.size() <= kMaxXattrValueBytes);
    CHECK(i == 0 || entry.xattrs[i - 1].first < name);
  }
}

void CheckEntry(const LayerEntry& entry) {
  const Result<std::string> path = CleanPath(entry.path);
  CHECK(path.ok() && *path == entry.path);
  CHECK(entry.uid != UINT32_MAX && entry.gid != UINT32_MAX);
  CHECK(entry.mtime_nanoseconds < 1'000'000'000);
  CHECK(entry.device_major < 4096 && entry.device_minor < (1u << 20));
  CHECK(entry.size_bytes <= kMaxFileBytes);
  CHECK(entry.size_bytes == 0 || S_ISREG(entry.mode));
  CHECK(entry.target.size() <= kMaxPathBytes);
  CHECK(S_ISLNK(entry.mode) == false || !entry.target.empty());
  CHECK((entry.mode & ~(S_IFMT | 07777u)) == 0);
  if (entry.is_hard_link()) {
    const Result<std::string> target = CleanPath(entry.target);
    CHECK(target.ok() && *target == entry.target && entry.xattrs.empty());
  }
  CheckXattrs(entry);
}

Status ReadAllData(LayerReader& reader, const LayerEntry& entry) {
  uint64_t end = 0;
  DataRun run;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.ReadData(run));
    if (!more) return Ok();
    CHECK(!run.bytes.empty() && run.offset >= end);
    CHECK(run.bytes.size() <= entry.size_bytes - run.offset);
    end = run.offset + run.bytes.size();
  }
}

Status ReadLayer(ByteSpan input) {
  LimitedSource source(Decompress(std::make_unique<PieceSource>(input)));
  const auto reader = LayerReader::Open(source, "sha256:fuzz").value();
  LayerEntry entry;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader->Next(entry));
    if (!more) return Ok();
    CheckEntry(entry);
    // Every other entry's data is passed over, as those of whiteouts are.
    if (S_ISREG(entry.mode) && entry.path.size() % 2 == 1)
      RETURN_IF_ERROR(ReadAllData(*reader, entry));
  }
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using morsel::Code;
  const morsel::Status read =
      morsel::ReadLayer(std::as_bytes(std::span(data, size)));
  CHECK(read.ok() || read.error().code == Code::kInvalid ||
        read.error().code == Code::kCorrupt);
  return 0;
}
