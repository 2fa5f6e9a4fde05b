// SPDX-License-Identifier: Apache-2.0
// What `docker save` writes: manifest.json names configs and layers by their
// paths in the archive; only the config's name tells a digest.
#include <algorithm>
#include <utility>
#include <vector>

#include "oci/openers.h"
#include "oci/path.h"
#include "oci/suggested_name.h"

namespace morsel {
namespace {

// Docker leaves these out of what it shows.
std::string Familiar(std::string name) {
  for (const std::string_view prefix : {"docker.io/", "library/"})
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  const size_t slash = name.rfind('/');
  const bool tagged = name.find(':', slash == std::string::npos ? 0 : slash) !=
                      std::string::npos;
  return tagged ? name : name + ":latest";
}

std::string ListTags(const std::vector<SavedImage>& images) {
  std::string text;
  for (const SavedImage& image : images)
    for (const std::string& tag : image.tags)
      if (text.size() < 1000)
        text += (text.empty() ? "" : ", ") + PrintablePath(tag);
  return text.empty() ? "none" : text;
}

Result<SavedImage> Choose(const std::vector<SavedImage>& images,
                          const std::string& where,
                          const std::string& reference) {
  if (reference.empty()) {
    if (images.size() == 1) return images.front();
    return MakeError(images.empty() ? Code::kNotFound : Code::kInvalid,
                     where + " holds " + std::to_string(images.size()) +
                         " images: add \":NAME:TAG\", one of " +
                         ListTags(images));
  }
  for (const SavedImage& image : images)
    for (const std::string& tag : image.tags)
      if (Familiar(tag) == Familiar(reference)) return image;
  return MakeError(Code::kNotFound, where + " has no image " + reference +
                                        "; it has: " + ListTags(images));
}

// "<64 hex>.json" and "blobs/sha256/<64 hex>" tell the config's digest.
Status CheckConfigName(const std::string& path, const std::string& digest) {
  std::string name(Split(path).name);
  if (name.ends_with(".json")) name.resize(name.size() - 5);
  const bool is_hex =
      name.size() == 64 &&
      name.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex || "sha256:" + name == digest) return Ok();
  return MakeError(Code::kCorrupt, "the config " + path + " has the digest " +
                                       digest + ": save the image again");
}

}  // namespace

Result<SourceImage> OpenSaved(std::shared_ptr<const BlobStore> store,
                              const std::string& where,
                              const std::string& reference,
                              const WantedPlatform& wanted) {
  ASSIGN_OR_RETURN(const FileRange file, store->Open("manifest.json"));
  ASSIGN_OR_RETURN_AS(const std::string text, ReadText(file, kMaxDocumentBytes),
                      where + ": manifest.json");
  ASSIGN_OR_RETURN_AS(const std::vector<SavedImage> images,
                      ParseSavedImages(text), where + ": manifest.json");
  ASSIGN_OR_RETURN(const SavedImage chosen, Choose(images, where, reference));
  SourceImage image;
  for (const std::string& path : chosen.layers) {
    ASSIGN_OR_RETURN(const FileRange blob, store->Open(path));
    image.layers.push_back({"", "", path, blob.size_bytes});
  }
  ASSIGN_OR_RETURN(const FileRange config, store->Open(chosen.config));
  ASSIGN_OR_RETURN_AS(std::string config_text,
                      ReadText(config, kMaxDocumentBytes),
                      where + ": the config");
  image.digest = DigestOf(config_text);
  RETURN_IF_ERROR_AS(CheckConfigName(chosen.config, image.digest), where);
  RETURN_IF_ERROR_AS(ApplyConfig(std::move(config_text), wanted, image), where);
  image.suggested_name = !reference.empty()     ? reference
                         : !chosen.tags.empty() ? Familiar(chosen.tags.front())
                                                : NameFromPath(where, "");
  image.store = std::move(store);
  return image;
}

}  // namespace morsel
