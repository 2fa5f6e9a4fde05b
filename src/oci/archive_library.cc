// SPDX-License-Identifier: Apache-2.0
#include "oci/archive_library.h"

#include "base/check.h"
#include "base/shared_library.h"

namespace morsel {
namespace {

Status BindReader(const SharedLibrary& library, ArchiveLibrary& archive) {
  RETURN_IF_ERROR(library.Bind("archive_read_new", archive.read_new));
  RETURN_IF_ERROR(library.Bind("archive_read_free", archive.read_free));
  RETURN_IF_ERROR(library.Bind("archive_read_support_format_tar",
                               archive.read_support_format_tar));
  RETURN_IF_ERROR(library.Bind("archive_read_support_format_empty",
                               archive.read_support_format_empty));
  RETURN_IF_ERROR(library.Bind("archive_read_open2", archive.read_open2));
  RETURN_IF_ERROR(
      library.Bind("archive_read_next_header", archive.read_next_header));
  RETURN_IF_ERROR(library.Bind("archive_read_header_position",
                               archive.read_header_position));
  RETURN_IF_ERROR(
      library.Bind("archive_read_data_block", archive.read_data_block));
  RETURN_IF_ERROR(
      library.Bind("archive_read_data_skip", archive.read_data_skip));
  RETURN_IF_ERROR(library.Bind("archive_set_error", archive.set_error));
  RETURN_IF_ERROR(library.Bind("archive_error_string", archive.error_string));
  return Ok();
}

Status BindEntry(const SharedLibrary& library, ArchiveLibrary& archive) {
  RETURN_IF_ERROR(
      library.Bind("archive_entry_pathname", archive.entry_pathname));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_hardlink", archive.entry_hardlink));
  RETURN_IF_ERROR(library.Bind("archive_entry_symlink", archive.entry_symlink));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_filetype", archive.entry_filetype));
  RETURN_IF_ERROR(library.Bind("archive_entry_perm", archive.entry_perm));
  RETURN_IF_ERROR(library.Bind("archive_entry_size", archive.entry_size));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_sparse_count", archive.entry_sparse_count));
  RETURN_IF_ERROR(library.Bind("archive_entry_uid", archive.entry_uid));
  RETURN_IF_ERROR(library.Bind("archive_entry_gid", archive.entry_gid));
  RETURN_IF_ERROR(library.Bind("archive_entry_mtime", archive.entry_mtime));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_mtime_nsec", archive.entry_mtime_nsec));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_rdevmajor", archive.entry_rdevmajor));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_rdevminor", archive.entry_rdevminor));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_xattr_reset", archive.entry_xattr_reset));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_xattr_next", archive.entry_xattr_next));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_acl_count", archive.entry_acl_count));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_acl_reset", archive.entry_acl_reset));
  RETURN_IF_ERROR(
      library.Bind("archive_entry_acl_next", archive.entry_acl_next));
  return Ok();
}

Result<ArchiveLibrary> Load() {
  ASSIGN_OR_RETURN(const SharedLibrary library,
                   SharedLibrary::Load("libarchive.so.13", "libarchive13"));
  ArchiveLibrary archive;
  RETURN_IF_ERROR(BindReader(library, archive));
  RETURN_IF_ERROR(BindEntry(library, archive));
  return archive;
}

const Result<ArchiveLibrary>& Loaded() {
  static const Result<ArchiveLibrary> loaded = Load();
  return loaded;
}

}  // namespace

Status LoadArchive() {
  if (!Loaded().ok()) return Loaded().error();
  return Ok();
}

const ArchiveLibrary& Archive() {
  CHECK(Loaded().ok());
  return *Loaded();
}

}  // namespace morsel
