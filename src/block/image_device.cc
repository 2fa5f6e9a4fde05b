// SPDX-License-Identifier: Apache-2.0
#include "block/image_device.h"

#include <algorithm>

#include "block/device_range.h"
#include "crypto/cipher.h"

namespace morsel {
namespace {

// How often a view may be overtaken by the cache's own changes before the
// source is asked for bytes that stay.
constexpr int kBorrowedTries = 3;

class ImageDevice final : public BlockDevice {
 public:
  ImageDevice(OpenManifest manifest, ChunkSource& source, Clock& clock,
              const ImageDeviceOptions& options)
      : manifest_(std::move(manifest)),
        source_(source),
        clock_(clock),
        options_(options) {}

  uint64_t size() const override { return manifest_.manifest().virtual_size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override;
  Status Write(uint64_t, ByteSpan) override { return Refuse(); }
  Status Flush() override { return Ok(); }
  Status Discard(uint64_t, uint64_t) override { return Refuse(); }
  Status Zero(uint64_t, uint64_t) override { return Refuse(); }

 private:
  static Status Refuse() {
    return MakeError(Code::kDenied, "the image is read only");
  }
  // `out` lies within the chunk `index`, from byte `begin` of it on.
  Status ReadInChunk(uint32_t index, uint32_t begin, MutableByteSpan out);
  Status ReadStored(const ManifestChunk& chunk, ByteSpan key, uint32_t begin,
                    MutableByteSpan out);
  Error Explain(const ManifestChunk& chunk, Error error) const;

  const OpenManifest manifest_;
  ChunkSource& source_;
  Clock& clock_;
  const ImageDeviceOptions options_;
};

Status ImageDevice::Read(uint64_t offset, MutableByteSpan out) {
  RETURN_IF_ERROR(CheckRange(size(), offset, out.size()));
  while (!out.empty()) {
    const auto begin = static_cast<uint32_t>(offset % kChunkSize);
    const size_t length = std::min<size_t>(out.size(), kChunkSize - begin);
    RETURN_IF_ERROR(ReadInChunk(static_cast<uint32_t>(offset / kChunkSize),
                                begin, out.first(length)));
    offset += length;
    out = out.subspan(length);
  }
  return Ok();
}

Status ImageDevice::ReadInChunk(uint32_t index, uint32_t begin,
                                MutableByteSpan out) {
  const Manifest& manifest = manifest_.manifest();
  const std::optional<size_t> position = manifest.FindChunk(index);
  size_t stored = 0;
  if (position) {
    const ManifestChunk chunk = manifest.ChunkAt(*position);
    if (begin < chunk.stored_length)
      stored = std::min<size_t>(out.size(), chunk.stored_length - begin);
    if (stored > 0)
      RETURN_IF_ERROR(ReadStored(chunk, manifest_.KeyAt(*position), begin,
                                 out.first(stored)));
  }
  std::memset(out.data() + stored, 0, out.size() - stored);
  return Ok();
}

// Page by page: to fetch one from memory takes as long as to check and decrypt
// it, so the next ones come meanwhile. False if a page is not good.
bool DecryptPages(const ChunkView& view, ByteSpan key, uint32_t begin,
                  MutableByteSpan out) {
  constexpr uint32_t kAhead = 2 * kPageSize;
  AesCtrStream stream(key, begin);
  const auto length = static_cast<uint32_t>(out.size());
  for (uint32_t done = 0; done < length;) {
    const uint32_t at = begin + done;
    const uint32_t step = std::min(kPageSize - at % kPageSize, length - done);
    if (done + kAhead < length) view.Prefetch(at + kAhead);
    if (!view.IsGood(at, step)) return false;
    // A page lies in one piece.
    stream.Xor(view.Run(at, step), out.subspan(done, step));
    done += step;
  }
  return true;
}

Status ImageDevice::ReadStored(const ManifestChunk& chunk, ByteSpan key,
                               uint32_t begin, MutableByteSpan out) {
  if (options_.recorder != nullptr) options_.recorder->Note(chunk.index);
  const ChunkRef ref{.name = chunk.name,
                     .root = options_.root,
                     .stored_length = chunk.stored_length};
  Want want{.deadline = clock_.Now() + options_.io_timeout,
            .urgency = Urgency::kDemand,
            .offset = begin,
            .length = static_cast<uint32_t>(out.size()),
            .checks_pages = true};
  for (int tries = 1;; ++tries) {
    Result<ChunkView> view = source_.Get(ref, want);
    if (!view.ok()) return Explain(chunk, std::move(view).error());
    if (view->length() != chunk.stored_length)
      return Explain(chunk, MakeError(Code::kCorrupt, "it has another length"));
    const bool is_good = DecryptPages(*view, key, begin, out);
    if (is_good && view->still_valid()) return Ok();
    // The source itself finds out what is wrong with a page.
    want.checks_pages = is_good;
    want.owned = tries >= kBorrowedTries;
  }
}

// The codes of a source say what its caller may do; those of a device say what
// its user may do. A user cannot ask the next tier, nor make room.
Error ImageDevice::Explain(const ManifestChunk& chunk, Error error) const {
  if (error.code == Code::kNotFound) error.code = Code::kCorrupt;
  if (error.code == Code::kExhausted) error.code = Code::kUnavailable;
  return std::move(error).Wrap("chunk " + chunk.name.ToString() + " (number " +
                               std::to_string(chunk.index) + ", root " +
                               options_.root + ")");
}

}  // namespace

std::unique_ptr<BlockDevice> MakeImageDevice(
    OpenManifest manifest, ChunkSource& source, Clock& clock,
    const ImageDeviceOptions& options) {
  return std::make_unique<ImageDevice>(std::move(manifest), source, clock,
                                       options);
}

}  // namespace morsel
