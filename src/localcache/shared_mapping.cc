// SPDX-License-Identifier: Apache-2.0
#include "localcache/shared_mapping.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace morsel {
namespace {

int ProtectionOf(SharedMapping::Access access) {
  return access == SharedMapping::Access::kRead ? PROT_READ
                                                : PROT_READ | PROT_WRITE;
}

}  // namespace

Result<SharedMapping> SharedMapping::Map(int fd, size_t byte_count,
                                         Access access) {
  void* base =
      mmap(nullptr, byte_count, ProtectionOf(access), MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return ErrnoError(errno, "map shared memory");
  SharedMapping mapping;
  mapping.base_ = static_cast<std::byte*>(base);
  mapping.byte_count_ = byte_count;
  return mapping;
}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(byte_count_, other.byte_count_);
  return *this;
}

SharedMapping::~SharedMapping() {
  if (base_ != nullptr) munmap(base_, byte_count_);
}

Status SharedMapping::ReplaceWith(int fd, Access access) {
  const int flags = MAP_SHARED | MAP_FIXED;
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer takes mmap for a write to all of it, and cannot know that
  // the kernel changes each page in one step: go around it.
  const auto result = syscall(SYS_mmap, base_, byte_count_,
                              ProtectionOf(access), flags, fd, 0L);
  const bool failed = result == -1;
#else
  const bool failed = mmap(base_, byte_count_, ProtectionOf(access), flags, fd,
                           0) == MAP_FAILED;
#endif
  if (failed) return ErrnoError(errno, "map shared memory in place");
  return Ok();
}

}  // namespace morsel
