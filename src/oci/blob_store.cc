// SPDX-License-Identifier: Apache-2.0
#include "oci/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "oci/archive_library.h"
#include "oci/inflate.h"
#include "oci/path.h"

namespace morsel {
namespace {

constexpr size_t kMaxMembers = 100'000;
constexpr int kMaxLinks = 8;

// Opens without waiting for a writer, should it be a fifo.
Result<FileRange> OpenRegular(int dir_fd, const std::string& path) {
  ASSIGN_OR_RETURN(Fd fd, OpenFileAt(dir_fd, path, O_RDONLY | O_NONBLOCK));
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoError(errno, "stat " + path);
  if (!S_ISREG(info.st_mode))
    return MakeError(Code::kInvalid, path + " is no regular file");
  return FileRange{std::make_shared<const Fd>(std::move(fd)), 0,
                   static_cast<uint64_t>(info.st_size)};
}

class FolderStore final : public BlobStore {
 public:
  FolderStore(Fd dir, std::string path)
      : dir_(std::move(dir)), path_(std::move(path)) {}

  Result<FileRange> Open(const std::string& path) const override {
    ASSIGN_OR_RETURN_AS(FileRange range, OpenRegular(dir_.get(), path), path_);
    return range;
  }

 private:
  const Fd dir_;
  const std::string path_;
};

struct Member {
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
  std::string link;  // the path of the member that it stands for
};

class ArchiveStore final : public BlobStore {
 public:
  ArchiveStore(FileRange file, std::string path,
               std::map<std::string, Member> members)
      : file_(std::move(file)),
        path_(std::move(path)),
        members_(std::move(members)) {}

  Result<FileRange> Open(const std::string& path) const override {
    Result<std::string> name = CleanPath(path);
    // `docker save` of old has symlinks among its layers.
    for (int links = 0; name.ok() && links < kMaxLinks; ++links) {
      const auto it = members_.find(*name);
      if (it == members_.end()) break;
      if (it->second.link.empty())
        return FileRange{file_.file, it->second.offset, it->second.size_bytes};
      name = it->second.link;
    }
    return MakeError(Code::kNotFound,
                     path_ + ": no file " + PrintablePath(path) + " in it");
  }

 private:
  const FileRange file_;
  const std::string path_;
  const std::map<std::string, Member> members_;
};

// Reads the headers of a tar and notes where the members' data lies.
class Indexer {
 public:
  explicit Indexer(const FileRange& file)
      : file_(file), archive_(Archive().read_new()), buffer_(64 * kKiB) {
    CHECK(archive_ != nullptr);
  }
  ~Indexer() { Archive().read_free(archive_); }
  Indexer(const Indexer&) = delete;
  Indexer& operator=(const Indexer&) = delete;

  Result<std::map<std::string, Member>> Run() {
    Archive().read_support_format_tar(archive_);
    if (Archive().read_open2(archive_, this, nullptr, &Read, &Skip, nullptr) !=
        ARCHIVE_OK)
      return Fault();
    while (true) {
      archive_entry* entry = nullptr;
      const int code = Archive().read_next_header(archive_, &entry);
      if (code != ARCHIVE_EOF && code != ARCHIVE_OK && code != ARCHIVE_WARN)
        return Fault();
      FinishPending();
      if (code == ARCHIVE_EOF) return std::move(members_);
      if (members_.size() >= kMaxMembers)
        return MakeError(Code::kInvalid, "more than 100,000 files in it");
      Note(entry);
    }
  }

 private:
  // The data of a plain member ends, padded to 512 bytes, where the next
  // header begins; that is all that libarchive tells of positions.
  void FinishPending() {
    if (!pending_) return;
    const int64_t next = Archive().read_header_position(archive_);
    Member& member = members_[*pending_];
    member.offset =
        static_cast<uint64_t>(next) - RoundUp(member.size_bytes, 512);
    pending_.reset();
  }

  void Note(archive_entry* entry) {
    const char* const raw = Archive().entry_pathname(entry);
    const Result<std::string> name = CleanPath(raw == nullptr ? "" : raw);
    if (!name.ok() || name->empty()) return;  // nobody can ask for it
    Member member;
    if (const char* hard = Archive().entry_hardlink(entry)) {
      member.link = CleanOr(hard);
    } else if (const char* symlink = Archive().entry_symlink(entry)) {
      member.link =
          CleanOr(std::string(Split(*name).directory) + "/" + symlink);
    } else if (Archive().entry_filetype(entry) != AE_IFREG ||
               Archive().entry_size(entry) < 0 ||
               Archive().entry_sparse_count(entry) > 0) {
      return;
    } else {
      member.size_bytes = static_cast<uint64_t>(Archive().entry_size(entry));
      pending_ = *name;
    }
    members_[*name] = std::move(member);
  }

