// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace morsel {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxTextBytes = 64 * kMiB;

// Builds our value from nlohmann's events, so that a hostile document is
// stopped at its depth limit and never builds a second tree.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(Json& root) { open_.push_back(&root); }

  bool null() override { return Put(Json()); }
  bool boolean(bool value) override { return Put(Json(value)); }
  bool number_integer(int64_t value) override { return Put(Json(value)); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return Fail("a number is too large");
    return Put(Json(static_cast<int64_t>(value)));
  }
  bool number_float(double value, const std::string& text) override {
    // What is written as an integer but fits none also comes here.
    if (text.find_first_of(".eE") == std::string::npos)
      return Fail("a number is too large");
    return Put(Json(value));
  }
  bool string(std::string& value) override {
    return Put(Json(std::move(value)));
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(Json(Json::Object())); }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override { return Open(Json(Json::Array())); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return Fail("no JSON at byte " + std::to_string(position));
  }

  const std::string& fault() const { return fault_; }

 private:
  Json* Place(Json value) {
    Json& top = *open_.back();
    if (open_.size() == 1) {
      top = std::move(value);
      return &top;
    }
    if (top.AsObject() != nullptr) {
      Json& member = top[key_];
      member = std::move(value);
      return &member;
    }
    top.Append(std::move(value));
    return const_cast<Json*>(&top.AsArray()->back());
  }
  bool Put(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json value) {
    if (open_.size() > kMaxDepth) return Fail("nested too deeply");
    open_.push_back(Place(std::move(value)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  bool Fail(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    return false;
  }

  std::vector<Json*> open_;
  std::string key_;
  std::string fault_;
};

nlohmann::json ToLibrary(const Json& value) {
  if (const bool* b = value.AsBool()) return *b;
  if (const int64_t* i = value.AsInt()) return *i;
  if (const double* d = value.AsDouble()) return *d;
  if (const std::string* s = value.AsString()) return *s;
  if (const Json::Array* array = value.AsArray()) {
    nlohmann::json out = nlohmann::json::array();
    for (const Json& element : *array) out.push_back(ToLibrary(element));
    return out;
  }
  if (const Json::Object* object = value.AsObject()) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [key, member] : *object) out[key] = ToLibrary(member);
    return out;
  }
  return nullptr;
}

Error MemberError(std::string_view key, std::string_view what) {
  return MakeError(Code::kInvalid,
                   "member " + std::string(key) + ": " + std::string(what));
}

}  // namespace

Json::Json(const std::vector<std::string>& values) : value_(Array()) {
  for (const std::string& value : values) Append(value);
}

Json::Json(const std::vector<uint32_t>& values) : value_(Array()) {
  for (const uint32_t value : values) Append(value);
}

Result<Json> Json::Parse(std::string_view text) {
  if (text.size() > kMaxTextBytes)
    return MakeError(Code::kInvalid, "the JSON document is too long");
  Json root;
  Builder builder(root);
  if (!nlohmann::json::sax_parse(text, &builder))
    return MakeError(Code::kInvalid, builder.fault().empty()
                                         ? std::string("no JSON")
                                         : builder.fault());
  return root;
}

std::string Json::Dump(int indent) const {
  return ToLibrary(*this).dump(indent, ' ', false,
                               nlohmann::json::error_handler_t::replace);
}

const Json* Json::Find(std::string_view key) const {
  const Object* object = AsObject();
  if (object == nullptr) return nullptr;
  const auto it = object->find(key);
  return it == object->end() ? nullptr : &it->second;
}

Result<std::string> Json::GetString(std::string_view key) const {
  const Json* member = Find(key);
  if (member == nullptr) return MemberError(key, "missing");
  if (member->AsString() == nullptr) return MemberError(key, "not a string");
  return *member->AsString();
}

Result<int64_t> Json::GetInt(std::string_view key) const {
  const Json* member = Find(key);
  if (member == nullptr) return MemberError(key, "missing");
  if (member->AsInt() == nullptr) return MemberError(key, "not an integer");
  return *member->AsInt();
}

Result<std::vector<std::string>> Json::GetStrings(std::string_view key) const {
  std::vector<std::string> out;
  const Json* member = Find(key);
  if (member == nullptr || member->is_null()) return out;
  if (member->AsArray() == nullptr) return MemberError(key, "not a list");
  for (const Json& element : *member->AsArray()) {
    if (element.AsString() == nullptr)
      return MemberError(key, "not a list of strings");
    out.push_back(*element.AsString());
  }
  return out;
}

Result<std::vector<uint32_t>> Json::GetNumbers(std::string_view key) const {
  std::vector<uint32_t> out;
  const Json* member = Find(key);
  if (member == nullptr || member->is_null()) return out;
  if (member->AsArray() == nullptr) return MemberError(key, "not a list");
  for (const Json& element : *member->AsArray()) {
    const int64_t* number = element.AsInt();
    if (number == nullptr || !std::in_range<uint32_t>(*number))
      return MemberError(key, "not a list of 32-bit numbers");
    out.push_back(static_cast<uint32_t>(*number));
  }
  return out;
}

std::string Json::StringOr(std::string_view key,
                           std::string_view fallback) const {
  const Json* member = Find(key);
  const std::string* text = member == nullptr ? nullptr : member->AsString();
  return text == nullptr ? std::string(fallback) : *text;
}

int64_t Json::IntOr(std::string_view key, int64_t fallback) const {
  const Json* member = Find(key);
  const int64_t* number = member == nullptr ? nullptr : member->AsInt();
  return number == nullptr ? fallback : *number;
}

bool Json::BoolOr(std::string_view key, bool fallback) const {
  const Json* member = Find(key);
  const bool* truth = member == nullptr ? nullptr : member->AsBool();
  return truth == nullptr ? fallback : *truth;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object();
  CHECK(AsObject() != nullptr);
  return std::get<Object>(value_)[std::string(key)];
}

void Json::Append(Json element) {
  if (is_null()) value_ = Array();
  CHECK(AsArray() != nullptr);
  std::get<Array>(value_).push_back(std::move(element));
}

}  // namespace morsel
