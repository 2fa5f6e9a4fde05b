// SPDX-License-Identifier: Apache-2.0
// Small images and keys for the tests of the origin.
//
// Thread safety: free functions.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "keys/file_key_service.h"
#include "origin/origin.h"
#include "store/test_folder.h"

namespace morsel {

// A key service over a key file of its own.
inline std::unique_ptr<KeyService> MakeTestKeys(const TestFolder& folder,
                                                const std::string& name) {
  const std::string path = folder.path() + "/" + name;
  CHECK(FileKeyService::Create(path, SystemRandom()).ok());
  auto keys = FileKeyService::Open(path);
  CHECK(keys.ok());
  return std::move(keys).value();
}

struct TestImage {
  Manifest manifest;
  SecretKey data_key;
};

// Stores chunks of `chunk_count` pages' length each and makes a manifest of
// them; `seed` tells contents apart. Fails with the store's errors.
inline Result<TestImage> StoreTestImage(Origin& origin,
                                        const WritableRoot& root,
                                        uint32_t chunk_count, uint8_t seed) {
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = root.id;
  contents.salt_id = root.salt_id;
  contents.keys = SecretBuffer(chunk_count * kKeySize);
  contents.config = "{}";
  for (uint32_t i = 0; i < chunk_count; ++i) {
    Bytes bytes((i % 4 + 1) * kPageSize, static_cast<std::byte>(seed));
    StoreLe<uint32_t>(bytes.data(), i);
    ManifestChunk chunk;
    chunk.index = i * 2;
    chunk.stored_length = static_cast<uint32_t>(bytes.size());
    chunk.name = ChunkName(Sha256Of(bytes));
    bool was_absent = false;
    RETURN_IF_ERROR(origin.PutChunk(root.id, chunk.name, bytes, &was_absent));
    contents.chunks.push_back(chunk);
  }
  SecretKey data_key = SecretKey::Generate(SystemRandom());
  ASSIGN_OR_RETURN(Manifest manifest,
                   Manifest::Parse(EncodeManifest(contents, data_key)));
  return TestImage{std::move(manifest), std::move(data_key)};
}

inline const char* TestDigest() {
  return "sha256:"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
}

// All of a conversion's steps on the origin.
inline Result<std::string> PublishTestImage(Origin& origin, KeyService& keys,
                                            const std::string& text_name,
                                            uint32_t chunk_count,
                                            uint8_t seed) {
  ASSIGN_OR_RETURN(const ImageName name, ImageName::Parse(text_name));
  ASSIGN_OR_RETURN(const WritableRoot root, origin.OpenActiveRoot(keys));
  ASSIGN_OR_RETURN(const TestImage image,
                   StoreTestImage(origin, root, chunk_count, seed));
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   keys.Wrap(image.data_key, name.repository));
  RETURN_IF_ERROR(origin.PublishManifest(root.id, image.manifest,
                                         name.repository, wrapped));
  RETURN_IF_ERROR(origin.PublishPointer(
      name,
      {.image_digest = TestDigest(), .manifest_id = image.manifest.id()}));
  return image.manifest.id();
}

}  // namespace morsel
