// SPDX-License-Identifier: Apache-2.0
#include "oci/layer_stream.h"

#include <utility>

#include "crypto/hash.h"
#include "oci/inflate.h"
#include "oci/read_ahead.h"

namespace morsel {
namespace {

// Passes a stream on and hashes what passes.
class HashingSource final : public ByteSource {
 public:
  HashingSource(std::unique_ptr<ByteSource> inner, Sha256& hash,
                std::function<void(uint64_t)> on_bytes)
      : inner_(std::move(inner)), hash_(hash), on_bytes_(std::move(on_bytes)) {}

  Result<ByteSpan> Read() override {
    ASSIGN_OR_RETURN(const ByteSpan piece, inner_->Read());
    hash_.Update(piece);
    if (on_bytes_) on_bytes_(piece.size());
    return piece;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  Sha256& hash_;
  const std::function<void(uint64_t)> on_bytes_;
};

Status CompareDigest(const char* what, const std::string& expected,
                     Sha256& hash) {
  const std::string found = "sha256:" + ToHex(hash.Finish());
  if (expected.empty() || expected == found) return Ok();
  return MakeError(Code::kCorrupt, std::string("the ") + what + " is " + found +
                                       " and should be " + expected +
                                       ": copy the image again");
}

class LayerStreamImpl final : public LayerStream {
 public:
  LayerStreamImpl(FileRange blob, LayerStreamOptions options)
      : options_(std::move(options)),
        plain_(ReadAhead(Decompress(std::make_unique<HashingSource>(
            ReadRange(std::move(blob)), blob_hash_, options_.on_blob_bytes)))) {
  }

  Result<ByteSpan> Read() override {
    ASSIGN_OR_RETURN(const ByteSpan piece, plain_->Read());
    plain_hash_.Update(piece);
    done_bytes_ += piece.size();
    if (done_bytes_ > options_.limit_bytes)
      return MakeError(Code::kInvalid, "the layer unpacks to more than " +
                                           HumanSize(options_.limit_bytes));
    return piece;
  }

  Status Finish() override {
    while (true) {
      ASSIGN_OR_RETURN(const ByteSpan piece, Read());
      if (piece.empty()) break;
    }
    // The end was read, so the other thread is done with blob_hash_.
    RETURN_IF_ERROR(
        CompareDigest("blob's digest", options_.digest, blob_hash_));
    return CompareDigest("plain layer's digest (diffID)", options_.diff_id,
                         plain_hash_);
  }

 private:
  const LayerStreamOptions options_;
  Sha256 blob_hash_;
  Sha256 plain_hash_;
  uint64_t done_bytes_ = 0;
  std::unique_ptr<ByteSource> plain_;  // last: its thread uses the others
};

}  // namespace

std::unique_ptr<LayerStream> OpenLayerStream(FileRange blob,
                                             LayerStreamOptions options) {
  return std::make_unique<LayerStreamImpl>(std::move(blob), std::move(options));
}

}  // namespace morsel