  static std::string CleanOr(const std::string& raw) {
    Result<std::string> clean = CleanPath(raw);
    // "/" names no member.
    return clean.ok() && !clean->empty() ? std::move(clean).value() : "/";
  }

  Error Fault() const {
    if (!status_.ok()) return status_.error();
    const char* const text = Archive().error_string(archive_);
    if (text == nullptr || position_ >= file_.size_bytes)
      return MakeError(Code::kCorrupt, "the tar is cut short");
    return MakeError(Code::kInvalid, std::string("no sound tar: ") + text);
  }

  static la_ssize_t Read(archive* handle, void* self, const void** piece) {
    auto* const indexer = static_cast<Indexer*>(self);
    const uint64_t left = indexer->file_.size_bytes - indexer->position_;
    const size_t size =
        static_cast<size_t>(std::min<uint64_t>(left, indexer->buffer_.size()));
    indexer->status_ =
        ReadFullAt(indexer->file_.file->get(), indexer->position_,
                   MutableByteSpan(indexer->buffer_).first(size));
    if (!indexer->status_.ok()) {
      Archive().set_error(handle, EIO, "the archive cannot be read");
      return ARCHIVE_FATAL;
    }
    indexer->position_ += size;
    *piece = indexer->buffer_.data();
    return static_cast<la_ssize_t>(size);
  }

  static la_int64_t Skip(archive*, void* self, la_int64_t size) {
    auto* const indexer = static_cast<Indexer*>(self);
    const uint64_t left = indexer->file_.size_bytes - indexer->position_;
    const uint64_t step = std::min(left, static_cast<uint64_t>(size));
    indexer->position_ += step;
    return static_cast<la_int64_t>(step);
  }

  const FileRange& file_;
  archive* const archive_;
  Bytes buffer_;
  uint64_t position_ = 0;
  Status status_;
  std::map<std::string, Member> members_;
  std::optional<std::string> pending_;  // its offset is not known yet
};

Result<FileRange> Unpack(FileRange packed, const std::string& work_dir) {
  ASSIGN_OR_RETURN(Fd fd, MakeUnnamedFile(work_dir));
  const std::unique_ptr<ByteSource> source =
      Decompress(ReadRange(std::move(packed)));
  uint64_t size = 0;
  while (true) {
    ASSIGN_OR_RETURN(const ByteSpan piece, source->Read());
    if (piece.empty()) break;
    RETURN_IF_ERROR_AS(WriteFullAt(fd.get(), size, piece),
                       "unpack into " + work_dir);
    size += piece.size();
  }
  return FileRange{std::make_shared<const Fd>(std::move(fd)), 0, size};
}

Result<Compression> SniffFile(const FileRange& file) {
  Bytes head(std::min<uint64_t>(4, file.size_bytes));
  RETURN_IF_ERROR(ReadFullAt(file.file->get(), file.offset, head));
  return SniffCompression(head);
}

}  // namespace

Result<std::unique_ptr<BlobStore>> OpenFolder(const std::string& path) {
  ASSIGN_OR_RETURN(Fd dir, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<BlobStore>(
      std::make_unique<FolderStore>(std::move(dir), path));
}

Result<std::unique_ptr<BlobStore>> OpenArchive(const std::string& path,
                                               const std::string& work_dir) {
  ASSIGN_OR_RETURN(FileRange file, OpenRegular(AT_FDCWD, path));
  ASSIGN_OR_RETURN_AS(const Compression compression, SniffFile(file), path);
  if (compression != Compression::kNone) {
    ASSIGN_OR_RETURN_AS(file, Unpack(file, work_dir), path);
  }
  RETURN_IF_ERROR(LoadArchive());
  ASSIGN_OR_RETURN_AS(auto members, Indexer(file).Run(), path);
  return std::unique_ptr<BlobStore>(std::make_unique<ArchiveStore>(
      std::move(file), path, std::move(members)));
}

Result<Fd> MakeUnnamedFile(const std::string& dir) {
  Result<Fd> fd = OpenFile(dir, O_TMPFILE | O_RDWR, 0600);
  if (fd.ok()) return fd;
  // Not every file system has O_TMPFILE: make one, and take its name away.
  std::string name = dir + "/unnamed-XXXXXX";
  Fd made(::mkostemp(name.data(), O_CLOEXEC));
  if (!made) return ErrnoError(errno, "make a file in " + dir);
  ::unlink(name.c_str());
  return made;
}

}  // namespace morsel
