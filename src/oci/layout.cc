// SPDX-License-Identifier: Apache-2.0
// OCI image layouts: index.json -> (index ->) manifest -> config.
#include <algorithm>
#include <utility>
#include <vector>

#include "crypto/hash.h"
#include "oci/openers.h"
#include "oci/path.h"
#include "oci/suggested_name.h"

namespace morsel {
namespace {

constexpr const char* kBlobPrefix = "blobs/sha256/";
constexpr int kMaxIndexDepth = 4;

// A document whose digest and size are those of its descriptor.
Result<std::string> ReadDocument(const BlobStore& store,
                                 const std::string& blob_prefix,
                                 const Descriptor& descriptor) {
  ASSIGN_OR_RETURN(const FileRange file,
                   store.Open(blob_prefix + descriptor.hex()));
  ASSIGN_OR_RETURN_AS(std::string text, ReadText(file, kMaxDocumentBytes),
                      descriptor.digest);
  const std::string found = DigestOf(text);
  if (found != descriptor.digest || text.size() != descriptor.size_bytes)
    return MakeError(
        Code::kCorrupt,
        "the blob " + descriptor.digest + " has the digest " + found + " and " +
            std::to_string(text.size()) + " bytes (should be " +
            std::to_string(descriptor.size_bytes) + "): copy the image again");
  return text;
}

std::string ListTags(const std::vector<Descriptor>& entries) {
  std::string text;
  for (const Descriptor& entry : entries) {
    if (entry.ref_name.empty()) continue;
    if (text.size() > 1000) return text + ", ...";
    text += (text.empty() ? "" : ", ") + PrintablePath(entry.ref_name);
  }
  return text.empty() ? "none" : text;
}

std::string ListPlatforms(const std::vector<Descriptor>& entries) {
  std::string text;
  for (const Descriptor& entry : entries) {
    if (!entry.platform) continue;
    if (text.size() > 1000) return text + ", ...";
    text +=
        (text.empty() ? "" : ", ") + PrintablePath(entry.platform->ToString());
  }
  return text.empty() ? "none" : text;
}

// The entries of index.json that `tag` means.
Result<std::vector<Descriptor>> ChooseByTag(std::vector<Descriptor> entries,
                                            const std::string& tag,
                                            const std::string& where) {
  if (entries.empty())
    return MakeError(Code::kNotFound, where + " holds no image");
  std::vector<Descriptor> chosen;
  for (const Descriptor& entry : entries)
    if (tag.empty() || entry.ref_name == tag) chosen.push_back(entry);
  if (chosen.empty())
    return MakeError(Code::kNotFound, where + " has no tag " + tag +
                                          "; it has: " + ListTags(entries));
  const auto other = [&chosen](const Descriptor& entry) {
    return entry.ref_name != chosen.front().ref_name;
  };
  if (std::any_of(chosen.begin(), chosen.end(), other))
    return MakeError(Code::kInvalid,
                     where + " holds several images: add \":TAG\", one of " +
                         ListTags(entries));
  return chosen;
}

Result<Descriptor> ChooseByPlatform(const std::vector<Descriptor>& entries,
                                    const WantedPlatform& wanted) {
  // One without a platform says what it is in its config.
  if (entries.size() == 1 && !entries.front().platform) return entries.front();
  for (const Descriptor& entry : entries)
    if (entry.platform && wanted.platform.Accepts(*entry.platform))
      return entry;
  return MakeError(Code::kNotFound,
                   "no image for " + wanted.platform.ToString() +
                       "; there is: " + ListPlatforms(entries));
}

// Down from the entries of an index to the text of one manifest.
Result<std::string> FindManifest(const BlobStore& store,
                                 std::vector<Descriptor> entries,
                                 const WantedPlatform& wanted) {
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    // A single entry may be an index for platforms that it does not name.
    Descriptor chosen = entries.empty() ? Descriptor() : entries.front();
    if (entries.size() != 1 || entries.front().platform) {
      ASSIGN_OR_RETURN(chosen, ChooseByPlatform(entries, wanted));
    }
    ASSIGN_OR_RETURN(std::string text,
                     ReadDocument(store, kBlobPrefix, chosen));
    ASSIGN_OR_RETURN_AS(const bool is_index, IsIndex(text), chosen.digest);
    if (!is_index) return text;
    ASSIGN_OR_RETURN_AS(entries, ParseIndex(text), chosen.digest);
  }
  return MakeError(Code::kInvalid, "indexes are nested more than " +
                                       std::to_string(kMaxIndexDepth) +
                                       " deep");
}

}  // namespace

