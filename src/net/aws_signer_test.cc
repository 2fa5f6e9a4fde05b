// SPDX-License-Identifier: Apache-2.0
// Against the values that AWS publishes: the examples of the S3 API reference
// ("Authenticating Requests: Using the Authorization Header") and of the
// Signature Version 4 test suite.
#include "net/aws_signer.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

constexpr int64_t kMay2013 = 1369353600;     // 2013-05-24T00:00:00Z
constexpr int64_t kAugust2015 = 1440938160;  // 2015-08-30T12:36:00Z

std::string SignatureOf(const HttpRequest& request) {
  for (const auto& [name, value] : request.headers)
    if (name == "authorization") return value.substr(value.rfind('=') + 1);
  return "";
}

std::string SignS3(AwsRequest request) {
  request.host = "examplebucket.s3.amazonaws.com";
  return SignatureOf(
      SignAwsRequest(request, {"us-east-1", "s3"},
                     {"AKIAIOSFODNN7EXAMPLE",
                      SecretText("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")},
                     kMay2013));
}

std::string SignSuite(AwsRequest request, const std::string& service) {
  if (request.host.empty()) request.host = "example.amazonaws.com";
  return SignatureOf(SignAwsRequest(
      request, {"us-east-1", service},
      {"AKIDEXAMPLE", SecretText("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")},
      kAugust2015));
}

TEST(AwsSignerTest, SignsTheExamplesOfTheS3Reference) {
  AwsRequest get;
  get.path = "/test.txt";
  get.headers = {{"Range", "bytes=0-9"}};
  EXPECT_EQ(SignS3(get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

  AwsRequest put;
  put.method = "PUT";
  put.path = "/test$file.text";
  put.headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  put.body = AsBytes("Welcome to Amazon S3.");
  EXPECT_EQ(SignS3(put),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

  AwsRequest lifecycle;
  lifecycle.query = {{"lifecycle", ""}};
  EXPECT_EQ(SignS3(lifecycle),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

  AwsRequest list;
  list.query = {{"prefix", "J"}, {"max-keys", "2"}};  // unsorted
  EXPECT_EQ(SignS3(list),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(AwsSignerTest, SignsTheTestSuite) {
  AwsRequest vanilla;
  EXPECT_EQ(SignSuite(vanilla, "service"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");

  AwsRequest order;
  order.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  EXPECT_EQ(SignSuite(order, "service"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");

  AwsRequest post;
  post.method = "POST";
  EXPECT_EQ(SignSuite(post, "service"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");

  AwsRequest users;
  users.host = "iam.amazonaws.com";
  users.query = {{"Version", "2010-05-08"}, {"Action", "ListUsers"}};
  users.headers = {
      {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  EXPECT_EQ(SignSuite(users, "iam"),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(AwsSignerTest, SortsAndEncodesTheUrlAsItSigns) {
  AwsRequest request;
  request.host = "h:1";
  request.scheme = "http";
  request.path = "/b/a b+c";
  request.query = {{"prefix", "k/&"}, {"list-type", "2"}};
  const HttpRequest sent =
      SignAwsRequest(request, {"r", "s3"}, {"a", SecretText("b"), "token"}, 0);
  EXPECT_EQ(sent.url, "http://h:1/b/a%20b%2Bc?list-type=2&prefix=k%2F%26");
  bool has_token = false;
  for (const auto& [name, value] : sent.headers)
    has_token |= name == "x-amz-security-token" && value == "token";
  EXPECT_TRUE(has_token);
}

}  // namespace
}  // namespace morsel
