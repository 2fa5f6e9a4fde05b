// SPDX-License-Identifier: Apache-2.0
// A JSON value, its parser and its printer.
//
// The value type is ours and light; parsing is nlohmann-json's, which is seen
// by json.cc alone (it costs 19 s in every file that includes it). Numbers are
// int64 or double; an integer outside int64 is kInvalid. Object keys keep no
// order: printing sorts them, so equal values print equal bytes.
//
// Look-ups on foreign documents go through the checked getters, which name
// the missing or mistyped member.
//
// Thread safety: a value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  Json() = default;  // null
  Json(bool value) : value_(value) {}
  Json(int value) : value_(static_cast<int64_t>(value)) {}
  Json(int64_t value) : value_(value) {}
  Json(uint64_t value) : value_(static_cast<int64_t>(value)) {}
  Json(uint32_t value) : value_(static_cast<int64_t>(value)) {}
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  Json(const std::vector<std::string>& values);
  Json(const std::vector<uint32_t>& values);

  // kInvalid with the place of the fault: no JSON, deeper than 64 levels, or
  // longer than 64 MiB.
  static Result<Json> Parse(std::string_view text);
  // `indent` of -1 prints one line.
  std::string Dump(int indent = -1) const;

  bool is_null() const { return value_.index() == 0; }
  const bool* AsBool() const { return std::get_if<bool>(&value_); }
  const int64_t* AsInt() const { return std::get_if<int64_t>(&value_); }
  const double* AsDouble() const { return std::get_if<double>(&value_); }
  const std::string* AsString() const {
    return std::get_if<std::string>(&value_);
  }
  const Array* AsArray() const { return std::get_if<Array>(&value_); }
  const Object* AsObject() const { return std::get_if<Object>(&value_); }

  // The member, or null if this is no object or has none of that name.
  const Json* Find(std::string_view key) const;
  // Checked: kInvalid "member KEY: ..." if it is missing or of another type.
  Result<std::string> GetString(std::string_view key) const;
  Result<int64_t> GetInt(std::string_view key) const;
  // A list of strings; a missing or null member is an empty list.
  Result<std::vector<std::string>> GetStrings(std::string_view key) const;
  // A list of numbers from 0 to 2^32 - 1; likewise.
  Result<std::vector<uint32_t>> GetNumbers(std::string_view key) const;
  // The member, or `fallback` where it is missing or no string.
  std::string StringOr(std::string_view key, std::string_view fallback) const;
  int64_t IntOr(std::string_view key, int64_t fallback) const;
  bool BoolOr(std::string_view key, bool fallback) const;

  // For building: makes this an object (array) if it is null.
  Json& operator[](std::string_view key);
  void Append(Json element);

  bool operator==(const Json& other) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array,
               Object>
      value_;
};

}  // namespace morsel
