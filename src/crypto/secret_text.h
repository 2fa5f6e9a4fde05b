// SPDX-License-Identifier: Apache-2.0
// A secret that is text, as AWS's keys are: kept as a SecretBuffer is, locked,
// out of core files, and wiped with its last copy. Copies share the memory.
//
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "crypto/secret.h"

namespace morsel {

class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string_view text) {
    SecretBuffer buffer(text.size());
    const ByteSpan bytes = AsBytes(text);
    std::copy(bytes.begin(), bytes.end(), buffer.mutable_bytes().begin());
    buffer_ = std::make_shared<const SecretBuffer>(std::move(buffer));
  }
  // From a place where it was read to, which is wiped.
  static SecretText TakeFrom(std::string& text) {
    SecretText taken(text);
    Wipe({reinterpret_cast<std::byte*>(text.data()), text.size()});
    text.clear();
    return taken;
  }

  bool empty() const { return buffer_ == nullptr || buffer_->size() == 0; }
  // As long as any copy lives. Not to be kept, printed or logged.
  ByteSpan bytes() const {
    return buffer_ == nullptr ? ByteSpan() : buffer_->bytes();
  }

 private:
  std::shared_ptr<const SecretBuffer> buffer_;
};

}  // namespace morsel
