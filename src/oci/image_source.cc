// SPDX-License-Identifier: Apache-2.0
#include "oci/image_source.h"

#include <utility>

#include "oci/openers.h"

namespace morsel {
namespace {

struct Location {
  std::string transport;  // "oci"
  std::string path;       // up to the first colon; all of a docker://
  std::string tag;        // after it
};

Result<Location> ParseSource(const std::string& source) {
  const size_t colon = source.find(':');
  Location out;
  out.transport = source.substr(0, colon);
  std::string rest = colon == std::string::npos ? "" : source.substr(colon + 1);
  if (out.transport == "docker" && rest.starts_with("//") && rest.size() > 2) {
    out.path = rest.substr(2);
    return out;
  }
  const bool known = out.transport == "oci" || out.transport == "oci-archive" ||
                     out.transport == "docker-archive";
  if (!known || rest.empty())
    return MakeError(Code::kInvalid,
                     "\"" + source +
                         "\" is no image source: oci:DIR[:TAG], "
                         "oci-archive:FILE[:TAG], "
                         "docker-archive:FILE[:NAME:TAG] or docker://NAME");
  const size_t second = rest.find(':');
  out.path = rest.substr(0, second);
  if (second != std::string::npos) out.tag = rest.substr(second + 1);
  return out;
}

Result<WantedPlatform> ParsePlatform(const std::string& text) {
  if (text.empty()) return WantedPlatform{Platform::OfThisMachine(), false};
  ASSIGN_OR_RETURN(Platform platform, Platform::Parse(text));
  return WantedPlatform{std::move(platform), true};
}

}  // namespace

Result<SourceImage> OpenImage(const ImageSourceOptions& options) {
  ASSIGN_OR_RETURN(const Location at, ParseSource(options.source));
  ASSIGN_OR_RETURN(const WantedPlatform wanted,
                   ParsePlatform(options.platform));
  if (at.transport == "docker")
    return OpenRegistry(at.path, options.work_dir, wanted);
  if (at.transport == "oci") {
    ASSIGN_OR_RETURN(std::shared_ptr<const BlobStore> store,
                     OpenFolder(at.path));
    return OpenLayout(std::move(store), at.path, at.tag, wanted);
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const BlobStore> store,
                   OpenArchive(at.path, options.work_dir));
  if (at.transport == "oci-archive")
    return OpenLayout(std::move(store), at.path, at.tag, wanted);
  return OpenSaved(std::move(store), at.path, at.tag, wanted);
}

}  // namespace morsel
