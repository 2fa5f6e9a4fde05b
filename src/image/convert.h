// SPDX-License-Identifier: Apache-2.0
// Convert: an OCI image becomes a manifest, chunks and a pointer in the origin
// (the life of an image in docs/ARCHITECTURE.md).
//
//   open -> pass 1: check digests, read entries, spool data -> merge
//        -> ext4 layout -> pass 2: cut, seal, upload -> publish
//
// The plain ext4 has the same bytes in every root and origin; chunk names are
// the same within a root. Memory is bounded: 256 MiB and 250 bytes an entry.
//
// Thread safety: any number of converts run at once, also of the same image
// into the same origin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/progress.h"
#include "base/result.h"
#include "keys/key_service.h"
#include "origin/origin.h"

namespace morsel {

struct ConvertRequest {
  std::string source;    // oci:DIR[:TAG], oci-archive:, docker-archive:,
                         // docker://
  std::string platform;  // "linux/arm64[/v8]"; "": of this machine
  // Empty repository: the name that the source has (tag, or path).
  ImageName name;
  std::string placement;    // label of the root to write to
  std::string tenant;       // class of tenants that the root is for
  std::string spool_dir;    // room for the unpacked image; a private folder in
                            // it is made, and gone afterwards
  size_t thread_count = 1;  // that read, hash and seal
  bool rewrite = false;     // UploadOptions::rewrite
};

struct ConvertReport {
  ImageName name;
  std::string image_digest;
  std::string manifest_id;
  std::string root;
  uint64_t virtual_size = 0;
  uint64_t chunk_count = 0;
  uint64_t stored_bytes = 0;
  uint64_t new_chunk_count = 0;  // not in the root before
  uint64_t new_bytes = 0;
  uint64_t resealed_chunk_count = 0;   // popular ones
  uint64_t rewritten_chunk_count = 0;  // over what the root had
  uint64_t file_bytes = 0;             // visible regular files' content
  uint64_t entry_count = 0;
  std::vector<std::string> warnings;  // e.g. times that were clamped
};

struct ConvertContext {
  Origin& origin;
  KeyService& keys;
  Clock& clock;
  Progress& progress;
};

// kInvalid: the image breaks a format or tries to leave its root; kCorrupt: a
// digest is wrong or a layer is cut short; kNotFound: no such image, tag or
// platform; kExhausted: no room (nothing is published); kDenied: the key may
// not convert into the root; kUnavailable.
Result<ConvertReport> ConvertImage(const ConvertRequest& request,
                                   const ConvertContext& context);

// The plain ext4 of an image written to `path` as a sparse file, without any
// origin: for tests and for people who want the file system. A file that is
// there is replaced in the end, and stays if this fails; kInvalid: it is a
// device, a folder or the like.
Status ExportExt4(const ConvertRequest& request, const std::string& path,
                  Progress& progress);

}  // namespace morsel
