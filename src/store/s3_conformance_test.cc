// SPDX-License-Identifier: Apache-2.0
// S3Store against the real service of tests/rgw.sh; the faults of services are
// in s3_store_test.cc.
#include <gtest/gtest.h>

#include "store/test_s3.h"

namespace morsel {
namespace {

class RealS3Test : public testing::Test {
 protected:
  const TestS3 s3_ = TestS3::Find().value();
  RetryBudget retries_{RetryOptions{}};

  Status TryToPut(S3Address address, S3Store::Parts parts) {
    ASSIGN_OR_RETURN(const auto store,
                     S3Store::Open(address, Access::kWrite, std::move(parts)));
    return store->Put("k", AsBytes("x"));
  }
};

TEST_F(RealS3Test, StoresALongObjectInParts) {
  const auto store = s3_.Store("&multipart_bytes=5MiB");
  Bytes bytes(11 * kMiB + 17);
  SystemRandom().Fill(bytes);
  ASSERT_TRUE(store->Put("long", bytes).ok());
  const Result<ObjectData> read = store->Get("long", 0, UINT64_MAX);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->bytes == bytes);
  const Result<ObjectData> part = store->Get("long", 10 * kMiB, kMiB);
  ASSERT_TRUE(part.ok());
  EXPECT_TRUE(std::equal(part->bytes.begin(), part->bytes.end(),
                         bytes.begin() + 10 * kMiB));
  EXPECT_EQ(part->info.size_bytes, bytes.size());
  // Conditions hold for such an object too.
  EXPECT_EQ(store->PutIfAbsent("long", AsBytes("x")).error().code,
            Code::kExists);
  EXPECT_TRUE(
      store->ReplaceIfUnchanged("long", AsBytes("x"), part->info.version).ok());
}

TEST_F(RealS3Test, ListsThousandsByItsOwnPages) {
  const auto store = s3_.Store();
  std::vector<std::string> keys;
  for (int i = 0; i < 1100; ++i) {
    keys.push_back("k/" + std::to_string(10'000 + i));
    ASSERT_TRUE(store->Put(keys.back(), AsBytes("x")).ok());
  }
  const Result<ObjectPage> all = store->List("k/", "", 5000);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->rows.size(), keys.size());
  EXPECT_FALSE(all->more);
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(all->rows[i].key, keys[i]);
}

TEST_F(RealS3Test, NamesWhatIsWrong) {
  S3Address address = s3_.Address();
  address.bucket = "no-such-bucket";
  Status put = TryToPut(address, s3_.Parts(retries_));
  EXPECT_EQ(put.error().code, Code::kInvalid);
  EXPECT_NE(put.error().message.find("no bucket no-such-bucket"),
            std::string::npos)
      << put.error().message;

  const auto with = [&](const std::string& id, const std::string& secret) {
    S3Store::Parts parts = s3_.Parts(retries_);
    parts.credentials = MakeAwsCredentialSource(
        {.profile = "",
         .environment = [id, secret](const std::string& name)
             -> std::optional<std::string> {
           if (name == "AWS_ACCESS_KEY_ID") return id;
           if (name == "AWS_SECRET_ACCESS_KEY") return secret;
           return std::nullopt;
         }});
    return TryToPut(s3_.Address(), std::move(parts));
  };
  put = with("NOBODY", "x");
  EXPECT_EQ(put.error().code, Code::kDenied);
  EXPECT_NE(put.error().message.find("does not know the access key"),
            std::string::npos)
      << put.error().message;
  put = with(s3_.Setting("AWS_ACCESS_KEY_ID"), "wrong");
  EXPECT_EQ(put.error().code, Code::kDenied);
  EXPECT_NE(put.error().message.find("secret access key"), std::string::npos)
      << put.error().message;

  class LateClock final : public Clock {
    std::chrono::steady_clock::time_point Now() override {
      return SystemClock().Now();
    }
    int64_t UnixSeconds() override {
      return SystemClock().UnixSeconds() - 7200;
    }
  } late;
  S3Store::Parts parts = s3_.Parts(retries_);
  put = TryToPut(s3_.Address(), {.http = std::move(parts.http),
                                 .credentials = std::move(parts.credentials),
                                 .retries = retries_,
                                 .clock = late});
  EXPECT_EQ(put.error().code, Code::kDenied);
  EXPECT_NE(put.error().message.find("s behind the service's"),
            std::string::npos)
      << put.error().message;
}

}  // namespace
}  // namespace morsel
