// SPDX-License-Identifier: Apache-2.0
// A shared library that is loaded on first use. For the few that bring many
// others along (libcurl: 30, libarchive: 12), which every start of a program
// would pay for with milliseconds, whether it needs them or not. The types and
// prototypes are those of the library's own header.
//
// A process that confines itself (base/confine.h) loads what it needs before.
// Thread safety: immutable; a loaded library stays until the process ends.
#pragma once

#include <string>
#include <type_traits>

#include "base/result.h"

namespace morsel {

class SharedLibrary {
 public:
  // `name` with its version ("libcurl.so.4"); `package` is Debian's, for the
  // message. kNotFound: it is not installed; install the package.
  static Result<SharedLibrary> Load(const std::string& name,
                                    const std::string& package);

  // Sets `function` to the library's `symbol`. kNotFound: the installed
  // version has none; it is too old or too new.
  template <typename Function>
  Status Bind(const char* symbol, Function*& function) const {
    static_assert(std::is_function_v<Function>);
    ASSIGN_OR_RETURN(void* const address, Find(symbol));
    function = reinterpret_cast<Function*>(address);
    return Ok();
  }

 private:
  SharedLibrary(std::string name, void* handle)
      : name_(std::move(name)), handle_(handle) {}
  Result<void*> Find(const char* symbol) const;

  std::string name_;
  void* handle_;
};

}  // namespace morsel
