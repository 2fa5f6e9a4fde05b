// SPDX-License-Identifier: Apache-2.0
// The manifest: which chunk lies where in an image, and (sealed) with which
// key. The format is docs/formats.md, "Manifest"; paper.md §2 has the idea.
//
//   header | chunk table, sorted by index | sealed part (AES-256-GCM)
//   clear: sizes, root of birth, salt id    secret: key table, OCI config
//
// Only the sealed part is secret; the rest is its additional data, and garbage
// collection reads it with no key. No byte of a manifest ever changes; its id
// is its SHA-256. Parsing takes hostile input: no field is trusted before it
// is checked.
//
// Thread safety: immutable after construction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "chunk/name.h"
#include "crypto/secret.h"

namespace morsel {

// A startup profile, the indexes of the chunks that a start reads, has so many
// at most: 480 MiB of an image.
inline constexpr size_t kMaxStartupChunks = 960;

struct ManifestChunk {
  uint32_t index = 0;          // the chunk begins at index * kChunkSize
  uint32_t stored_length = 0;  // bytes
  ChunkName name;
};

// The clear part of a manifest, checked.
class Manifest {
 public:
  // kCorrupt with what is wrong and at which byte.
  static Result<Manifest> Parse(Bytes bytes);

  // SHA-256 of all bytes, in hexadecimal.
  const std::string& id() const { return id_; }
  uint64_t virtual_size() const { return virtual_size_; }
  const std::string& root_of_birth() const { return root_of_birth_; }
  const std::string& salt_id() const { return salt_id_; }
  // Of the root's list of popular chunks that it was made with; 0: none.
  uint32_t popular_version() const { return popular_version_; }
  size_t chunk_count() const { return chunk_count_; }
  // Sum of the stored lengths.
  uint64_t stored_bytes() const { return stored_bytes_; }
  ManifestChunk ChunkAt(size_t position) const;
  // The position of the chunk with that index, or nothing: it is all zeros.
  std::optional<size_t> FindChunk(uint32_t index) const;
  ByteSpan bytes() const { return bytes_; }

 private:
  friend class OpenManifest;
  Manifest() = default;

  Bytes bytes_;
  std::string id_;
  uint64_t virtual_size_ = 0;
  std::string root_of_birth_;
  std::string salt_id_;
  uint32_t popular_version_ = 0;
  size_t chunk_count_ = 0;
  uint64_t stored_bytes_ = 0;
  size_t table_offset_ = 0;
  size_t sealed_offset_ = 0;
};

// A manifest with its sealed part opened: for the agent and the tool.
class OpenManifest {
 public:
  // kCorrupt if the sealed part does not authenticate under `data_key`.
  static Result<OpenManifest> Open(Manifest manifest,
                                   const SecretKey& data_key);

  const Manifest& manifest() const { return manifest_; }
  // The key of the chunk at `position` of the table: kKeySize bytes.
  ByteSpan KeyAt(size_t position) const;
  // The image's OCI config, JSON text; a secret (its environment may be).
  std::string_view config() const;

 private:
  OpenManifest(Manifest manifest, SecretBuffer sealed)
      : manifest_(std::move(manifest)), sealed_(std::move(sealed)) {}

  Manifest manifest_;
  SecretBuffer sealed_;  // key table, then config
};

// What a manifest is made of.
struct ManifestContents {
  uint64_t virtual_size = 0;
  std::string root_of_birth;
  std::string salt_id;
  uint32_t popular_version = 0;
  std::vector<ManifestChunk> chunks;  // sorted by index
  SecretBuffer keys;                  // kKeySize bytes for each of `chunks`
  std::string config;
};

// The bytes of a manifest, sealed under `data_key`, which must be new.
Bytes EncodeManifest(const ManifestContents& contents,
                     const SecretKey& data_key);

}  // namespace morsel
