// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace morsel {

void Wipe(MutableByteSpan bytes) {
  if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
}

SecretKey::SecretKey(ByteSpan bytes) {
  CHECK(bytes.size() == kKeySize);
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) {
  Wipe(other.bytes_);
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    Wipe(other.bytes_);
  }
  return *this;
}

SecretKey::~SecretKey() { Wipe(bytes_); }

SecretKey SecretKey::Generate(Random& random) {
  SecretKey key;
  random.Fill(key.bytes_);
  return key;
}

SecretBuffer::SecretBuffer(size_t size) : size_(size) {
  if (size == 0) return;
  void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  data_ = static_cast<std::byte*>(pages);
  // Locking is bounded by RLIMIT_MEMLOCK for those who are not root: without
  // it the secret may be swapped, which is no reason to refuse it.
  static_cast<void>(mlock(pages, size));
  CHECK(madvise(pages, size, MADV_DONTDUMP) == 0);
}

SecretBuffer::SecretBuffer(SecretBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SecretBuffer& SecretBuffer::operator=(SecretBuffer&& other) noexcept {
  // What this held goes with `other`'s end.
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBuffer::~SecretBuffer() {
  if (data_ == nullptr) return;
  Wipe({data_, size_});
  munmap(data_, size_);
}

}  // namespace morsel
