// SPDX-License-Identifier: Apache-2.0
#include "keys/file_key_service.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/secret_file.h"

namespace morsel {
namespace {

constexpr std::string_view kLinePrefix = "morsel-key-1 ";
constexpr std::string_view kIdLabel = "morsel-key-id-1";
constexpr std::string_view kWrapLabel = "morsel-wrap-1";
constexpr size_t kKeyIdDigits = 16;
constexpr size_t kMaxFileBytes = 64 * kKiB;
constexpr size_t kBlobSize = kGcmNonceSize + kKeySize + kGcmTagSize;

struct NamedKey {
  std::string id;
  SecretKey key;
};

std::string IdOf(const SecretKey& key) {
  Sha256 hash;
  hash.Update(AsBytes(kIdLabel));
  hash.Update(key.bytes());
  return ToHex(hash.Finish()).substr(0, kKeyIdDigits);
}

Bytes AdditionalData(std::string_view context) {
  Bytes bytes = CopyBytes(AsBytes(kWrapLabel));
  const ByteSpan tail = AsBytes(context);
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  return bytes;
}

class FileKeys final : public KeyService {
 public:
  FileKeys(std::string path, std::vector<NamedKey> keys)
      : path_(std::move(path)), keys_(std::move(keys)) {}

  std::string KeyId() const override { return keys_.back().id; }

  Result<WrappedKey> Wrap(const SecretKey& data_key,
                          std::string_view context) override {
    GcmNonce nonce;
    SystemRandom().Fill(nonce);
    const Bytes sealed = AesGcmSeal(keys_.back().key, nonce,
                                    AdditionalData(context), data_key.bytes());
    return WrappedKey{.key_id = keys_.back().id,
                      .blob_hex = ToHex(nonce) + ToHex(sealed)};
  }

  Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                           std::string_view context) override {
    const auto it =
        std::find_if(keys_.begin(), keys_.end(),
                     [&](const auto& k) { return k.id == wrapped.key_id; });
    if (it == keys_.end())
      return MakeError(Code::kDenied,
                       "it is wrapped by the key " + wrapped.key_id +
                           ", which is not in " + path_ +
                           "; name the right file with --key-file");
    return UnwrapWith(it->key, wrapped, context);
  }

 private:
  static Result<SecretKey> UnwrapWith(const SecretKey& key,
                                      const WrappedKey& wrapped,
                                      std::string_view context) {
    Bytes blob(kBlobSize);
    const Status parsed = ParseHex(wrapped.blob_hex, blob);
    if (!parsed.ok())
      return MakeError(Code::kCorrupt,
                       "a wrapped key is damaged: " + parsed.error().message);
    GcmNonce nonce;
    std::copy_n(blob.begin(), kGcmNonceSize, nonce.begin());
    SecretKey data_key;
    const Status opened = AesGcmOpen(key, nonce, AdditionalData(context),
                                     ByteSpan(blob).subspan(kGcmNonceSize),
                                     data_key.mutable_bytes());
    if (!opened.ok())
      return MakeError(Code::kCorrupt,
                       "a wrapping of the key " + wrapped.key_id +
                           " does not fit the name '" + std::string(context) +
                           "': it is damaged, or was put in another's place");
    return data_key;
  }

  const std::string path_;
  const std::vector<NamedKey> keys_;
};

Status CheckAccess(const Fd& file, const std::string& path) {
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return ErrnoError(errno, "stat " + path);
  if (!S_ISREG(info.st_mode))
    return MakeError(Code::kInvalid,
                     "the key file " + path + " is no regular file");
  if ((info.st_mode & 077) != 0)
    return MakeError(Code::kDenied, "the key file " + path +
                                        " can be read by others; 'chmod 600 " +
                                        path + "' and consider it known");
  if (info.st_uid != 0 && info.st_uid != ::geteuid())
    return MakeError(Code::kDenied,
                     "the key file " + path +
                         " belongs to another user; use a file of your own");
  return Ok();
}

Result<NamedKey> ParseLine(std::string_view line) {
  if (line.substr(0, kLinePrefix.size()) != kLinePrefix)
    return MakeError(Code::kInvalid, "no line of a key file");
  NamedKey named;
  RETURN_IF_ERROR(
      ParseHex(line.substr(kLinePrefix.size()), named.key.mutable_bytes()));
  named.id = IdOf(named.key);
  return named;
}

Result<std::vector<NamedKey>> ParseKeys(std::string_view text,
                                        const std::string& path) {
  std::vector<NamedKey> keys;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#') continue;
    ASSIGN_OR_RETURN_AS(
        NamedKey key, ParseLine(line),
        "key file " + path + ", line " + std::to_string(number));
    keys.push_back(std::move(key));
  }
  if (keys.empty())
    return MakeError(Code::kInvalid, "the key file " + path + " has no key");
  return keys;
}

