// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gmock/gmock.h>

namespace morsel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Code CodeOfParsing(std::string_view text) {
  const Result<Json> parsed = Json::Parse(text);
  return parsed.ok() ? Code::kInternal : parsed.error().code;
}

TEST(JsonTest, WhatIsPrintedParsesToAnEqualValue) {
  Json value;
  value["text"] = "quote \" and \xc3\xa9\n";
  value["number"] = int64_t{-5};
  value["real"] = 0.5;
  value["truth"] = true;
  value["nothing"] = Json();
  value["list"] = Json(std::vector<std::string>{"a", "b"});
  value["list"].Append(Json(Json::Object()));
  const Result<Json> back = Json::Parse(value.Dump());
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_TRUE(*back == value);
  EXPECT_TRUE(*Json::Parse(value.Dump(2)) == value);
}

TEST(JsonTest, EqualValuesPrintEqualBytesWhateverTheirOrder) {
  const Json one = Json::Parse(R"({"b":1,"a":{"d":2,"c":3}})").value();
  const Json two = Json::Parse(R"( {"a":{"c":3,"d":2}, "b":1} )").value();
  EXPECT_EQ(one.Dump(), R"({"a":{"c":3,"d":2},"b":1})");
  EXPECT_EQ(one.Dump(), two.Dump());
}

TEST(JsonTest, RefusesWhatIsNoJson) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":1} x", "nul", "\"\xff\"", "{'a':1}"})
    EXPECT_EQ(CodeOfParsing(text), Code::kInvalid) << text;
  EXPECT_THAT(Json::Parse("[1,]").error().message, HasSubstr("byte 4"));
}

TEST(JsonTest, RefusesIntegersThatDoNotFit) {
  EXPECT_EQ(*Json::Parse("9223372036854775807")->AsInt(), INT64_MAX);
  EXPECT_EQ(*Json::Parse("-9223372036854775808")->AsInt(), INT64_MIN);
  for (const char* text : {"9223372036854775808", "-9223372036854775809",
                           "184467440737095516160", "[1e999]"})
    EXPECT_EQ(CodeOfParsing(text), Code::kInvalid) << text;
  EXPECT_EQ(*Json::Parse("1e3")->AsDouble(), 1000.0);
}

TEST(JsonTest, RefusesWhatIsDeeperThan64Levels) {
  const std::string fits = std::string(64, '[') + std::string(64, ']');
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  EXPECT_TRUE(Json::Parse(fits).ok());
  EXPECT_EQ(Json::Parse(deep).error().message, "nested too deeply");
  EXPECT_EQ(CodeOfParsing(std::string(1000000, '[')), Code::kInvalid);
}

TEST(JsonTest, RefusesWhatIsLongerThan64MiB) {
  EXPECT_EQ(CodeOfParsing(std::string(64 * kMiB + 1, ' ')), Code::kInvalid);
}

TEST(JsonTest, CheckedGettersNameTheMemberThatIsAtFault) {
  const Json value =
      Json::Parse(R"({"s":"x","i":3,"l":["a"],"n":null,"m":[1]})").value();
  EXPECT_EQ(value.GetString("s").value(), "x");
  EXPECT_EQ(value.GetInt("i").value(), 3);
  EXPECT_THAT(value.GetStrings("l").value(), ElementsAre("a"));
  EXPECT_THAT(value.GetStrings("n").value(), IsEmpty());
  EXPECT_THAT(value.GetStrings("absent").value(), IsEmpty());
  EXPECT_EQ(value.GetString("i").error().message, "member i: not a string");
  EXPECT_EQ(value.GetInt("absent").error().message, "member absent: missing");
  EXPECT_EQ(value.GetStrings("m").error().code, Code::kInvalid);
  EXPECT_EQ(value.GetStrings("s").error().code, Code::kInvalid);
}

TEST(JsonTest, ListsOfNumbersAreOf32Bits) {
  const Json value = Json::Parse(R"({"good":[0,4294967295],"none":null,
      "big":[4294967296],"negative":[-1],"text":["1"],"no list":1})")
                         .value();
  EXPECT_THAT(value.GetNumbers("good").value(), ElementsAre(0, 4294967295));
  EXPECT_EQ(Json(value.GetNumbers("good").value()), *value.Find("good"));
  EXPECT_THAT(value.GetNumbers("none").value(), IsEmpty());
  EXPECT_THAT(value.GetNumbers("absent").value(), IsEmpty());
  for (const char* key : {"big", "negative", "text", "no list"})
    EXPECT_EQ(value.GetNumbers(key).error().code, Code::kInvalid) << key;
}

TEST(JsonTest, LenientGettersFallBack) {
  const Json value = Json::Parse(R"({"s":"x","i":3,"b":true})").value();
  EXPECT_EQ(value.StringOr("s", "y"), "x");
  EXPECT_EQ(value.StringOr("i", "y"), "y");
  EXPECT_EQ(value.IntOr("i", 9), 3);
  EXPECT_EQ(value.IntOr("absent", 9), 9);
  EXPECT_TRUE(value.BoolOr("b", false));
  EXPECT_EQ(Json(1).Find("x"), nullptr);
}

TEST(JsonTest, AMemberGivenTwiceKeepsTheLast) {
  EXPECT_EQ(Json::Parse(R"({"a":1,"a":2})")->GetInt("a").value(), 2);
}

}  // namespace
}  // namespace morsel
