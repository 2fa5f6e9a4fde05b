// SPDX-License-Identifier: Apache-2.0
#include "origin/records.h"

#include <gtest/gtest.h>

#include <random>

namespace morsel {
namespace {

const std::string kId(64, 'b');
const std::string kRoot = "r0123456789ab";

ManifestRecord SomeRecord() {
  return {
      .id = kId,
      .root = kRoot,
      .next_root = "",
      .wrapped_keys = {{"a/b", {"ab", "cdef"}}, {"function:x", {"01", "23"}}},
      .virtual_size = 16 * kGiB,
      .stored_bytes = 4096,
      .chunk_count = 1};
}

RootState SomeState() {
  return {.state = "retired",
          .history = {{"active", 5}, {"retired", 9}},
          .placement = "zone-a",
          .tenant = "own"};
}

PointerState SomePointer() {
  return {.image_digest = "sha256:" + kId,
          .placements = {{"", {kId, ""}}, {"zone-a", {"", kId}}},
          .created_unix_seconds = 7};
}

TEST(Records, ComeBackAsTheyWere) {
  const Json record = EncodeRecord(SomeRecord());
  EXPECT_EQ(EncodeRecord(DecodeRecord(record).value()), record);
  const Json state = EncodeRootState(SomeState());
  EXPECT_EQ(EncodeRootState(DecodeRootState(state).value()), state);
  const Json pointer = EncodePointer(SomePointer());
  EXPECT_EQ(EncodePointer(DecodePointer(pointer).value()), pointer);
  ManifestRecord recorded = SomeRecord();
  recorded.startup_chunks = {5, 0, 4294967295};
  EXPECT_EQ(DecodeRecord(EncodeRecord(recorded))->startup_chunks,
            recorded.startup_chunks);
  ManifestRecord emptied = SomeRecord();
  emptied.root.clear();
  emptied.wrapped_keys.clear();
  EXPECT_EQ(DecodeRecord(EncodeRecord(emptied))->root, "");
  EXPECT_TRUE(DecodePointer(EncodePointer({}))->placements.empty());
}

TEST(Records, ABadStartupProfileIsNone) {
  const Json odd[] = {Json(-1),
                      Json(1.5),
                      Json(true),
                      Json("x"),
                      Json(Json::Object{}),
                      Json(Json::Array{Json(-1)}),
                      Json(Json::Array{Json(1.5)}),
                      Json(Json::Array{Json("1")}),
                      Json(Json::Array{Json(int64_t{1} << 32)}),
                      Json(Json::Array(kMaxStartupChunks + 1, Json(1)))};
  for (const Json& profile : odd) {
    Json json = EncodeRecord(SomeRecord());
    json["startup_chunks"] = profile;
    const Result<ManifestRecord> record = DecodeRecord(json);
    ASSERT_TRUE(record.ok()) << profile.Dump();
    EXPECT_TRUE(record->startup_chunks.empty()) << profile.Dump();
    EXPECT_TRUE(record->has_bad_profile) << profile.Dump();
    EXPECT_EQ(EncodeRecord(*record), EncodeRecord(SomeRecord()));
  }
  EXPECT_FALSE(DecodeRecord(EncodeRecord(SomeRecord()))->has_bad_profile);
}

// Every member in turn is left out and given a value of each other type.
template <typename T>
void ExpectStrict(const Json& good, Result<T> (*decode)(const Json&)) {
  ASSERT_TRUE(decode(good).ok());
  const Json odd[] = {Json(),
                      Json(-1),
                      Json(1.5),
                      Json(true),
                      Json("../x"),
                      Json(""),
                      Json(std::string(5000, 'a')),
                      Json(Json::Array{Json(1)}),
                      Json(Json::Object{{"x", Json(1)}})};
  for (const auto& [name, value] : *good.AsObject()) {
    Json::Object without = *good.AsObject();
    without.erase(name);
    EXPECT_EQ(decode(Json(without)).error().code, Code::kCorrupt) << name;
    size_t refused = 0;
    for (const Json& other : odd) {
      Json changed = good;
      changed[name] = other;
      const Result<T> decoded = decode(changed);
      if (!decoded.ok()) {
        EXPECT_EQ(decoded.error().code, Code::kCorrupt);
        ++refused;
      }
    }
    EXPECT_GE(refused, std::size(odd) - 2) << name;
  }
  Json more = good;
  more["unknown"] = 1;
  EXPECT_EQ(decode(more).error().code, Code::kCorrupt);
  EXPECT_EQ(decode(Json("text")).error().code, Code::kCorrupt);
}

TEST(Records, AreReadStrictly) {
  ExpectStrict(EncodeRecord(SomeRecord()), DecodeRecord);
  ExpectStrict(EncodeRootState(SomeState()), DecodeRootState);
  ExpectStrict(EncodePointer(SomePointer()), DecodePointer);
  ExpectStrict(EncodeWrappedKey({"ab", "cdef"}), DecodeWrappedKey);
  Json state = EncodeRootState(SomeState());
  state["state"] = "active";  // not the last of its history
  EXPECT_FALSE(DecodeRootState(state).ok());
}

TEST(Records, TextOfAnyKindIsDecodedOrRefused) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string good = EncodeRecord(SomeRecord()).Dump();
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good;
    for (size_t edits = random() % 4 + 1; edits > 0; --edits)
      text[random() % text.size()] = static_cast<char>(random());
    const Result<Json> json = Json::Parse(text);
    if (!json.ok()) continue;
    const Result<ManifestRecord> record = DecodeRecord(*json);
    EXPECT_TRUE(!record.ok() || IsManifestId(record->id));
  }
}

TEST(Records, KeysOfPointersNameTheirImage) {
  for (const char* text :
       {"a:1", "a/b/c:latest", "localhost:5000/x.json:y", "a/b.json:c.json"}) {
    const ImageName name = ImageName::Parse(text).value();
    EXPECT_EQ(NameOfPointerKey(PointerKey(name)).value(), name) << text;
  }
  for (const char* key :
       {"images/a.json", "images/a/.json", "images/A/b.json", "images//b.json",
        "images/a/b", "other/a/b.json", "images/a/b:c.json"})
    EXPECT_FALSE(NameOfPointerKey(key).ok()) << key;
}

}  // namespace
}  // namespace morsel
