// SPDX-License-Identifier: Apache-2.0
// Names for images that nobody has named (SourceImage::suggested_name).
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>

namespace morsel {

// `path`'s last component without ".tar" and the like, and without what an
// image's name may not have: "/x/My Apps.tar.gz" is "my-apps". With a `tag`:
// "my-apps:TAG", or TAG itself if it is a whole reference ("host/a/b:1").
std::string NameFromPath(std::string_view path, std::string_view tag);

// A registry's reference without its digest: "h:5000/a:1@sha256:..." is
// "h:5000/a:1".
std::string NameFromReference(std::string_view reference);

}  // namespace morsel
