// SPDX-License-Identifier: Apache-2.0
#include "oci/layer_reader.h"

#include <locale.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "oci/archive_library.h"
#include "oci/path.h"
#include "oci/pax_time.h"
#include "oci/posix_acl.h"

namespace morsel {
namespace {

// libarchive refuses pax headers of more than 1 MiB.
constexpr size_t kMaxHeaderBytes = 4 * kMiB;

// The "C" locale for this thread as long as it lives.
class PlainLocale {
 public:
  explicit PlainLocale(locale_t plain) : before_(::uselocale(plain)) {}
  ~PlainLocale() { ::uselocale(before_); }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  const locale_t before_;
};

struct FreeLocale {
  void operator()(locale_t locale) const { ::freelocale(locale); }
};
struct FreeArchive {
  void operator()(archive* handle) const { Archive().read_free(handle); }
};

Error Invalid(std::string message) {
  return MakeError(Code::kInvalid, std::move(message));
}

// The four name spaces that Linux has. Others come from other systems
// ("com.apple.quarantine") and cannot be stored.
bool IsKnownXattr(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.") ||
         name.starts_with("security.") || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

Result<uint32_t> CheckId(int64_t id, const char* what) {
  // The last value means "no id" to the kernel.
  if (id < 0 || id >= 0xffffffff)
    return Invalid(std::string(what) + " " + std::to_string(id) +
                   " is outside 0 to 2^32 - 2");
  return static_cast<uint32_t>(id);
}

// Takes the fraction off the seconds instead of adding it.
void MirrorFraction(LayerEntry& entry) {
  if (entry.mtime_nanoseconds == 0) return;
  --entry.mtime_seconds;
  entry.mtime_nanoseconds = 1'000'000'000 - entry.mtime_nanoseconds;
}

// libarchive gives -86400.25 as -86400 s and 0.25 s.
void SetTime(archive_entry* from, LayerEntry& entry) {
  entry.mtime_seconds = Archive().entry_mtime(from);
  const long nanoseconds = Archive().entry_mtime_nsec(from);
  entry.mtime_nanoseconds = nanoseconds < 0 || nanoseconds >= 1'000'000'000
                                ? 0
                                : static_cast<uint32_t>(nanoseconds);
  if (entry.mtime_seconds < 0) MirrorFraction(entry);
}

void Warn(LayerEntry& entry, std::string_view what) {
  if (!entry.warning.empty()) entry.warning += "; ";
  entry.warning += what;
}

void AddAcl(archive_entry* from, AclKind kind, LayerEntry& entry) {
  Result<std::string> acl = ReadAcl(from, kind, entry.mode);
  if (!acl.ok()) {
    Warn(entry, acl.error().message + ", so it is left out");
  } else if (!acl->empty()) {
    entry.xattrs.emplace_back(kind == AclKind::kAccess
                                  ? "system.posix_acl_access"
                                  : "system.posix_acl_default",
                              std::move(*acl));
  }
}

Status AddXattrs(archive_entry* from, LayerEntry& entry) {
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  Archive().entry_xattr_reset(from);
  while (Archive().entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !IsKnownXattr(name)) {
      Warn(entry, "the extended attribute " +
                      PrintablePath(name == nullptr ? "" : name) +
                      " is none that Linux can store, so it is left out");
      continue;
    }
    if (std::strlen(name) > kMaxNameBytes || size > kMaxXattrValueBytes)
      return Invalid("the extended attribute " + PrintablePath(name) +
                     " is larger than Linux allows");
    entry.xattrs.emplace_back(
        name, size == 0 ? std::string()
                        : std::string(static_cast<const char*>(value), size));
  }
  return Ok();
}

// Of attributes with one name the last counts.
void SortXattrs(LayerEntry& entry) {
  auto& xattrs = entry.xattrs;
  std::stable_sort(
      xattrs.begin(), xattrs.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto end = std::unique(
      xattrs.rbegin(), xattrs.rend(),
      [](const auto& a, const auto& b) { return a.first == b.first; });
  xattrs.erase(xattrs.begin(), end.base());
}

Status SetDevice(archive_entry* from, LayerEntry& entry) {
  const auto major_number = Archive().entry_rdevmajor(from);
  const auto minor_number = Archive().entry_rdevminor(from);
  // The kernel's dev_t: 12 and 20 bits.
  if (major_number >= 4096 || minor_number >= (1u << 20))
    return Invalid("the device number is larger than Linux has");
  entry.device_major = static_cast<uint32_t>(major_number);
  entry.device_minor = static_cast<uint32_t>(minor_number);
  return Ok();
}

Status SetSymlink(archive_entry* from, LayerEntry& entry) {
  const char* const target = Archive().entry_symlink(from);
  if (target == nullptr || *target == '\0')
    return Invalid("the symlink has no target");
  entry.target = target;
  if (entry.target.size() > kMaxPathBytes)
    return Invalid("the symlink's target is longer than 4095 bytes");
  return Ok();
}

Status SetTypeAndTarget(archive_entry* from, LayerEntry& entry) {
  if (const char* target = Archive().entry_hardlink(from)) {
    ASSIGN_OR_RETURN_AS(entry.target, CleanPath(target),
                        "the hard link's target " + PrintablePath(target));
    return Ok();
  }
  const auto type = Archive().entry_filetype(from);
  entry.mode |= static_cast<uint32_t>(type);
  switch (type) {
    case AE_IFREG: {
      const int64_t size = Archive().entry_size(from);
      if (size < 0 || static_cast<uint64_t>(size) > kMaxFileBytes)
        return Invalid("the file's size, " + std::to_string(size) +
                       " bytes, is larger than ext4 allows");
      entry.size_bytes = static_cast<uint64_t>(size);
      return Ok();
    }
    case AE_IFLNK:
      return SetSymlink(from, entry);
    case AE_IFCHR:
    case AE_IFBLK:
      return SetDevice(from, entry);
    case AE_IFDIR:
    case AE_IFIFO:
      return Ok();
    default:
      return Invalid("the entry is of an unknown type");
  }
}

Status Convert(archive_entry* from, LayerEntry& entry) {
  entry.mode = static_cast<uint32_t>(Archive().entry_perm(from)) & 07777;
  ASSIGN_OR_RETURN(entry.uid, CheckId(Archive().entry_uid(from), "user id"));
  ASSIGN_OR_RETURN(entry.gid, CheckId(Archive().entry_gid(from), "group id"));
  SetTime(from, entry);
  RETURN_IF_ERROR(SetTypeAndTarget(from, entry));
  if (entry.is_hard_link()) return Ok();  // the inode has the attributes
  AddAcl(from, AclKind::kAccess, entry);
  AddAcl(from, AclKind::kDefault, entry);
  RETURN_IF_ERROR(AddXattrs(from, entry));
  SortXattrs(entry);
  return Ok();
}

class LayerReaderImpl final : public LayerReader {
 public:
  LayerReaderImpl(ByteSource& source, std::string layer)
      : source_(source),
        layer_(std::move(layer)),
        locale_(::newlocale(LC_ALL_MASK, "C", nullptr)),
        archive_(Archive().read_new()) {
    CHECK(archive_ != nullptr && locale_ != nullptr);
    Archive().read_support_format_tar(archive_.get());
    // An empty layer: some writers make it of no bytes at all.
    Archive().read_support_format_empty(archive_.get());
  }

  Result<bool> Next(LayerEntry& entry) override {
    const PlainLocale plain(locale_.get());
    RETURN_IF_ERROR(SkipData());
    if (!opened_) RETURN_IF_ERROR(OpenArchive());
    entry = LayerEntry();
    archive_entry* from = nullptr;
    const int code = ReadHeader(&from);
    if (code == ARCHIVE_EOF && source_status_.ok()) return false;
    name_.clear();
    if (code != ARCHIVE_OK && !IsHarmless(code)) return TarError();
    const char* const raw = Archive().entry_pathname(from);
    name_ = raw == nullptr ? "" : raw;
    if (name_.empty()) return Located(Invalid("an entry has no name"));
    RETURN_IF_ERROR(Locate(SetPath(entry)));
    RETURN_IF_ERROR(Locate(Convert(from, entry)));
    if (entry.mtime_seconds == 0 && entry.mtime_nanoseconds > 0 &&
        HasNegativePaxTime(HeaderBytes())) {
      MirrorFraction(entry);
    }
    size_bytes_ = entry.size_bytes;
    next_offset_ = 0;
    return true;
  }

  Result<bool> ReadData(DataRun& run) override {
    const PlainLocale plain(locale_.get());
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    do {
      const int code =
          Archive().read_data_block(archive_.get(), &data, &size, &offset);
      if (code == ARCHIVE_EOF && source_status_.ok()) return false;
      if (code != ARCHIVE_OK) return TarError();
    } while (size == 0);
    const uint64_t begin = static_cast<uint64_t>(offset);
    if (begin < next_offset_ || begin > size_bytes_ ||
        size > size_bytes_ - begin)
      return Located(Invalid("its data lies outside its size"));
    next_offset_ = begin + size;
    run = {begin, {static_cast<const std::byte*>(data), size}};
    return true;
  }

 private:
  Status OpenArchive() {
    opened_ = true;
    in_header_ = true;  // it looks at the first one
    if (Archive().read_open2(archive_.get(), this, nullptr, &ReadPiece, nullptr,
                             nullptr) != ARCHIVE_OK)
      return TarError();
    return Ok();
  }

  // What libarchive would do by itself, but while it looks for a header.
  Status SkipData() {
    header_.clear();
    if (!in_data_) return Ok();
    in_data_ = false;
    return Archive().read_data_skip(archive_.get()) == ARCHIVE_OK
               ? Ok()
               : Status(TarError());
  }

  int ReadHeader(archive_entry** from) {
    in_header_ = true;
    const int code = Archive().read_next_header(archive_.get(), from);
    in_header_ = false;
    in_data_ = code == ARCHIVE_OK || code == ARCHIVE_WARN;
    return code;
  }

  // The part of the current piece that belongs to the entry's headers.
  ByteSpan HeaderInPiece() const {
    const auto begin =
        static_cast<uint64_t>(Archive().read_header_position(archive_.get()));
    const uint64_t skip = begin > read_bytes_ ? begin - read_bytes_ : 0;
    return piece_.subspan(std::min<uint64_t>(skip, piece_.size()));
  }

  // Headers may lie in several pieces, and a piece goes with the next.
  void KeepHeader() {
    if (header_.size() > kMaxHeaderBytes) return;
    const ByteSpan part = HeaderInPiece();
    header_.insert(header_.end(), part.begin(), part.end());
  }

  // From the entry's first header block on, and some of what follows.
  ByteSpan HeaderBytes() {
    KeepHeader();
    return header_;
  }

  static la_ssize_t ReadPiece(archive* handle, void* self, const void** piece) {
    auto* const reader = static_cast<LayerReaderImpl*>(self);
    if (reader->in_header_) reader->KeepHeader();
    reader->read_bytes_ += reader->piece_.size();
    reader->piece_ = {};
    Result<ByteSpan> got = reader->source_.Read();
    if (!got.ok()) {
      Archive().set_error(handle, EIO, "the layer cannot be read");
      reader->source_status_ = std::move(got).error();
      return ARCHIVE_FATAL;
    }
    reader->piece_ = *got;
    *piece = got->data();
    return static_cast<la_ssize_t>(got->size());
  }

  // The one warning that means nothing: a name that is kept as it is.
  bool IsHarmless(int code) const {
    if (code != ARCHIVE_WARN) return false;
    const char* const text = Archive().error_string(archive_.get());
    return text != nullptr &&
           std::strstr(text, "can't be converted") != nullptr;
  }

  Status SetPath(LayerEntry& entry) {
    ASSIGN_OR_RETURN(entry.path, CleanPath(name_));
    return Ok();
  }

  Error Located(Error error) const {
    return std::move(error).Wrap(
        "layer " + layer_ +
        (name_.empty() ? "" : ", entry " + PrintablePath(name_)));
  }
  Status Locate(Status status) const {
    if (status.ok()) return status;
    return Located(std::move(status).error());
  }

  Error TarError() const {
    if (!source_status_.ok()) return Located(source_status_.error());
    const char* const text = Archive().error_string(archive_.get());
    // A tar that ends too early has no text, or this one.
    if (text == nullptr || std::strstr(text, "Truncated") != nullptr)
      return Located(MakeError(Code::kCorrupt,
                               "the tar is cut short: copy the image again"));
    return Located(Invalid(std::string("no sound tar: ") + text));
  }

  ByteSource& source_;
  const std::string layer_;
  const std::unique_ptr<std::remove_pointer_t<locale_t>, FreeLocale> locale_;
  const std::unique_ptr<archive, FreeArchive> archive_;
  bool opened_ = false;
  Status source_status_;
  ByteSpan piece_;           // the source's last, until the next
  uint64_t read_bytes_ = 0;  // of the pieces before it
  bool in_header_ = false;
  bool in_data_ = false;  // of an entry, which may be unread
  Bytes header_;          // of the current entry, in earlier pieces
  std::string name_;      // of the entry, raw
  uint64_t size_bytes_ = 0;
  uint64_t next_offset_ = 0;
};

}  // namespace

Result<std::unique_ptr<LayerReader>> LayerReader::Open(ByteSource& source,
                                                       std::string layer) {
  RETURN_IF_ERROR(LoadArchive());
  return std::unique_ptr<LayerReader>(
      std::make_unique<LayerReaderImpl>(source, std::move(layer)));
}

}  // namespace morsel
