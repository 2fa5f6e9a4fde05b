// SPDX-License-Identifier: Apache-2.0
// Any bytes as an image's name, as a pointer's key, and as each of the
// origin's JSON objects. What is accepted must come out of its encoder as it
// went in, and names must make keys that cannot leave their folder.
#include <cstdlib>

#include "base/check.h"
#include "origin/records.h"
#include "store/object_store.h"

namespace morsel {
namespace {

// A key that every store takes.
void CheckPointerKey(const std::string& key) {
  CHECK(key.starts_with("images/") && CheckKey(key).ok());
}

void ParseNames(std::string_view text) {
  const Result<ImageName> name = ImageName::Parse(text);
  if (!name.ok()) {
    CHECK(name.error().code == Code::kInvalid);
  } else {
    const Result<ImageName> again = ImageName::Parse(name->ToString());
    CHECK(again.ok() && *again == *name);
    CheckPointerKey(PointerKey(*name));
  }
  const Result<ImageName> named = NameOfPointerKey(text);
  if (named.ok()) CHECK(PointerKey(*named) == text);
}

// `decode` gives what `encode` makes the same document of.
template <typename Decode, typename Encode>
void CheckRoundTrip(const Json& json, Decode decode, Encode encode) {
  const auto decoded = decode(json);
  if (!decoded.ok()) {
    CHECK(decoded.error().code == Code::kCorrupt);
    return;
  }
  const Json encoded = encode(*decoded);
  const auto again = decode(encoded);
  CHECK(again.ok() && encode(*again) == encoded);
}

void ParseObjects(std::string_view text) {
  const Result<Json> json = Json::Parse(text);
  if (!json.ok()) return;
  CheckRoundTrip(*json, DecodeRootState, EncodeRootState);
  CheckRoundTrip(*json, DecodeWrappedKey, EncodeWrappedKey);
  CheckRoundTrip(*json, DecodeRecord, EncodeRecord);
  CheckRoundTrip(*json, DecodePointer, EncodePointer);
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text =
      morsel::AsText(std::as_bytes(std::span(data, size)));
  morsel::ParseNames(text);
  morsel::ParseObjects(text);
  return 0;
}