struct KeyFile {
  Fd file;  // locked against others that add
  SecretBuffer text;
  std::vector<NamedKey> keys;
};

Result<KeyFile> ReadKeyFile(const std::string& path) {
  Result<Fd> file = OpenFile(path, O_RDONLY | O_NOCTTY);
  if (!file.ok() && file.error().code == Code::kNotFound)
    return MakeError(Code::kDenied,
                     "there is no key file " + path +
                         "; 'morsel keys create' makes one, --key-file names "
                         "another");
  if (!file.ok()) return std::move(file).error().Wrap("key file");
  RETURN_IF_ERROR(CheckAccess(*file, path));
  KeyFile read;
  read.file = std::move(file).value();
  ASSIGN_OR_RETURN(
      read.text, ReadSecrets(read.file, "the key file " + path, kMaxFileBytes));
  ASSIGN_OR_RETURN(read.keys, ParseKeys(AsText(read.text.bytes()), path));
  return read;
}

// The file, with a lock that others who add wait for. Adding replaces the
// file, so who gets the lock looks again which file has the name.
Result<KeyFile> LockKeyFile(const std::string& path) {
  while (true) {
    ASSIGN_OR_RETURN(KeyFile read, ReadKeyFile(path));
    while (::flock(read.file.get(), LOCK_EX) != 0)
      if (errno != EINTR) return ErrnoError(errno, "lock " + path);
    struct stat locked;
    struct stat named;
    if (::fstat(read.file.get(), &locked) == 0 &&
        ::stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
        locked.st_dev == named.st_dev)
      return read;
  }
}

std::string KeyLine(const SecretKey& key) {
  return std::string(kLinePrefix) + ToHex(key.bytes()) + "\n";
}

void WipeText(std::string& text) {
  Wipe(std::as_writable_bytes(std::span(text.data(), text.size())));
}

// A key that is lost in a power cut takes with it all that it wrapped.
Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos
                                 ? "."
                                 : path.substr(0, std::max<size_t>(slash, 1));
  ASSIGN_OR_RETURN(const Fd fd, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, "sync " + folder);
  return Ok();
}

}  // namespace

Result<std::unique_ptr<KeyService>> FileKeyService::Open(
    const std::string& path) {
  ASSIGN_OR_RETURN(KeyFile read, ReadKeyFile(path));
  return std::unique_ptr<KeyService>(
      std::make_unique<FileKeys>(path, std::move(read.keys)));
}

Status FileKeyService::Create(const std::string& path, Random& random) {
  const SecretKey key = SecretKey::Generate(random);
  std::string text = KeyLine(key);
  // A name of its own first, then a hard link, which fails if the file is
  // there: two that create at once end with one whole file.
  const std::string temporary = path + ".new-" + RandomHex(random, 8);
  const Status written = WriteFileAtomically(temporary, AsBytes(text), 0600);
  WipeText(text);
  RETURN_IF_ERROR_AS(written, "make the key file " + path);
  const int linked = ::link(temporary.c_str(), path.c_str());
  const int reason = errno;
  ::unlink(temporary.c_str());
  if (linked == 0) return SyncFolderOf(path);
  if (reason == EEXIST)
    return MakeError(Code::kExists, "the key file " + path +
                                        " is there already; it was not "
                                        "touched");
  return ErrnoError(reason, "make the key file " + path);
}

Result<std::string> FileKeyService::Add(const std::string& path,
                                        Random& random) {
  ASSIGN_OR_RETURN(const KeyFile old, LockKeyFile(path));
  const SecretKey key = SecretKey::Generate(random);
  std::string line = KeyLine(key);
  const std::string_view text = AsText(old.text.bytes());
  SecretBuffer longer(text.size() + 1 + line.size());
  const MutableByteSpan out = longer.mutable_bytes();
  auto end = std::copy_n(old.text.bytes().begin(), text.size(), out.begin());
  if (!text.ends_with('\n')) *end++ = std::byte{'\n'};
  const ByteSpan added = AsBytes(line);
  end = std::copy(added.begin(), added.end(), end);
  const Status written = WriteFileAtomically(
      path, longer.bytes().first(static_cast<size_t>(end - out.begin())), 0600);
  WipeText(line);
  RETURN_IF_ERROR_AS(written, "add a key to " + path);
  return IdOf(key);
}

Result<std::vector<std::string>> FileKeyService::List(const std::string& path) {
  ASSIGN_OR_RETURN(const KeyFile read, ReadKeyFile(path));
  std::vector<std::string> ids;
  for (const NamedKey& key : read.keys) ids.push_back(key.id);
  return ids;
}

}  // namespace morsel
