// SPDX-License-Identifier: Apache-2.0
// Registries by way of skopeo, into its `dir:` form, which keeps the manifest
// byte for byte, so that its digest is the registry's.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/process.h"
#include "oci/openers.h"
#include "oci/path.h"
#include "oci/suggested_name.h"

namespace morsel {
namespace {

// As for Docker: a registry on this machine may speak plain HTTP.
bool IsLoopback(const std::string& reference) {
  const std::string host = reference.substr(0, reference.find_first_of("/:"));
  return host == "localhost" || host.starts_with("127.");
}

std::vector<std::string> Command(const std::string& reference,
                                 const std::string& folder,
                                 const WantedPlatform& wanted) {
  std::vector<std::string> argv = {"skopeo", "--override-os",
                                   wanted.platform.os, "--override-arch",
                                   wanted.platform.architecture};
  if (!wanted.platform.variant.empty()) {
    argv.push_back("--override-variant");
    argv.push_back(wanted.platform.variant);
  }
  argv.push_back("copy");
  if (IsLoopback(reference)) argv.push_back("--src-tls-verify=false");
  argv.push_back("docker://" + reference);
  argv.push_back("dir:" + folder);
  return argv;
}

// skopeo exits with 1 whatever went wrong; its words tell.
Code CodeOf(const std::string& complaint) {
  struct Sign {
    std::string_view words;
    Code code;
  };
  static constexpr std::array<Sign, 11> kSigns = {{
      {"manifest unknown", Code::kNotFound},
      {"name unknown", Code::kNotFound},
      {"not found", Code::kNotFound},
      {"no image found in", Code::kNotFound},
      {"no such image", Code::kNotFound},
      {"unauthorized", Code::kDenied},
      {"denied", Code::kDenied},
      {"invalid reference", Code::kInvalid},
      {"invalid image name", Code::kInvalid},
      {"does not match", Code::kCorrupt},
      {"no space left", Code::kExhausted},
  }};
  for (const Sign& sign : kSigns)
    if (complaint.find(sign.words) != std::string::npos) return sign.code;
  return Code::kUnavailable;
}

std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

// Runs skopeo, which ends with this thread; its complaints go to a file in
// memory.
Status RunSkopeo(std::vector<std::string> argv) {
  ASSIGN_OR_RETURN(const Fd output, MakeMemoryFile("skopeo", {}));
  SpawnOptions options;
  options.argv = std::move(argv);
  options.fds = {{output.get(), 1}, {output.get(), 2}};
  options.die_with_parent = true;
  Result<Child> child = Spawn(options);
  if (!child.ok() && child.error().code == Code::kNotFound)
    return MakeError(Code::kNotFound,
                     "docker:// needs the program skopeo: install it");
  if (!child.ok()) return std::move(child).error();
  ASSIGN_OR_RETURN(const int exit_code, WaitChild(*child));
  if (exit_code == 0) return Ok();
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(output.get()));
  std::string text(std::min<uint64_t>(size, 64 * kKiB), '\0');
  RETURN_IF_ERROR(
      ReadFullAt(output.get(), size - text.size(),
                 std::as_writable_bytes(std::span(text.data(), text.size()))));
  const std::string complaint = LastLine(std::move(text));
  return MakeError(CodeOf(complaint), "skopeo: " + complaint);
}

}  // namespace

Result<SourceImage> OpenRegistry(const std::string& reference,
                                 const std::string& work_dir,
                                 const WantedPlatform& wanted) {
  const std::string folder = work_dir + "/registry";
  RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  RETURN_IF_ERROR(RunSkopeo(Command(reference, folder, wanted)));
  ASSIGN_OR_RETURN(std::shared_ptr<const BlobStore> store, OpenFolder(folder));
  ASSIGN_OR_RETURN(const FileRange file, store->Open("manifest.json"));
  ASSIGN_OR_RETURN(const std::string manifest,
                   ReadText(file, kMaxDocumentBytes));
  // Refuses what is no manifest of today with a word of its own.
  RETURN_IF_ERROR_AS(IsIndex(manifest), "docker://" + reference);
  ASSIGN_OR_RETURN_AS(SourceImage image,
                      OpenManifestText(std::move(store), "", manifest, wanted),
                      "docker://" + reference);
  image.suggested_name = NameFromReference(reference);
  return image;
}

}  // namespace morsel
