// SPDX-License-Identifier: Apache-2.0
#include "oci/suggested_name.h"

#include <filesystem>

namespace morsel {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::string_view WithoutEndings(std::string_view name) {
  for (const std::string_view ending :
       {".gz", ".zst", ".tgz", ".tar", ".oci"}) {
    if (name.size() > ending.size() && name.ends_with(ending))
      name.remove_suffix(ending.size());
  }
  return name;
}

// Lower-case letters and digits, single '-' between them.
std::string Clean(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (IsAlphanumeric(c))
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "image" : out;
}

}  // namespace

std::string NameFromPath(std::string_view path, std::string_view tag) {
  if (tag.find_first_of(":/") != std::string_view::npos)
    return NameFromReference(tag);
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::absolute(path, ignored);
  whole = whole.lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  const std::string name = Clean(WithoutEndings(whole.filename().string()));
  return tag.empty() ? name : name + ":" + std::string(tag);
}

std::string NameFromReference(std::string_view reference) {
  return std::string(reference.substr(0, reference.find('@')));
}

}  // namespace morsel
