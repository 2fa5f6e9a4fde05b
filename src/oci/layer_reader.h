// SPDX-License-Identifier: Apache-2.0
// The entries of one layer's tar, in its order: hostile input made plain.
//
// libarchive reads the tar, with only that format enabled. What it gets wrong
// is put right here: fractional times before 1970 (oci/pax_time.h), the group
// bits of entries with ACLs, and names, which under a UTF-8 locale it would
// bring into another normal form (so it is run under the "C" locale, and its
// warning that a name could not be converted is passed over). What it does not
// tell is lost: what follows a NUL in a name.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "oci/byte_source.h"

namespace morsel {

// The largest file that ext4 has with blocks of 4 KiB (sparse or not).
inline constexpr uint64_t kMaxFileBytes = 16 * 1024 * kGiB - 4 * kKiB;
inline constexpr size_t kMaxXattrValueBytes = 65536;

struct LayerEntry {
  std::string path;   // cleaned (oci/path.h); "": the root
  uint32_t mode = 0;  // type and permissions, as st_mode; 0 type: hard link
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime_seconds = 0;
  uint32_t mtime_nanoseconds = 0;
  uint64_t size_bytes = 0;  // regular files
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  // Symlinks: the target as it is, 1 to 4095 bytes. Hard links: the path,
  // cleaned, of the entry that it is another name of.
  std::string target;
  // As the kernel names them, sorted by name, each once.
  std::vector<std::pair<std::string, std::string>> xattrs;
  std::string warning;  // what was left out of this entry; mostly empty

  bool is_hard_link() const { return (mode & 0170000) == 0; }
};

// A run of a regular file's bytes; what no run covers is a hole.
struct DataRun {
  uint64_t offset = 0;  // in the file
  ByteSpan bytes;       // valid until the next call of the reader
};

class LayerReader {
 public:
  virtual ~LayerReader() = default;

  // `layer` names the layer in messages; `source` outlives the reader.
  // kNotFound: libarchive is not installed.
  static Result<std::unique_ptr<LayerReader>> Open(ByteSource& source,
                                                   std::string layer);

  // The next entry, its data unread; false at the end of the archive.
  // kInvalid names the layer and the entry; kCorrupt: the tar is cut short;
  // besides, errors of the source. After an error only destruct.
  virtual Result<bool> Next(LayerEntry& entry) = 0;
  // The next run of the entry's data, in order, within its size; false after
  // the last. Errors as Next.
  virtual Result<bool> ReadData(DataRun& run) = 0;
};

}  // namespace morsel
