// SPDX-License-Identifier: Apache-2.0
#include "sandbox/named_overlay.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/json.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxMetaBytes = 64 * kKiB;
constexpr size_t kMaxNameLength = 128;

Status CheckName(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= kMaxNameLength && name[0] != '.' &&
      name[0] != '-' && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      });
  if (good) return Ok();
  return MakeError(Code::kInvalid,
                   "overlay name '" + name +
                       "': up to 128 letters, digits, '.', '_' and '-' are "
                       "allowed, the first a letter, a digit or '_'");
}

Result<Fd> Lock(const std::string& dir, const std::string& name) {
  ASSIGN_OR_RETURN(Fd lock, OpenFile(dir + "/lock", O_RDWR | O_CREAT, 0600));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return MakeError(Code::kExists, "overlay '" + name +
                                        "' is in use by another device; "
                                        "detach that first");
  return ErrnoError(errno, "lock " + dir + "/lock");
}

SecretBuffer XtsKey(const SecretKey& key) {
  SecretBuffer xts(kXtsKeySize);
  Digest first = HmacSha256(key.bytes(), {AsBytes("morsel-overlay-1")});
  Digest second = HmacSha256(key.bytes(), {AsBytes("morsel-overlay-2")});
  std::copy(first.begin(), first.end(), xts.mutable_bytes().begin());
  std::copy(second.begin(), second.end(),
            xts.mutable_bytes().begin() + kDigestSize);
  Wipe(first);
  Wipe(second);
  return xts;
}

Status WriteMeta(const std::string& file, const std::string& manifest_id,
                 const WrappedKey& wrapped) {
  Json meta;
  meta["manifest_id"] = manifest_id;
  meta["key"]["key_id"] = wrapped.key_id;
  meta["key"]["blob_hex"] = wrapped.blob_hex;
  return WriteFileAtomically(file, AsBytes(meta.Dump(2) + "\n"), 0600);
}

Result<SecretKey> MakeMeta(const std::string& file, const std::string& context,
                           const std::string& manifest_id, KeyService& keys) {
  ASSIGN_OR_RETURN(GeneratedKey made, keys.Generate(context));
  RETURN_IF_ERROR(WriteMeta(file, manifest_id, made.wrapped));
  return std::move(made.key);
}

Result<WrappedKey> WrappedKeyOf(const Json& meta) {
  const Json* wrapped = meta.Find("key");
  if (wrapped == nullptr)
    return MakeError(Code::kInvalid, "member key: missing");
  WrappedKey blob;
  ASSIGN_OR_RETURN(blob.key_id, wrapped->GetString("key_id"));
  ASSIGN_OR_RETURN(blob.blob_hex, wrapped->GetString("blob_hex"));
  return blob;
}

Result<SecretKey> OpenMeta(const std::string& text, const std::string& name,
                           const std::string& context,
                           const std::string& manifest_id, KeyService& keys) {
  ASSIGN_OR_RETURN(const Json meta, Json::Parse(text));
  ASSIGN_OR_RETURN(const std::string base, meta.GetString("manifest_id"));
  if (base != manifest_id)
    return MakeError(Code::kInvalid, "overlay '" + name +
                                         "' was made on manifest " + base +
                                         ", not on " + manifest_id +
                                         "; name that one exactly (NAME@" +
                                         base + "), or take another overlay");
  ASSIGN_OR_RETURN(const WrappedKey wrapped, WrappedKeyOf(meta));
  return keys.Unwrap(wrapped, context);
}

// True if it was wrapped anew. A device that uses the overlay has its key.
Result<bool> RotateOne(const std::string& file, const std::string& context,
                       KeyService& keys) {
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(file, kMaxMetaBytes));
  ASSIGN_OR_RETURN(const Json meta, Json::Parse(AsText(bytes)));
  ASSIGN_OR_RETURN(const std::string manifest, meta.GetString("manifest_id"));
  ASSIGN_OR_RETURN(const WrappedKey old, WrappedKeyOf(meta));
  if (old.key_id == keys.KeyId()) return false;
  const Result<SecretKey> key = keys.Unwrap(old, context);
  if (!key.ok() && key.error().code == Code::kDenied) return false;
  if (!key.ok()) return key.error();
  ASSIGN_OR_RETURN(const WrappedKey fresh, keys.Wrap(*key, context));
  RETURN_IF_ERROR(WriteMeta(file, manifest, fresh));
  return true;
}

}  // namespace

std::string OverlaysDir(const Config& config) {
  return config.StateDir() + "/overlays";
}

Result<uint64_t> RotateOverlayKeys(const Config& config, KeyService& keys) {
  uint64_t count = 0;
  std::error_code error;
  std::filesystem::directory_iterator folder(OverlaysDir(config), error);
  for (; !error && folder != std::filesystem::directory_iterator();
       folder.increment(error)) {
    const std::string file = folder->path().string() + "/meta.json";
    const Result<bool> rotated =
        RotateOne(file, "overlay:" + folder->path().filename().string(), keys);
    if (!rotated.ok() && rotated.error().code == Code::kNotFound) continue;
    if (!rotated.ok()) return Error(rotated.error()).Wrap(file);
    count += *rotated;
  }
  return count;
}

Result<NamedOverlay> TakeNamedOverlay(const Config& config,
                                      const std::string& name,
                                      const std::string& manifest_id,
                                      KeyService& keys) {
  RETURN_IF_ERROR(CheckName(name));
  NamedOverlay overlay;
  overlay.dir = OverlaysDir(config) + "/" + name;
  RETURN_IF_ERROR(MakeDirectories(config.StateDir(), 0755));
  RETURN_IF_ERROR(MakeDirectories(overlay.dir, 0700));
  ASSIGN_OR_RETURN(overlay.lock, Lock(overlay.dir, name));
  const std::string file = overlay.dir + "/meta.json";
  const std::string context = "overlay:" + name;
  const Result<Bytes> meta = ReadWholeFile(file, kMaxMetaBytes);
  if (meta.ok()) {
    ASSIGN_OR_RETURN_AS(
        const SecretKey key,
        OpenMeta(std::string(AsText(*meta)), name, context, manifest_id, keys),
        file);
    overlay.key = XtsKey(key);
    return overlay;
  }
  if (meta.error().code != Code::kNotFound) return meta.error();
  ASSIGN_OR_RETURN(const SecretKey key,
                   MakeMeta(file, context, manifest_id, keys));
  overlay.key = XtsKey(key);
  overlay.is_new = true;
  return overlay;
}

}  // namespace morsel
