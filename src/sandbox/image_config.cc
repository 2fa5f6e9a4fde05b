// SPDX-License-Identifier: Apache-2.0
#include "sandbox/image_config.h"

#include "base/json.h"

namespace morsel {
namespace {

// Programs see C strings: a NUL would cut them in a way nobody meant.
Status RefuseNul(const std::vector<std::string>& texts,
                 std::string_view member) {
  for (const std::string& text : texts)
    if (text.find('\0') != std::string::npos)
      return MakeError(Code::kInvalid,
                       "member " + std::string(member) + " holds a NUL byte");
  return Ok();
}

}  // namespace

Result<ImageConfig> ImageConfig::Parse(std::string_view json_text) {
  ASSIGN_OR_RETURN_AS(const Json json, Json::Parse(json_text),
                      "the image's config");
  ImageConfig image;
  const Json* config = json.Find("config");
  if (config == nullptr || config->is_null()) return image;
  if (config->AsObject() == nullptr)
    return MakeError(Code::kInvalid,
                     "the image's config: member config: no object");
  ASSIGN_OR_RETURN_AS(image.env, config->GetStrings("Env"),
                      "the image's config");
  ASSIGN_OR_RETURN_AS(image.entrypoint, config->GetStrings("Entrypoint"),
                      "the image's config");
  ASSIGN_OR_RETURN_AS(image.cmd, config->GetStrings("Cmd"),
                      "the image's config");
  image.user = config->StringOr("User", "");
  image.working_dir = config->StringOr("WorkingDir", "");
  RETURN_IF_ERROR(RefuseNul(image.env, "Env"));
  RETURN_IF_ERROR(RefuseNul(image.entrypoint, "Entrypoint"));
  RETURN_IF_ERROR(RefuseNul(image.cmd, "Cmd"));
  RETURN_IF_ERROR(RefuseNul({image.user}, "User"));
  RETURN_IF_ERROR(RefuseNul({image.working_dir}, "WorkingDir"));
  if (!image.working_dir.empty() && image.working_dir[0] != '/')
    image.working_dir.insert(0, "/");
  return image;
}

}  // namespace morsel
