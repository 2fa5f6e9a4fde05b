// SPDX-License-Identifier: Apache-2.0
#include "oci/byte_source.h"

#include <algorithm>
#include <utility>

namespace morsel {
namespace {

constexpr size_t kPieceSize = 256 * kKiB;

class RangeSource final : public ByteSource {
 public:
  explicit RangeSource(FileRange range)
      : range_(std::move(range)), buffer_(kPieceSize) {}

  Result<ByteSpan> Read() override {
    const size_t size = static_cast<size_t>(
        std::min<uint64_t>(kPieceSize, range_.size_bytes - done_bytes_));
    const MutableByteSpan piece = MutableByteSpan(buffer_).first(size);
    RETURN_IF_ERROR(
        ReadFullAt(range_.file->get(), range_.offset + done_bytes_, piece));
    done_bytes_ += size;
    return ByteSpan(piece);
  }

 private:
  const FileRange range_;
  uint64_t done_bytes_ = 0;
  Bytes buffer_;
};

}  // namespace

std::unique_ptr<ByteSource> ReadRange(FileRange range) {
  return std::make_unique<RangeSource>(std::move(range));
}

Result<std::string> ReadText(const FileRange& range, uint64_t limit_bytes) {
  if (range.size_bytes > limit_bytes)
    return MakeError(Code::kInvalid, "larger than " + HumanSize(limit_bytes));
  std::string text(range.size_bytes, '\0');
  RETURN_IF_ERROR(
      ReadFullAt(range.file->get(), range.offset,
                 std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

}  // namespace morsel
