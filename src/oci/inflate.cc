// SPDX-License-Identifier: Apache-2.0
#include "oci/inflate.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <string>
#include <utility>

namespace morsel {
namespace {

constexpr size_t kPieceSize = 256 * kKiB;
// 2^27 bytes: what `zstd --ultra -22` needs at most without --long.
constexpr int kMaxZstdWindowLog = 27;

Error CutShort(const char* what) {
  return MakeError(Code::kCorrupt,
                   std::string("the ") + what +
                       " stream is cut short: copy the image again");
}

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)),
        state_(std::make_unique<inflate_state>()),
        out_(kPieceSize) {
    BeginMember();
  }

  Result<ByteSpan> Read() override {
    while (true) {
      if (state_->avail_in == 0 && !ended_) RETURN_IF_ERROR(Refill());
      if (member_done_) {
        if (state_->avail_in == 0) return ByteSpan();
        BeginMember();
      }
      ASSIGN_OR_RETURN(const ByteSpan piece, InflateSome());
      if (!piece.empty()) return piece;
    }
  }

 private:
  void BeginMember() {
    uint8_t* const next_in = state_->next_in;
    const uint32_t avail_in = state_->avail_in;
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;  // reads the header, checks the trailer
    state_->next_in = next_in;
    state_->avail_in = avail_in;
    member_done_ = false;
  }

  Status Refill() {
    ASSIGN_OR_RETURN(const ByteSpan piece, inner_->Read());
    ended_ = piece.empty();
    // igzip does not write to its input, though its type would allow it.
    state_->next_in =
        const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(piece.data()));
    state_->avail_in = static_cast<uint32_t>(piece.size());
    return Ok();
  }

  Result<ByteSpan> InflateSome() {
    state_->next_out = reinterpret_cast<uint8_t*>(out_.data());
    state_->avail_out = static_cast<uint32_t>(out_.size());
    const uint32_t had = state_->avail_in;
    const int code = isal_inflate(state_.get());
    if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT)
      return MakeError(Code::kCorrupt,
                       "the gzip stream is damaged (igzip code " +
                           std::to_string(code) + "): copy the image again");
    member_done_ = state_->block_state == ISAL_BLOCK_FINISH;
    const size_t size = out_.size() - state_->avail_out;
    if (size == 0 && !member_done_ && ended_ && state_->avail_in == had)
      return CutShort("gzip");
    return ByteSpan(out_).first(size);
  }

  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<inflate_state> state_;
  Bytes out_;
  bool member_done_ = false;
  bool ended_ = false;  // inner_ has no more
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)),
        context_(ZSTD_createDCtx()),
        out_(kPieceSize) {
    CHECK(context_ != nullptr);
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax,
                           kMaxZstdWindowLog);
  }

  Result<ByteSpan> Read() override {
    while (true) {
      if (in_.pos == in_.size && !ended_) RETURN_IF_ERROR(Refill());
      if (in_.pos == in_.size && frame_done_ && ended_) return ByteSpan();
      ASSIGN_OR_RETURN(const ByteSpan piece, InflateSome());
      if (!piece.empty()) return piece;
    }
  }

 private:
  struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  Status Refill() {
    ASSIGN_OR_RETURN(const ByteSpan piece, inner_->Read());
    ended_ = piece.empty();
    in_ = {piece.data(), piece.size(), 0};
    return Ok();
  }

  Result<ByteSpan> InflateSome() {
    ZSTD_outBuffer out{out_.data(), out_.size(), 0};
    const size_t before = in_.pos;
    const size_t code = ZSTD_decompressStream(context_.get(), &out, &in_);
    if (ZSTD_isError(code) != 0) {
      const bool window =
          ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge;
      return MakeError(window ? Code::kInvalid : Code::kCorrupt,
                       std::string("zstd: ") + ZSTD_getErrorName(code));
    }
    frame_done_ = code == 0;
    if (out.pos == 0 && in_.pos == before && ended_ && !frame_done_)
      return CutShort("zstd");
    return ByteSpan(out_).first(out.pos);
  }

  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  Bytes out_;
  bool frame_done_ = false;
  bool ended_ = false;  // inner_ has no more
};

// Gives a piece that was read ahead first, then the rest of the stream.
class PushedBackSource final : public ByteSource {
 public:
  PushedBackSource(Bytes head, std::unique_ptr<ByteSource> inner)
      : head_(std::move(head)), inner_(std::move(inner)) {}

  Result<ByteSpan> Read() override {
    if (!std::exchange(head_given_, true) && !head_.empty())
      return ByteSpan(head_);
    return inner_->Read();
  }

 private:
  const Bytes head_;
  std::unique_ptr<ByteSource> inner_;
  bool head_given_ = false;
};

class SniffingSource final : public ByteSource {
 public:
  explicit SniffingSource(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)) {}

  Result<ByteSpan> Read() override {
    if (chosen_ == nullptr) RETURN_IF_ERROR(Choose());
    return chosen_->Read();
  }

 private:
  Status Choose() {
    // Four bytes decide, and a source may give fewer at a time.
    Bytes head;
    while (head.size() < 4) {
      ASSIGN_OR_RETURN(const ByteSpan piece, inner_->Read());
      if (piece.empty()) break;
      head.insert(head.end(), piece.begin(), piece.end());
    }
    const Compression compression = SniffCompression(head);
    auto whole =
        std::make_unique<PushedBackSource>(std::move(head), std::move(inner_));
    if (compression == Compression::kGzip)
      chosen_ = std::make_unique<GzipSource>(std::move(whole));
    else if (compression == Compression::kZstd)
      chosen_ = std::make_unique<ZstdSource>(std::move(whole));
    else
      chosen_ = std::move(whole);
    return Ok();
  }

  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<ByteSource> chosen_;
};

}  // namespace

Compression SniffCompression(ByteSpan head) {
  const std::string_view text = AsText(head);
  if (text.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (text.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  // A skippable frame (RFC 8878, 3.1.2): zstd:chunked begins with one.
  if (text.size() >= 4 && (text[0] & 0xf0) == 0x50 &&
      text.substr(1, 3) == "\x2a\x4d\x18")
    return Compression::kZstd;
  return Compression::kNone;
}

std::unique_ptr<ByteSource> Decompress(std::unique_ptr<ByteSource> inner) {
  return std::make_unique<SniffingSource>(std::move(inner));
}

}  // namespace morsel
