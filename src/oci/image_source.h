// SPDX-License-Identifier: Apache-2.0
// Opens an image, wherever it lies, and checks its documents.
//
//   oci:DIR[:TAG]                      an OCI image layout
//   oci-archive:FILE[:TAG]             the same in a tar
//   docker-archive:FILE[:NAME[:TAG]]   what `docker save` writes
//   docker://[HOST/]NAME[:TAG|@DIGEST] a registry, by way of skopeo, which
//                                      knows credentials, mirrors and TLS
//
// Without a TAG there must be one image only. Archives may be compressed.
// A registry on this machine ("localhost", 127.x) may speak plain HTTP, as
// for Docker. Every digest is checked on the way from the index to the
// config; those of layers when they are read (oci/layer_stream.h).
//
// Thread safety: an image is thread-safe once opened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/blob_store.h"

namespace morsel {

struct ImageSourceOptions {
  std::string source;
  std::string platform;  // "linux/arm64[/v8]"; "": of this machine
  // A private folder for what has to be fetched or unpacked; it is left to
  // the caller to remove.
  std::string work_dir;
};

struct ImageLayer {
  std::string digest;   // "sha256:..." of the blob; empty in docker-archive:
  std::string diff_id;  // "sha256:..." of the plain tar
  std::string path;     // in the image's store
  uint64_t size_bytes = 0;  // of the blob

  // For messages: the digest by which people know the layer.
  const std::string& id() const { return digest.empty() ? diff_id : digest; }
};

struct SourceImage {
  // Of the OCI or Docker manifest; in docker-archive:, which has none, of the
  // config (the image id).
  std::string digest;
  std::string config;              // JSON text, verbatim
  std::vector<ImageLayer> layers;  // lowest first
  // What to call the image if nobody says: for registries and saved images
  // their own name; else the name of the folder or file and the TAG ("oci:
  // /x/Apps:py" is "apps:py"; a TAG that is a whole reference is the name).
  std::string suggested_name;
  std::vector<std::string> warnings;
  std::shared_ptr<const BlobStore> store;
};

// kInvalid: no such form of source, several images and no TAG, or documents
// that break their format; kNotFound: no such folder, file, image, tag or
// platform, with what there is instead; kCorrupt: a digest or size is wrong;
// kDenied and kUnavailable: the registry refuses, or does not answer.
Result<SourceImage> OpenImage(const ImageSourceOptions& options);

}  // namespace morsel
