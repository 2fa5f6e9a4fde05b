// SPDX-License-Identifier: Apache-2.0
#include "oci/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <utility>

namespace morsel {
namespace {

// The kernel's words for processors, and Go's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kNames =
    {{{"x86_64", "amd64"},
      {"aarch64", "arm64"},
      {"armv7l", "arm"},
      {"armv6l", "arm"},
      {"i686", "386"},
      {"loongarch64", "loong64"},
      {"mips64", "mips64le"},
      {"ppc64le", "ppc64le"}}};

std::string GoArchitecture(std::string_view word) {
  for (const auto& [kernel, go] : kNames)
    if (word == kernel) return std::string(go);
  return std::string(word);
}

std::string WithoutFirstVariant(const Platform& platform) {
  if (platform.architecture == "amd64" && platform.variant == "v1") return "";
  if (platform.architecture == "arm64" && platform.variant == "v8") return "";
  return platform.variant;
}

}  // namespace

Result<Platform> Platform::Parse(std::string_view text) {
  const auto fault = [text] {
    return MakeError(Code::kInvalid,
                     "the platform \"" + std::string(text) +
                         "\" is not of the form linux/amd64 or linux/arm/v7");
  };
  std::array<std::string, 3> parts;
  size_t count = 0;
  for (size_t begin = 0; begin <= text.size(); ++count) {
    if (count == parts.size()) return fault();
    const size_t end = std::min(text.find('/', begin), text.size());
    parts[count] = std::string(text.substr(begin, end - begin));
    if (parts[count].empty()) return fault();
    begin = end + 1;
  }
  if (count < 2) return fault();
  return Platform{parts[0], GoArchitecture(parts[1]), parts[2]};
}

Platform Platform::OfThisMachine() {
  struct utsname name = {};
  ::uname(&name);
  const std::string machine = name.machine;
  Platform platform{"linux", GoArchitecture(machine), ""};
  if (machine == "armv7l") platform.variant = "v7";
  if (machine == "armv6l") platform.variant = "v6";
  return platform;
}

std::string Platform::ToString() const {
  return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

bool Platform::Accepts(const Platform& offered) const {
  if (os != offered.os || architecture != offered.architecture) return false;
  return variant.empty() ||
         WithoutFirstVariant(*this) == WithoutFirstVariant(offered);
}

}  // namespace morsel
