// SPDX-License-Identifier: Apache-2.0
// For tests: tars and OCI layouts written by hand, so that they can be as
// wrong as a test needs them.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace morsel {

// One entry; what a plain header cannot say goes into a pax header.
struct TarEntry {
  std::string path;
  char type = '0';  // 0 file, 1 hard link, 2 symlink, 3 and 4 devices,
                    // 5 directory, 6 fifo
  std::string data;
  std::string link;
  uint32_t mode = 0644;
  uint64_t uid = 0;
  uint64_t gid = 0;
  std::string mtime = "0";
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  // Further pax records ("SCHILY.xattr.user.a").
  std::vector<std::pair<std::string, std::string>> pax;
};

class TarWriter {
 public:
  TarWriter& Add(const TarEntry& entry);
  TarWriter& Dir(const std::string& path, uint32_t mode = 0755) {
    return Add({.path = path, .type = '5', .mode = mode});
  }
  TarWriter& File(const std::string& path, const std::string& data) {
    return Add({.path = path, .data = data});
  }
  TarWriter& Symlink(const std::string& path, const std::string& target) {
    return Add({.path = path, .type = '2', .link = target, .mode = 0777});
  }
  TarWriter& HardLink(const std::string& path, const std::string& target) {
    return Add({.path = path, .type = '1', .link = target});
  }
  // With the marks of the end.
  std::string Finish() const { return bytes_ + std::string(1024, '\0'); }
  // Without them.
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string Gzip(std::string_view plain);
std::string Zstd(std::string_view plain);
// "sha256:..."
std::string DigestText(std::string_view bytes);

struct TestLayer {
  std::string tar;   // plain
  std::string blob;  // as stored
  std::string media_type = "application/vnd.oci.image.layer.v1.tar";
};
TestLayer PlainLayer(std::string tar);
TestLayer GzipLayer(const std::string& tar);
TestLayer ZstdLayer(const std::string& tar);

// Files of an OCI layout by path.
using LayoutFiles = std::map<std::string, std::string>;

// One image with that tag (none if empty), for `architecture`.
LayoutFiles MakeLayout(const std::vector<TestLayer>& layers,
                       const std::string& tag,
                       const std::string& architecture = "amd64");
void WriteFiles(const std::string& folder, const LayoutFiles& files);
std::string TarOf(const LayoutFiles& files);

}  // namespace morsel
