// SPDX-License-Identifier: Apache-2.0
#include "keys/key_service.h"

#include <utility>

namespace morsel {
namespace {

class KeyChain final : public KeyService {
 public:
  KeyChain(std::unique_ptr<KeyService> first,
           std::unique_ptr<KeyService> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  std::string KeyId() const override { return first_->KeyId(); }
  Result<WrappedKey> Wrap(const SecretKey& data_key,
                          std::string_view context) override {
    return first_->Wrap(data_key, context);
  }
  Result<GeneratedKey> Generate(std::string_view context) override {
    return first_->Generate(context);
  }
  Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                           std::string_view context) override {
    Result<SecretKey> key = first_->Unwrap(wrapped, context);
    if (key.ok() || key.error().code != Code::kDenied) return key;
    return second_->Unwrap(wrapped, context);
  }

 private:
  const std::unique_ptr<KeyService> first_;
  const std::unique_ptr<KeyService> second_;
};

}  // namespace

Result<GeneratedKey> KeyService::Generate(std::string_view context) {
  GeneratedKey generated;
  generated.key = SecretKey::Generate(SystemRandom());
  ASSIGN_OR_RETURN(generated.wrapped, Wrap(generated.key, context));
  return generated;
}

std::unique_ptr<KeyService> MakeKeyChain(std::unique_ptr<KeyService> first,
                                         std::unique_ptr<KeyService> second) {
  return std::make_unique<KeyChain>(std::move(first), std::move(second));
}

}  // namespace morsel
