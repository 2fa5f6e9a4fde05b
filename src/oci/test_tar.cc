// SPDX-License-Identifier: Apache-2.0
#include "oci/test_tar.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/check.h"
#include "base/json.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

void Pad(std::string& bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512, '\0');
}

void PutOctal(std::string& header, size_t offset, size_t width,
              uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%0*llo", static_cast<int>(width - 1),
                static_cast<unsigned long long>(value));
  header.replace(offset, width - 1, text, width - 1);
}

std::string Header(const TarEntry& entry, std::string_view name,
                   uint64_t size) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  PutOctal(header, 100, 8, entry.mode);
  PutOctal(header, 108, 8, entry.uid & 07777777);
  PutOctal(header, 116, 8, entry.gid & 07777777);
  PutOctal(header, 124, 12, size);
  PutOctal(header, 136, 12, 0);
  header.replace(148, 8, "        ");
  header[156] = entry.type;
  const std::string link = entry.link.substr(0, 100);
  header.replace(157, link.size(), link);
  header.replace(257, 8, std::string("ustar\00000", 8));
  PutOctal(header, 329, 8, entry.device_major);
  PutOctal(header, 337, 8, entry.device_minor);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  PutOctal(header, 148, 7, sum);
  return header;
}

std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string body = " " + key + "=" + value + "\n";
  size_t length = body.size() + 1;
  while (std::to_string(length).size() + body.size() != length) ++length;
  return std::to_string(length) + body;
}

Json DescriptorOf(const std::string& type, const std::string& bytes) {
  Json json;
  json["mediaType"] = type;
  json["digest"] = DigestText(bytes);
  json["size"] = static_cast<int64_t>(bytes.size());
  return json;
}

std::string BlobPath(const std::string& bytes) {
  return "blobs/sha256/" + DigestText(bytes).substr(7);
}

}  // namespace

TarWriter& TarWriter::Add(const TarEntry& entry) {
  std::string pax;
  if (entry.path.size() > 99) pax += PaxRecord("path", entry.path);
  if (entry.link.size() > 99) pax += PaxRecord("linkpath", entry.link);
  if (entry.mtime != "0") pax += PaxRecord("mtime", entry.mtime);
  if (entry.uid > 07777777) pax += PaxRecord("uid", std::to_string(entry.uid));
  if (entry.gid > 07777777) pax += PaxRecord("gid", std::to_string(entry.gid));
  for (const auto& [key, value] : entry.pax) pax += PaxRecord(key, value);
  if (!pax.empty()) {
    bytes_ += Header({.path = "pax", .type = 'x'}, "pax", pax.size()) + pax;
    Pad(bytes_);
  }
  bytes_ +=
      Header(entry, entry.path.substr(0, 99), entry.data.size()) + entry.data;
  Pad(bytes_);
  return *this;
}

std::string Gzip(std::string_view plain) {
  auto stream = std::make_unique<isal_zstream>();
  isal_deflate_init(stream.get());
  std::string out(plain.size() + plain.size() / 8 + 1024, '\0');
  std::string in(plain);
  stream->next_in = reinterpret_cast<uint8_t*>(in.data());
  stream->avail_in = static_cast<uint32_t>(in.size());
  stream->next_out = reinterpret_cast<uint8_t*>(out.data());
  stream->avail_out = static_cast<uint32_t>(out.size());
  stream->gzip_flag = IGZIP_GZIP;
  stream->end_of_stream = 1;
  CHECK(isal_deflate(stream.get()) == COMP_OK);
  out.resize(stream->total_out);
  return out;
}

std::string Zstd(std::string_view plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  const size_t size =
      ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1);
  CHECK(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

std::string DigestText(std::string_view bytes) {
  return "sha256:" + ToHex(Sha256Of(AsBytes(bytes)));
}

TestLayer PlainLayer(std::string tar) {
  return {tar, tar, "application/vnd.oci.image.layer.v1.tar"};
}
TestLayer GzipLayer(const std::string& tar) {
  return {tar, Gzip(tar), "application/vnd.oci.image.layer.v1.tar+gzip"};
}
TestLayer ZstdLayer(const std::string& tar) {
  return {tar, Zstd(tar), "application/vnd.oci.image.layer.v1.tar+zstd"};
}

LayoutFiles MakeLayout(const std::vector<TestLayer>& layers,
                       const std::string& tag,
                       const std::string& architecture) {
  LayoutFiles files;
  Json config;
  config["os"] = "linux";
  config["architecture"] = architecture;
  config["rootfs"]["type"] = "layers";
  config["rootfs"]["diff_ids"] = Json::Array();
  Json manifest;
  manifest["schemaVersion"] = 2;
  manifest["layers"] = Json::Array();
  for (const TestLayer& layer : layers) {
    config["rootfs"]["diff_ids"].Append(DigestText(layer.tar));
    manifest["layers"].Append(DescriptorOf(layer.media_type, layer.blob));
    files[BlobPath(layer.blob)] = layer.blob;
  }
  const std::string config_text = config.Dump();
  files[BlobPath(config_text)] = config_text;
  manifest["config"] =
      DescriptorOf("application/vnd.oci.image.config.v1+json", config_text);
  const std::string manifest_text = manifest.Dump();
  files[BlobPath(manifest_text)] = manifest_text;
  Json entry =
      DescriptorOf("application/vnd.oci.image.manifest.v1+json", manifest_text);
  if (!tag.empty())
    entry["annotations"]["org.opencontainers.image.ref.name"] = tag;
  Json index;
  index["schemaVersion"] = 2;
  index["manifests"].Append(entry);
  files["index.json"] = index.Dump();
  files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
  return files;
}

void WriteFiles(const std::string& folder, const LayoutFiles& files) {
  for (const auto& [path, bytes] : files) {
    const std::filesystem::path whole = std::filesystem::path(folder) / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary) << bytes;
  }
}

std::string TarOf(const LayoutFiles& files) {
  TarWriter tar;
  for (const auto& [path, bytes] : files) tar.File(path, bytes);
  return tar.Finish();
}

}  // namespace morsel
