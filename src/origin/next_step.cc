// SPDX-License-Identifier: Apache-2.0
#include "origin/next_step.h"

#include <algorithm>
#include <string>

#include "origin/records.h"

namespace morsel {
namespace {

constexpr std::string_view kNewerMorsel = "use a newer one";
constexpr std::string_view kRestore = "restore it from a copy of the origin";

// "roots/<root>/REST"
std::string StepInRoot(const std::string& root, std::string_view rest) {
  if (rest == "state.json")
    return std::string(kRestore) +
           ", or write it anew as that of an active root, in which nothing is "
           "deleted (docs/formats.md has the form)";
  if (rest.starts_with("salts/"))
    return std::string(kRestore) +
           "; without one, 'morsel roots new' and then 'morsel roots retire " +
           root + "' have converts go on in another root";
  if (rest == "popular")
    return "delete it and roots/" + root +
           "/counted.json: the next pass of the collector makes it anew";
  if (rest == "counted.json")
    return "delete it: the next pass of the collector makes it anew";
  return "convert its image again, which publishes it anew, or " +
         std::string(kRestore);
}

std::string StepFor(std::string_view key) {
  const auto name = NameOfPointerKey(key);
  if (name.ok()) return "'morsel rm " + name->ToString() + "' removes it";
  if (key.starts_with("manifests/"))
    return std::string(kRestore) +
           ", or convert its image again, which gets another one, and then "
           "delete this";
  if (key == "roots/first.json")
    return std::string(kRestore) +
           ", or delete it: it is needed only until the first root is there";
  if (key.starts_with("alarms/"))
    return "it counts as an alarm: delete it when you know what has read a "
           "root that is expired";
  if (!key.starts_with("roots/")) return std::string(kRestore);
  key.remove_prefix(std::string_view("roots/").size());
  const size_t slash = std::min(key.find('/'), key.size());
  return StepInRoot(std::string(key.substr(0, slash)),
                    key.substr(std::min(slash + 1, key.size())));
}

}  // namespace

Error WithNextStep(Error error, std::string_view key) {
  if (error.code == Code::kCorrupt && !error.message.ends_with(kNewerMorsel))
    error.message += "; " + StepFor(key);
  return error;
}

}  // namespace morsel
