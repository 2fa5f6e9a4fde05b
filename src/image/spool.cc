// SPDX-License-Identifier: Apache-2.0
#include "image/spool.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <utility>

#include "oci/blob_store.h"
#include "oci/layer_stream.h"

namespace morsel {
namespace {

constexpr size_t kBufferSize = kMiB;
// Room is looked at again after this much, and this much is left to others.
constexpr uint64_t kReserve = 64 * kMiB;
// The layer of a source offset is in the bits above this one.
constexpr int kLayerShift = 40;
static_assert((uint64_t{1} << kLayerShift) > kMaxLayerBytes);

Status CheckRoom(const std::string& dir, uint64_t needed_bytes) {
  struct statvfs info = {};
  if (::statvfs(dir.c_str(), &info) != 0)
    return ErrnoError(errno, "look for room in " + dir);
  const uint64_t room = uint64_t{info.f_bavail} * info.f_frsize;
  if (room >= needed_bytes + kReserve) return Ok();
  return MakeError(
      Code::kExhausted,
      "the unpacked image needs more room in " + dir + ": " + HumanSize(room) +
          " are free, at least " + HumanSize(needed_bytes + kReserve) +
          " are needed; free some, or use another folder (--state-dir)");
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::Create(const std::string& dir,
                                             size_t layer_count,
                                             uint64_t expected_bytes) {
  RETURN_IF_ERROR(CheckRoom(dir, expected_bytes));
  std::vector<Fd> files;
  for (size_t i = 0; i < layer_count; ++i) {
    ASSIGN_OR_RETURN(Fd file, MakeUnnamedFile(dir));
    files.push_back(std::move(file));
  }
  return std::unique_ptr<Spool>(new Spool(dir, std::move(files)));
}

Status Spool::Read(uint64_t source_offset, MutableByteSpan out) {
  const uint64_t layer = source_offset >> kLayerShift;
  const uint64_t offset = source_offset & ((uint64_t{1} << kLayerShift) - 1);
  CHECK(layer < files_.size());
  RETURN_IF_ERROR_AS(ReadFullAt(files_[layer].get(), offset, out),
                     "the spooled image in " + dir_);
  return Ok();
}

SpoolWriter::SpoolWriter(Spool& spool, size_t layer)
    : spool_(spool), layer_(layer) {
  CHECK(layer < spool.files_.size());
  buffer_.reserve(kBufferSize);
}

Result<uint64_t> SpoolWriter::Append(ByteSpan bytes) {
  if (buffer_.size() + bytes.size() > kBufferSize) RETURN_IF_ERROR(Flush());
  const uint64_t offset = written_bytes_ + buffer_.size();
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return (uint64_t{layer_} << kLayerShift) | offset;
}

Status SpoolWriter::Flush() {
  if (written_bytes_ + buffer_.size() > checked_bytes_) {
    RETURN_IF_ERROR(CheckRoom(spool_.dir_, buffer_.size()));
    checked_bytes_ = written_bytes_ + kReserve;
  }
  RETURN_IF_ERROR_AS(
      WriteFullAt(spool_.files_[layer_].get(), written_bytes_, buffer_),
      "spool the image in " + spool_.dir_ +
          " (free some room, or use another folder: --state-dir)");
  written_bytes_ += buffer_.size();
  buffer_.clear();
  return Ok();
}

}  // namespace morsel
