// SPDX-License-Identifier: Apache-2.0
// The JSON documents of images, as far as Morsel reads them: OCI image spec
// 1.0 index, manifest and config; Docker's manifest list, schema 2 manifest,
// and the manifest.json of `docker save`. Foreign input: checked before use.
//
// Thread safety: values and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/platform.h"

namespace morsel {

// Bytes of one document. Real ones have a few KiB.
inline constexpr uint64_t kMaxDocumentBytes = 8 * 1024 * 1024;
// Layers of one image. Docker makes 127 at most.
inline constexpr size_t kMaxLayers = 500;
inline constexpr size_t kMaxIndexEntries = 10'000;

// A reference to a blob, checked: the digest is SHA-256.
struct Descriptor {
  std::string media_type;  // may be empty
  std::string digest;      // "sha256:" and 64 hexadecimal digits
  uint64_t size_bytes = 0;
  std::optional<Platform> platform;
  std::string ref_name;  // org.opencontainers.image.ref.name

  std::string hex() const { return digest.substr(7); }
};

struct ManifestDocument {
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
};

struct ConfigDocument {
  Platform platform;
  std::vector<std::string> diff_ids;  // of the layers, lowest first
};

// One image in an archive of `docker save`.
struct SavedImage {
  std::string config;               // path in the archive
  std::vector<std::string> tags;    // "python:3"
  std::vector<std::string> layers;  // paths, lowest first
};

// True for an index or manifest list, false for a manifest; by the members,
// since media types may be missing. kInvalid if it is neither or claims to be
// both (CVE-2021-41190).
Result<bool> IsIndex(std::string_view text);

// All: kInvalid with what is wrong, also for digests that are not SHA-256 and
// for more than the limits above.
Result<std::vector<Descriptor>> ParseIndex(std::string_view text);
// Refuses what is no container image, and layers that are encrypted or lie
// outside of the image (foreign, non-distributable).
Result<ManifestDocument> ParseManifest(std::string_view text);
Result<ConfigDocument> ParseConfig(std::string_view text);
Result<std::vector<SavedImage>> ParseSavedImages(std::string_view text);

}  // namespace morsel
