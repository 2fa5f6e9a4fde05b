// SPDX-License-Identifier: Apache-2.0
#include "store/s3_address.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

TEST(S3AddressTest, ReadsPlaceAndOptions) {
  const S3Address address =
      ParseS3Address(
          "s3://my-bucket/a/b/?endpoint=http://127.0.0.1:7480/&region=default"
          "&ca_file=/etc/x%20y&profile=p&timeout=2.5&connections=8"
          "&multipart_bytes=5MiB")
          .value();
  EXPECT_EQ(address.bucket, "my-bucket");
  EXPECT_EQ(address.prefix, "a/b");
  EXPECT_EQ(address.scheme, "http");
  EXPECT_EQ(address.host, "127.0.0.1:7480");
  EXPECT_EQ(address.region, "default");
  EXPECT_TRUE(address.path_style);
  EXPECT_EQ(address.ca_file, "/etc/x y");
  EXPECT_EQ(address.profile, "p");
  EXPECT_EQ(address.timeout_seconds, 2.5);
  EXPECT_EQ(address.connections, 8u);
  EXPECT_EQ(address.multipart_bytes, 5 * kMiB);
}

TEST(S3AddressTest, AmazonIsTheDefaultWithTheBucketInTheHost) {
  const S3Address plain =
      ParseS3Address("s3://bucket?region=eu-west-1").value();
  EXPECT_EQ(plain.scheme + "://" + plain.host,
            "https://s3.eu-west-1.amazonaws.com");
  EXPECT_FALSE(plain.path_style);
  EXPECT_EQ(plain.prefix, "");
  EXPECT_TRUE(ParseS3Address("s3://dotted.bucket")->path_style);
  EXPECT_TRUE(ParseS3Address("s3://bucket?style=path")->path_style);
  EXPECT_FALSE(ParseS3Address("s3://bucket?endpoint=http://h&style=virtual")
                   ->path_style);
}

TEST(S3AddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"s3:",
                           "s3://",
                           "s3://AB",
                           "s3://x",
                           "s3://b_cket",
                           "s3:///prefix",
                           "s3://bucket//x",
                           "s3://bucket/../x",
                           "s3://bucket?what=1",
                           "s3://bucket?endpoint=host:1",
                           "s3://bucket?endpoint=ftp://h",
                           "s3://bucket?endpoint=http://h/path",
                           "s3://bucket?endpoint=http://",
                           "s3://bucket?style=odd",
                           "s3://bucket?timeout=soon",
                           "s3://bucket?timeout=0",
                           "s3://bucket?timeout=nan",
                           "s3://bucket?multipart_bytes=1",
                           "s3://bucket?ca_file=%2",
                           "s3://bucket?ca_file=%zz",
                           "http://bucket"})
    EXPECT_EQ(ParseS3Address(text).error().code, Code::kInvalid) << text;
}

TEST(S3AddressTest, SettingsBecomeOptionsThatTheOriginOverrides) {
  Config config = Config::Load("").value();
  const auto set = [&](const char* key, const char* value) {
    ASSERT_TRUE(config.Set(key, value).ok());
  };
  set("origin", "/a/folder");
  set("s3.endpoint", "http://h:1");
  set("s3.region", "r");
  EXPECT_EQ(OriginAddress(config), "/a/folder");
  set("origin", "s3://bucket/p?region=mine");
  const S3Address address = ParseS3Address(OriginAddress(config)).value();
  EXPECT_EQ(address.region, "mine");
  EXPECT_EQ(address.host, "h:1");
  EXPECT_EQ(address.prefix, "p");
  set("origin", "s3://bucket");
  EXPECT_EQ(ParseS3Address(OriginAddress(config))->region, "r");
}

}  // namespace
}  // namespace morsel
