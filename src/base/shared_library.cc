// SPDX-License-Identifier: Apache-2.0
#include "base/shared_library.h"

#include <dlfcn.h>

namespace morsel {
namespace {

std::string LastFault() {
  const char* const text = ::dlerror();
  return text == nullptr ? "no reason given" : text;
}

}  // namespace

Result<SharedLibrary> SharedLibrary::Load(const std::string& name,
                                          const std::string& package) {
  void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return MakeError(Code::kNotFound, "load " + name + ": " + LastFault() +
                                          "; install the package " + package);
  return SharedLibrary(name, handle);
}

Result<void*> SharedLibrary::Find(const char* symbol) const {
  void* const address = ::dlsym(handle_, symbol);
  if (address == nullptr)
    return MakeError(Code::kNotFound, name_ + ": " + LastFault());
  return address;
}

}  // namespace morsel
