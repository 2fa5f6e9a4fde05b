// SPDX-License-Identifier: Apache-2.0
// Any bytes as each of an image's JSON documents: index, manifest, config, and
// the list of `docker save`. What is accepted must be within the limits that
// oci/documents.h states, and its digests must be fit for a path.
#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "base/json.h"
#include "oci/documents.h"
#include "sandbox/image_config.h"

namespace morsel {
namespace {

void CheckDigest(const std::string& digest) {
  CHECK(digest.size() == 71 && digest.starts_with("sha256:"));
  CHECK(std::all_of(digest.begin() + 7, digest.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  }));
}

template <typename T>
bool IsFine(const Result<T>& result) {
  if (result.ok()) return true;
  CHECK(result.error().code == Code::kInvalid);
  CHECK(!result.error().message.empty());
  return false;
}

void ParseDocuments(std::string_view text) {
  IsFine(IsIndex(text));
  if (const auto index = ParseIndex(text); IsFine(index)) {
    CHECK(index->size() <= kMaxIndexEntries);
    for (const Descriptor& entry : *index) CheckDigest(entry.digest);
  }
  if (const auto manifest = ParseManifest(text); IsFine(manifest)) {
    CHECK(manifest->layers.size() <= kMaxLayers);
    CheckDigest(manifest->config.digest);
    for (const Descriptor& layer : manifest->layers) CheckDigest(layer.digest);
  }
  if (const auto config = ParseConfig(text); IsFine(config)) {
    CHECK(config->diff_ids.size() <= kMaxLayers);
    for (const std::string& diff_id : config->diff_ids) CheckDigest(diff_id);
  }
  if (const auto saved = ParseSavedImages(text); IsFine(saved)) {
    CHECK(saved->size() <= kMaxIndexEntries);
    for (const SavedImage& image : *saved)
      CHECK(image.layers.size() <= kMaxLayers);
  }
}

// What a container is run by.
void ParseRunConfig(std::string_view text) {
  const auto config = ImageConfig::Parse(text);
  if (!IsFine(config)) return;
  CHECK(config->working_dir.empty() || config->working_dir[0] == '/');
}

// A value that was parsed prints to a text that means the same.
void CheckPrinter(std::string_view text) {
  const Result<Json> json = Json::Parse(text);
  if (!IsFine(json)) return;
  const std::string printed = json->Dump();
  const Result<Json> again = Json::Parse(printed);
  CHECK(again.ok() && again->Dump() == printed);
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text =
      morsel::AsText(std::as_bytes(std::span(data, size)));
  morsel::ParseDocuments(text);
  morsel::ParseRunConfig(text);
  morsel::CheckPrinter(text);
  return 0;
}
