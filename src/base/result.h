// SPDX-License-Identifier: Apache-2.0
// How Morsel reports failure: Result<T> is a value or an Error, never both.
//
// Codes name what the caller should do, not where the failure arose. Context
// is added on the way up (Error::Wrap) and logged once, where it is handled.
// Exceptions are not used; what a peer, a disk or an image may contain is
// never a CHECK.
//
// Thread safety: values, as thread-safe as an int.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace morsel {

enum class Code {
  kInvalid,      // the caller's input is at fault: mend it (exit code 2 or 1)
  kNotFound,     // ask the next tier, or say that it does not exist (3)
  kExists,       // a conditional write lost: read again and decide
  kCorrupt,      // discard, fetch elsewhere, count (4)
  kUnavailable,  // the other side does not answer: another tier or later (5)
  kTimeout,      // the deadline passed (5)
  kExhausted,    // a limit is reached: shed load or free room (5)
  kDenied,       // a key or a right is missing (1)
  kIo,           // a local system call failed (1)
  kInternal,     // a broken promise of our own code (1)
};

// The stable lower-case word for a code ("not found"), for logs and --json.
std::string_view CodeName(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;

  // The same error with "context: " before its message.
  Error Wrap(std::string_view context) &&;
};

Error MakeError(Code code, std::string message);
// The one place that maps errno to a Code. `what` names the call and its
// object: "open /var/lib/x". ENOSPC and EDQUOT are kExhausted.
Error ErrnoError(int errno_value, std::string_view what);
// The one place that maps a Code to errno, for the kernel.
int CodeToErrno(Code code);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // Require: ok().
  T& value() & {
    CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // Require: !ok().
  const Error& error() const& {
    CHECK(!ok());
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!ok());
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    CHECK(!ok());
    return *std::move(error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;
inline Status Ok() { return {}; }

}  // namespace morsel

#define MORSEL_CONCAT_INNER(a, b) a##b
#define MORSEL_CONCAT(a, b) MORSEL_CONCAT_INNER(a, b)

// Returns the error of `expr` (a Result) to the caller, if it has one.
#define RETURN_IF_ERROR(expr)                             \
  do {                                                    \
    if (auto morsel_status = (expr); !morsel_status.ok()) \
      return std::move(morsel_status).error();            \
  } while (false)

// Like RETURN_IF_ERROR, with context added on the way up.
#define RETURN_IF_ERROR_AS(expr, context)                    \
  do {                                                       \
    if (auto morsel_status = (expr); !morsel_status.ok())    \
      return std::move(morsel_status).error().Wrap(context); \
  } while (false)

// Assigns the value of `expr` (a Result) to `lhs`, or returns its error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(MORSEL_CONCAT(morsel_result_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(result, lhs, expr)      \
  auto result = (expr);                               \
  if (!result.ok()) return std::move(result).error(); \
  lhs = std::move(result).value()

#define ASSIGN_OR_RETURN_AS(lhs, expr, context)                                \
  ASSIGN_OR_RETURN_AS_IMPL(MORSEL_CONCAT(morsel_result_, __LINE__), lhs, expr, \
                           context)
#define ASSIGN_OR_RETURN_AS_IMPL(result, lhs, expr, context)        \
  auto result = (expr);                                             \
  if (!result.ok()) return std::move(result).error().Wrap(context); \
  lhs = std::move(result).value()
