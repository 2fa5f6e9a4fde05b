// SPDX-License-Identifier: Apache-2.0
// The parts of OpenImage (oci/image_source.h), one for each kind of source.
// Errors are those of OpenImage.
//
// Thread safety: free functions.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "oci/documents.h"
#include "oci/image_source.h"
#include "oci/platform.h"

namespace morsel {

struct WantedPlatform {
  Platform platform;
  bool is_explicit = false;  // the user named it: another one is an error
};

// An OCI layout in `store`, which `where` names in messages.
Result<SourceImage> OpenLayout(std::shared_ptr<const BlobStore> store,
                               const std::string& where, const std::string& tag,
                               const WantedPlatform& wanted);

// What `docker save` writes. `reference`: "NAME[:TAG]", or empty.
Result<SourceImage> OpenSaved(std::shared_ptr<const BlobStore> store,
                              const std::string& where,
                              const std::string& reference,
                              const WantedPlatform& wanted);

// Fetches from a registry into `work_dir` by skopeo, and opens that.
Result<SourceImage> OpenRegistry(const std::string& reference,
                                 const std::string& work_dir,
                                 const WantedPlatform& wanted);

// The image of one manifest, whose text is `manifest`. Blobs are named by
// `blob_prefix` and the hexadecimal digits of their digest.
Result<SourceImage> OpenManifestText(std::shared_ptr<const BlobStore> store,
                                     const std::string& blob_prefix,
                                     const std::string& manifest,
                                     const WantedPlatform& wanted);

// Parses the config and fills in what it says: text, diffIDs, and a warning
// if the platform is not the one of this machine. kNotFound if it is not the
// one that the user named.
Status ApplyConfig(std::string config, const WantedPlatform& wanted,
                   SourceImage& image);

// "sha256:..." of a document.
std::string DigestOf(std::string_view text);

}  // namespace morsel
