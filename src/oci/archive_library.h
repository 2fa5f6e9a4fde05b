// SPDX-License-Identifier: Apache-2.0
// libarchive, loaded by the first layer that is read: a run or an attach of an
// image that is converted needs none (base/shared_library.h says why that
// matters). Thread safety: any.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/result.h"

namespace morsel {

// Functions as libarchive's headers declare them, without their "archive_".
struct ArchiveLibrary {
  decltype(&::archive_read_new) read_new = nullptr;
  decltype(&::archive_read_free) read_free = nullptr;
  decltype(&::archive_read_support_format_tar) read_support_format_tar =
      nullptr;
  decltype(&::archive_read_support_format_empty) read_support_format_empty =
      nullptr;
  decltype(&::archive_read_open2) read_open2 = nullptr;
  decltype(&::archive_read_next_header) read_next_header = nullptr;
  decltype(&::archive_read_header_position) read_header_position = nullptr;
  decltype(&::archive_read_data_block) read_data_block = nullptr;
  decltype(&::archive_read_data_skip) read_data_skip = nullptr;
  decltype(&::archive_set_error) set_error = nullptr;
  decltype(&::archive_error_string) error_string = nullptr;
  decltype(&::archive_entry_pathname) entry_pathname = nullptr;
  decltype(&::archive_entry_hardlink) entry_hardlink = nullptr;
  decltype(&::archive_entry_symlink) entry_symlink = nullptr;
  decltype(&::archive_entry_filetype) entry_filetype = nullptr;
  decltype(&::archive_entry_perm) entry_perm = nullptr;
  decltype(&::archive_entry_size) entry_size = nullptr;
  decltype(&::archive_entry_sparse_count) entry_sparse_count = nullptr;
  decltype(&::archive_entry_uid) entry_uid = nullptr;
  decltype(&::archive_entry_gid) entry_gid = nullptr;
  decltype(&::archive_entry_mtime) entry_mtime = nullptr;
  decltype(&::archive_entry_mtime_nsec) entry_mtime_nsec = nullptr;
  decltype(&::archive_entry_rdevmajor) entry_rdevmajor = nullptr;
  decltype(&::archive_entry_rdevminor) entry_rdevminor = nullptr;
  decltype(&::archive_entry_xattr_reset) entry_xattr_reset = nullptr;
  decltype(&::archive_entry_xattr_next) entry_xattr_next = nullptr;
  decltype(&::archive_entry_acl_count) entry_acl_count = nullptr;
  decltype(&::archive_entry_acl_reset) entry_acl_reset = nullptr;
  decltype(&::archive_entry_acl_next) entry_acl_next = nullptr;
};

// kNotFound: it is not installed, and will not be until the process ends.
Status LoadArchive();
// Requires: LoadArchive has succeeded.
const ArchiveLibrary& Archive();

}  // namespace morsel
