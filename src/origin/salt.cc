// SPDX-License-Identifier: Apache-2.0
#include "origin/salt.h"

#include "crypto/hash.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/records.h"

namespace morsel {
namespace {

constexpr size_t kSaltIdDigits = 16;
constexpr size_t kListPage = 1000;

std::string SaltContext(const std::string& root) { return "root:" + root; }

Result<SecretKey> UnwrapSalt(ObjectStore& store, const std::string& root,
                             const std::string& object, KeyService& keys) {
  ASSIGN_OR_RETURN(const WrappedKey wrapped, ReadWrappedSalt(store, object));
  Result<SecretKey> salt = keys.Unwrap(wrapped, SaltContext(root));
  if (!salt.ok()) return WithNextStep(std::move(salt).error(), object);
  return salt;
}

}  // namespace

Result<WrappedKey> ReadWrappedSalt(ObjectStore& store,
                                   const std::string& object) {
  const Result<Document> document = ReadDocument(store, object);
  if (!document.ok()) return WithNextStep(document.error(), object);
  Result<WrappedKey> wrapped = DecodeWrappedKey(document->json);
  if (!wrapped.ok())
    return WithNextStep(std::move(wrapped).error().Wrap("the origin's " +
                                                        object + " is damaged"),
                        object);
  return wrapped;
}

std::string SaltId(const SecretKey& salt) {
  Sha256 hash;
  hash.Update(AsBytes("morsel-salt-id-1"));
  hash.Update(salt.bytes());
  return ToHex(hash.Finish()).substr(0, kSaltIdDigits);
}

Result<SecretKey> ReadSalt(ObjectStore& store, const std::string& root,
                           KeyService& keys) {
  const std::string key_id = keys.KeyId();
  if (!IsKeyId(key_id))
    return MakeError(Code::kInvalid, "the key service's key id is no id");
  const std::string where = "the salt of the root " + root;
  Result<SecretKey> salt = UnwrapSalt(store, root, SaltKey(root, key_id), keys);
  if (salt.ok()) return salt;
  if (salt.error().code != Code::kNotFound)
    return std::move(salt).error().Wrap(where);
  ASSIGN_OR_RETURN(const ObjectPage page,
                   store.List(SaltFolderKey(root), "", kListPage));
  for (const ObjectPage::Row& row : page.rows) {
    salt = UnwrapSalt(store, root, row.key, keys);
    if (salt.ok()) return salt;
    if (salt.error().code != Code::kDenied)
      return std::move(salt).error().Wrap(where);
  }
  return MakeError(Code::kDenied,
                   "the key " + key_id + " is not admitted to the root " +
                       root +
                       ": someone whose key is must run `morsel roots admit " +
                       root + " KEY_FILE` with this key's file");
}

Status WriteSalt(ObjectStore& store, const std::string& root,
                 const SecretKey& salt, KeyService& keys) {
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   keys.Wrap(salt, SaltContext(root)));
  if (!IsKeyId(wrapped.key_id))
    return MakeError(Code::kInvalid, "the key service's key id is no id");
  return CreateDocument(store, SaltKey(root, wrapped.key_id),
                        EncodeWrappedKey(wrapped));
}

}  // namespace morsel