std::string DigestOf(std::string_view text) {
  return "sha256:" + ToHex(Sha256Of(AsBytes(text)));
}

Status ApplyConfig(std::string config, const WantedPlatform& wanted,
                   SourceImage& image) {
  ASSIGN_OR_RETURN_AS(const ConfigDocument document, ParseConfig(config),
                      "the image's config");
  if (document.diff_ids.size() != image.layers.size())
    return MakeError(
        Code::kInvalid,
        "the config names " + std::to_string(document.diff_ids.size()) +
            " layers and the manifest " + std::to_string(image.layers.size()));
  for (size_t i = 0; i < image.layers.size(); ++i)
    image.layers[i].diff_id = document.diff_ids[i];
  image.config = std::move(config);
  if (wanted.platform.Accepts(document.platform)) return Ok();
  const std::string fault = "the image is for " +
                            PrintablePath(document.platform.ToString()) +
                            ", not for " + wanted.platform.ToString();
  if (wanted.is_explicit) return MakeError(Code::kNotFound, fault);
  image.warnings.push_back(fault);
  return Ok();
}

Result<SourceImage> OpenManifestText(std::shared_ptr<const BlobStore> store,
                                     const std::string& blob_prefix,
                                     const std::string& manifest,
                                     const WantedPlatform& wanted) {
  SourceImage image;
  image.digest = DigestOf(manifest);
  ASSIGN_OR_RETURN_AS(const ManifestDocument document, ParseManifest(manifest),
                      "manifest " + image.digest);
  for (const Descriptor& layer : document.layers) {
    const std::string path = blob_prefix + layer.hex();
    ASSIGN_OR_RETURN(const FileRange blob, store->Open(path));
    if (blob.size_bytes != layer.size_bytes)
      return MakeError(Code::kCorrupt, "the layer " + layer.digest + " has " +
                                           std::to_string(blob.size_bytes) +
                                           " bytes and should have " +
                                           std::to_string(layer.size_bytes) +
                                           ": copy the image again");
    image.layers.push_back({layer.digest, "", path, layer.size_bytes});
  }
  ASSIGN_OR_RETURN(std::string config,
                   ReadDocument(*store, blob_prefix, document.config));
  RETURN_IF_ERROR(ApplyConfig(std::move(config), wanted, image));
  image.store = std::move(store);
  return image;
}

Result<SourceImage> OpenLayout(std::shared_ptr<const BlobStore> store,
                               const std::string& where, const std::string& tag,
                               const WantedPlatform& wanted) {
  ASSIGN_OR_RETURN(const FileRange file, store->Open("index.json"));
  ASSIGN_OR_RETURN_AS(const std::string text, ReadText(file, kMaxDocumentBytes),
                      where + ": index.json");
  ASSIGN_OR_RETURN_AS(std::vector<Descriptor> entries, ParseIndex(text),
                      where + ": index.json");
  ASSIGN_OR_RETURN(entries, ChooseByTag(std::move(entries), tag, where));
  const std::string ref_name = tag.empty() ? entries.front().ref_name : tag;
  ASSIGN_OR_RETURN_AS(const std::string manifest,
                      FindManifest(*store, std::move(entries), wanted), where);
  ASSIGN_OR_RETURN_AS(
      SourceImage image,
      OpenManifestText(std::move(store), kBlobPrefix, manifest, wanted), where);
  image.suggested_name = NameFromPath(where, ref_name);
  return image;
}

}  // namespace morsel
