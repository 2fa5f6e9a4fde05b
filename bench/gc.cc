// SPDX-License-Identifier: Apache-2.0
// What collecting garbage costs, and how that grows with the number of
// manifests.
//
//   gc build ORIGIN MANIFESTS CHUNKS_EACH
//       an origin of so many images with chunks of their own, of a byte each;
//       every second one is removed, and the root is retired
//   gc pass ORIGIN
//       one pass of a collector, with no waiting times: the first one moves,
//       the second one expires the root, the third one deletes it. One line:
//       seconds, requests of each kind, and the peak memory of this process
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "gc/collector.h"
#include "keys/file_key_service.h"
#include "origin/origin.h"
#include "origin/root_state.h"
#include "store/open_store.h"
#include "store/stats_store.h"

namespace morsel {
namespace {

constexpr const char* kImageDigest =
    "sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Result<Manifest> StoreImage(ObjectStore& store, const WritableRoot& root,
                            uint64_t number, uint64_t chunk_count,
                            const SecretKey& data_key) {
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = root.id;
  contents.salt_id = root.salt_id;
  contents.config = "{}";
  contents.keys = SecretBuffer(chunk_count * kKeySize);
  for (uint64_t i = 0; i < chunk_count; ++i) {
    ManifestChunk chunk;
    chunk.index = static_cast<uint32_t>(i);
    chunk.stored_length = kPageSize;
    chunk.name = ChunkName(
        Sha256Of(AsBytes(std::to_string(number) + "/" + std::to_string(i))));
    RETURN_IF_ERROR(store.Put(ChunkKey(root.id, chunk.name), AsBytes("x")));
    contents.chunks.push_back(chunk);
  }
  return Manifest::Parse(EncodeManifest(contents, data_key));
}

Status Build(ObjectStore& store, uint64_t count, uint64_t chunk_count,
             const std::string& key_path) {
  RETURN_IF_ERROR(FileKeyService::Create(key_path, SystemRandom()));
  ASSIGN_OR_RETURN(const auto keys, FileKeyService::Open(key_path));
  Origin origin(store, SystemClock());
  ASSIGN_OR_RETURN(const WritableRoot root, origin.OpenActiveRoot(*keys));
  for (uint64_t i = 0; i < count; ++i) {
    const SecretKey data_key = SecretKey::Generate(SystemRandom());
    ASSIGN_OR_RETURN(const Manifest manifest,
                     StoreImage(store, root, i, chunk_count, data_key));
    const ImageName name =
        ImageName::Parse("team/image" + std::to_string(i)).value();
    ASSIGN_OR_RETURN(const WrappedKey wrapped,
                     keys->Wrap(data_key, name.repository));
    RETURN_IF_ERROR(
        origin.PublishManifest(root.id, manifest, name.repository, wrapped));
    RETURN_IF_ERROR(origin.PublishPointer(
        name, {.image_digest = kImageDigest, .manifest_id = manifest.id()}));
    if (i % 2 == 1) RETURN_IF_ERROR(origin.RemovePointer(name));
  }
  const auto made = origin.CreateRoot(*keys, SystemRandom(), "", "");
  if (!made.ok()) return made.error();
  return RetireRoot(store, SystemClock(), root.id);
}

// The most that this process has ever had in memory.
uint64_t PeakMemoryKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:"))
      return std::strtoull(line.c_str() + std::strlen("VmHWM:"), nullptr, 10);
  return 0;
}

Status Pass(ObjectStore& store) {
  StatsStore counted(store);
  GcOptions options;
  options.min_retired = options.lease_period = std::chrono::seconds(0);
  const auto begun = SystemClock().Now();
  ASSIGN_OR_RETURN(const GcReport report,
                   CollectGarbage(counted, SystemClock(), options));
  RETURN_IF_ERROR(report.first_error);
  const double seconds =
      std::chrono::duration<double>(SystemClock().Now() - begun).count();
  const RootReport& root = report.roots.front();
  std::printf("%s -> %s: %.1f s, moved %llu, copied %llu, deleted %llu;",
              root.state_before.c_str(), root.state_after.c_str(), seconds,
              static_cast<unsigned long long>(root.moved_manifests),
              static_cast<unsigned long long>(root.copied_chunks),
              static_cast<unsigned long long>(root.deleted_objects));
  uint64_t sum = 0;
  for (size_t op = 0; op < kStoreOpCount; ++op) {
    const uint64_t calls = counted.Of(static_cast<StoreOp>(op)).calls;
    sum += calls;
    if (calls > 0)
      std::printf(" %llu %s", static_cast<unsigned long long>(calls),
                  std::string(StoreOpName(static_cast<StoreOp>(op))).c_str());
  }
  std::printf("; %llu requests, peak %llu KiB\n",
              static_cast<unsigned long long>(sum),
              static_cast<unsigned long long>(PeakMemoryKib()));
  return Ok();
}

Status Run(int argc, char** argv) {
  const std::string action = argc > 2 ? argv[1] : "";
  if (action != "pass" && (action != "build" || argc != 5))
    return MakeError(Code::kInvalid,
                     "usage: gc build ORIGIN MANIFESTS CHUNKS_EACH | gc pass "
                     "ORIGIN");
  ASSIGN_OR_RETURN(const auto store, OpenStore(argv[2], Access::kWrite));
  if (action == "pass") return Pass(*store);
  const char* folder = std::getenv("TMPDIR");
  return Build(*store, std::strtoull(argv[3], nullptr, 10),
               std::strtoull(argv[4], nullptr, 10),
               std::string(folder == nullptr ? "/tmp" : folder) + "/bench-gc-" +
                   RandomHex(SystemRandom(), 4) + ".key");
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  const morsel::Status done = morsel::Run(argc, argv);
  if (done.ok()) return 0;
  std::fprintf(stderr, "gc: %s\n", done.error().message.c_str());
  return 1;
}
