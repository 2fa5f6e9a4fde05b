// SPDX-License-Identifier: Apache-2.0
#include "oci/documents.h"

#include <algorithm>
#include <array>

#include "base/json.h"

namespace morsel {
namespace {

Error Invalid(std::string message) {
  return MakeError(Code::kInvalid, std::move(message));
}

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

Status CheckDigest(const std::string& digest) {
  if (digest.starts_with("sha256:") && digest.size() == 71 &&
      std::all_of(digest.begin() + 7, digest.end(), IsHex))
    return Ok();
  return Invalid("the digest \"" + digest.substr(0, 80) +
                 "\" is not SHA-256 (sha256: and 64 hexadecimal digits)");
}

// A member that must be a list of at most `limit`; missing: an empty one.
Result<const Json::Array*> ListOf(const Json& json, std::string_view key,
                                  size_t limit) {
  static const Json::Array empty;
  const Json* const member = json.Find(key);
  if (member == nullptr || member->is_null()) return &empty;
  const Json::Array* const list = member->AsArray();
  if (list == nullptr)
    return Invalid("member " + std::string(key) + ": not a list");
  if (list->size() > limit)
    return Invalid("member " + std::string(key) + ": more than " +
                   std::to_string(limit) + " elements");
  return list;
}

Result<Descriptor> ReadDescriptor(const Json& json) {
  Descriptor out;
  out.media_type = json.StringOr("mediaType", "");
  ASSIGN_OR_RETURN(out.digest, json.GetString("digest"));
  RETURN_IF_ERROR(CheckDigest(out.digest));
  ASSIGN_OR_RETURN(const int64_t size, json.GetInt("size"));
  if (size < 0) return Invalid("member size: negative");
  out.size_bytes = static_cast<uint64_t>(size);
  if (const Json* platform = json.Find("platform");
      platform != nullptr && platform->AsObject() != nullptr) {
    out.platform = Platform{platform->StringOr("os", ""),
                            platform->StringOr("architecture", ""),
                            platform->StringOr("variant", "")};
  }
  if (const Json* annotations = json.Find("annotations"))
    out.ref_name =
        annotations->StringOr("org.opencontainers.image.ref.name", "");
  return out;
}

Status CheckLayerType(const std::string& type) {
  static constexpr std::array<std::string_view, 7> kKnown = {
      "",
      "application/vnd.oci.image.layer.v1.tar",
      "application/vnd.oci.image.layer.v1.tar+gzip",
      "application/vnd.oci.image.layer.v1.tar+zstd",
      "application/vnd.docker.image.rootfs.diff.tar",
      "application/vnd.docker.image.rootfs.diff.tar.gzip",
      "application/vnd.docker.image.rootfs.diff.tar.zstd",
  };
  if (std::find(kKnown.begin(), kKnown.end(), type) != kKnown.end())
    return Ok();
  if (type.ends_with("+encrypted"))
    return Invalid(
        "it is encrypted: decrypt the image first (skopeo copy "
        "--decryption-key)");
  if (type.find("nondistributable") != std::string::npos ||
      type.find("foreign") != std::string::npos)
    return Invalid("it lies outside of the image (" + type +
                   "): rebuild the image with the layer in it");
  return Invalid("\"" + type + "\" is no layer of a container image");
}

Status CheckConfigType(const std::string& type) {
  if (type.empty() || type == "application/vnd.oci.image.config.v1+json" ||
      type == "application/vnd.docker.container.image.v1+json")
    return Ok();
  return Invalid("no container image: its config is a \"" + type + "\"");
}

}  // namespace

Result<bool> IsIndex(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  const bool index = json.Find("manifests") != nullptr;
  const bool manifest =
      json.Find("layers") != nullptr || json.Find("config") != nullptr;
  if (index && manifest)
    return Invalid("it claims to be an index and a manifest at once");
  if (json.Find("fsLayers") != nullptr)
    return Invalid(
        "a manifest of Docker's schema 1: push the image again with a tool "
        "of this decade");
  if (!index && !manifest) return Invalid("neither an index nor a manifest");
  return index;
}

Result<std::vector<Descriptor>> ParseIndex(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  ASSIGN_OR_RETURN(const Json::Array* const list,
                   ListOf(json, "manifests", kMaxIndexEntries));
  std::vector<Descriptor> out;
  for (const Json& element : *list) {
    ASSIGN_OR_RETURN_AS(Descriptor descriptor, ReadDescriptor(element),
                        "manifest " + std::to_string(out.size()));
    out.push_back(std::move(descriptor));
  }
  return out;
}

Result<ManifestDocument> ParseManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  const Json* const config = json.Find("config");
  if (config == nullptr) return Invalid("member config: missing");
  ManifestDocument out;
  ASSIGN_OR_RETURN_AS(out.config, ReadDescriptor(*config), "member config");
  RETURN_IF_ERROR(CheckConfigType(out.config.media_type));
  ASSIGN_OR_RETURN(const Json::Array* const list,
                   ListOf(json, "layers", kMaxLayers));
  for (const Json& element : *list) {
    const std::string where = "layer " + std::to_string(out.layers.size());
    ASSIGN_OR_RETURN_AS(Descriptor layer, ReadDescriptor(element), where);
    RETURN_IF_ERROR_AS(CheckLayerType(layer.media_type),
                       where + " (" + layer.digest + ")");
    out.layers.push_back(std::move(layer));
  }
  return out;
}

Result<ConfigDocument> ParseConfig(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  ConfigDocument out;
  out.platform = {json.StringOr("os", ""), json.StringOr("architecture", ""),
                  json.StringOr("variant", "")};
  const Json* const rootfs = json.Find("rootfs");
  if (rootfs == nullptr) return Invalid("member rootfs: missing");
  ASSIGN_OR_RETURN(out.diff_ids, rootfs->GetStrings("diff_ids"));
  if (out.diff_ids.size() > kMaxLayers)
    return Invalid("more than " + std::to_string(kMaxLayers) + " layers");
  for (const std::string& diff_id : out.diff_ids)
    RETURN_IF_ERROR(CheckDigest(diff_id));
  return out;
}

Result<std::vector<SavedImage>> ParseSavedImages(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  const Json::Array* const list = json.AsArray();
  if (list == nullptr || list->size() > kMaxIndexEntries)
    return Invalid("not a list of images");
  std::vector<SavedImage> out;
  for (const Json& element : *list) {
    SavedImage image;
    ASSIGN_OR_RETURN(image.config, element.GetString("Config"));
    ASSIGN_OR_RETURN(image.tags, element.GetStrings("RepoTags"));
    ASSIGN_OR_RETURN(image.layers, element.GetStrings("Layers"));
    if (image.layers.size() > kMaxLayers)
      return Invalid("more than " + std::to_string(kMaxLayers) + " layers");
    out.push_back(std::move(image));
  }
  return out;
}

}  // namespace morsel
