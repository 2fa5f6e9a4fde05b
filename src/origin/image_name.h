// SPDX-License-Identifier: Apache-2.0
// Names of images: repository names as in OCI references.
//
// `[HOST[:PORT]/]PATH[:TAG][@MANIFEST_ID]`, the path of lower-case components
// as the distribution spec has them. No default host is added: a name is what
// the user says. Anything else is refused, also because names become keys of
// the object store.
//
// Thread safety: values.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace morsel {

struct ImageName {
  std::string repository;   // "library/python", "localhost:5000/app"
  std::string tag;          // "latest" where none was given
  std::string manifest_id;  // empty, or 64 hexadecimal digits: exact

  // kInvalid says which part is wrong and what is allowed.
  static Result<ImageName> Parse(std::string_view text);
  std::string ToString() const;

  bool operator==(const ImageName&) const = default;
};

}  // namespace morsel
