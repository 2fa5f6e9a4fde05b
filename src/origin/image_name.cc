// SPDX-License-Identifier: Apache-2.0
#include "origin/image_name.h"

#include <algorithm>

namespace morsel {
namespace {

constexpr size_t kMaxRepositoryBytes = 255;
constexpr size_t kMaxTagBytes = 128;
constexpr size_t kManifestIdDigits = 64;
constexpr std::string_view kDefaultTag = "latest";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsAlnum(char c) { return IsLower(c) || IsDigit(c); }

// Names come from the command line, so the message shows printable ASCII only.
Error BadName(std::string_view text, std::string_view why) {
  std::string shown;
  for (const char c : text.substr(0, 80))
    shown += c >= ' ' && c <= '~' ? c : '?';
  return MakeError(Code::kInvalid, "the image name \"" + shown +
                                       "\" is refused: " + std::string(why));
}

// [a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*, as the distribution spec has it.
bool IsPathComponent(std::string_view part) {
  if (part.empty() || !IsAlnum(part.front()) || !IsAlnum(part.back()))
    return false;
  for (size_t i = 0; i < part.size();) {
    const size_t begin = i;
    while (i < part.size() && !IsAlnum(part[i])) ++i;
    const std::string_view separator = part.substr(begin, i - begin);
    const bool dashes =
        separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__")
      return false;
    while (i < part.size() && IsAlnum(part[i])) ++i;
  }
  return true;
}

// Host names are the same in any case, but names of images and keys of the
// store are not: so a host is written in lower case.
bool IsHost(std::string_view host) {
  const size_t colon = host.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5 ||
        !std::all_of(port.begin(), port.end(), IsDigit))
      return false;
    host = host.substr(0, colon);
  }
  for (size_t begin = 0; begin <= host.size();) {
    const size_t end = std::min(host.find('.', begin), host.size());
    const std::string_view label = host.substr(begin, end - begin);
    if (label.empty() || !IsAlnum(label.front()) || !IsAlnum(label.back()) ||
        !std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlnum(c) || c == '-'; }))
      return false;
    begin = end + 1;
  }
  return true;
}

bool LooksLikeHost(std::string_view first) {
  return first == "localhost" ||
         first.find_first_of(".:") != std::string_view::npos;
}

bool IsTag(std::string_view tag) {
  const auto is_word = [](char c) {
    return IsAlnum(c) || IsUpper(c) || c == '_';
  };
  return !tag.empty() && tag.size() <= kMaxTagBytes && is_word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) {
           return is_word(c) || c == '.' || c == '-';
         });
}

Status CheckRepository(std::string_view text, std::string_view repository) {
  if (repository.empty()) return BadName(text, "it has no repository");
  if (repository.size() > kMaxRepositoryBytes)
    return BadName(text, "the repository is longer than 255 characters");
  std::string_view path = repository;
  const size_t slash = repository.find('/');
  if (slash != std::string_view::npos &&
      LooksLikeHost(repository.substr(0, slash))) {
    if (!IsHost(repository.substr(0, slash)))
      return BadName(text,
                     "the host must be lower-case labels with dots "
                     "between, and perhaps :PORT");
    path = repository.substr(slash + 1);
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (!IsPathComponent(path.substr(begin, end - begin)))
      return BadName(text,
                     "each part between slashes must be a-z and 0-9, "
                     "with single \".\", \"_\", \"__\" or dashes within");
    begin = end + 1;
  }
  return Ok();
}

}  // namespace

Result<ImageName> ImageName::Parse(std::string_view text) {
  ImageName name;
  std::string_view rest = text;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view id = rest.substr(at + 1);
    if (id.size() != kManifestIdDigits ||
        !std::all_of(id.begin(), id.end(), [](char c) {
          return IsDigit(c) || (c >= 'a' && c <= 'f');
        }))
      return BadName(text,
                     "after \"@\" stands a manifest id, 64 lower-case "
                     "hexadecimal digits");
    name.manifest_id = id;
    rest = rest.substr(0, at);
  }
  name.tag = kDefaultTag;
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  // A colon before the last slash is a port's.
  if (colon != std::string_view::npos &&
      (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    if (!IsTag(name.tag))
      return BadName(text,
                     "a tag is up to 128 letters, digits, \"_\", \".\" "
                     "and \"-\", and does not begin with the last two");
    rest = rest.substr(0, colon);
  }
  RETURN_IF_ERROR(CheckRepository(text, rest));
  name.repository = rest;
  return name;
}

std::string ImageName::ToString() const {
  std::string text = repository;
  if (manifest_id.empty() || tag != kDefaultTag) text += ":" + tag;
  if (!manifest_id.empty()) text += "@" + manifest_id;
  return text;
}

}  // namespace morsel
