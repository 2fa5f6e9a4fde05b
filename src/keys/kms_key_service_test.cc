// SPDX-License-Identifier: Apache-2.0
#include "keys/kms_key_service.h"

#include <gtest/gtest.h>

#include "keys/test_kms.h"

namespace morsel {
namespace {

class KmsKeyServiceTest : public testing::Test {
 protected:
  KmsKeyServiceTest() {
    kms_.AddKey("key-1", "alias/one");
    kms_.AddKey("key-2");
  }

  std::unique_ptr<KeyService> Keys(const std::string& key,
                                   const std::string& secret = "s",
                                   const std::string& url = "") {
    return KmsKeyService::Open(
               {.key = key,
                .region = "test-1",
                .endpoint = url.empty() ? kms_.url() : url},
               {.http = MakeHttpClient({}).value(),
                .credentials = MakeAwsCredentialSource(
                    {.profile = "",
                     .environment = [secret](const std::string& name)
                         -> std::optional<std::string> {
                       if (name == "AWS_ACCESS_KEY_ID") return "id";
                       if (name == "AWS_SECRET_ACCESS_KEY") return secret;
                       return std::nullopt;
                     }}),
                .retries = retries_,
                .clock = SystemClock()})
        .value();
  }

  TestKms kms_{"id", "s"};
  RetryBudget retries_{RetryOptions{.wait = [](std::chrono::milliseconds) {}}};
};

TEST_F(KmsKeyServiceTest, UnwrapsWhatItWrappedUnderTheSameContext) {
  const auto keys = Keys("alias/one");
  const SecretKey key = SecretKey::Generate(SystemRandom());
  const WrappedKey wrapped = keys->Wrap(key, "repo/app").value();
  EXPECT_EQ(wrapped.key_id, keys->KeyId());
  EXPECT_EQ(ToHex(keys->Unwrap(wrapped, "repo/app")->bytes()),
            ToHex(key.bytes()));
  const Result<SecretKey> elsewhere = keys->Unwrap(wrapped, "repo/other");
  ASSERT_EQ(elsewhere.error().code, Code::kCorrupt);
  EXPECT_NE(elsewhere.error().message.find("another's place"),
            std::string::npos);
}

TEST_F(KmsKeyServiceTest, GeneratesAKeyByOneRequest) {
  const auto keys = Keys("key-1");
  const int before = kms_.requests();
  const GeneratedKey generated = keys->Generate("c").value();
  EXPECT_EQ(kms_.requests(), before + 1);
  EXPECT_EQ(ToHex(keys->Unwrap(generated.wrapped, "c")->bytes()),
            ToHex(generated.key.bytes()));
  EXPECT_NE(ToHex(keys->Generate("c")->key.bytes()),
            ToHex(generated.key.bytes()));
}

TEST_F(KmsKeyServiceTest, ADeniedKeyLocksWhatItWrappedAndNothingElse) {
  const auto one = Keys("key-1");
  const auto two = Keys("key-2");
  EXPECT_NE(one->KeyId(), two->KeyId());
  const WrappedKey by_one = one->Generate("c")->wrapped;
  const WrappedKey by_two = two->Generate("c")->wrapped;
  kms_.Deny("key-1", true);
  EXPECT_EQ(one->Unwrap(by_one, "c").error().code, Code::kDenied);
  EXPECT_EQ(one->Generate("c").error().code, Code::kDenied);
  EXPECT_TRUE(one->Unwrap(by_two, "c").ok());  // the blob says which key
  EXPECT_TRUE(two->Generate("c").ok());
  kms_.Deny("key-1", false);
  EXPECT_TRUE(one->Unwrap(by_one, "c").ok());
}

TEST_F(KmsKeyServiceTest, SaysWhatIsWrong) {
  EXPECT_EQ(Keys("key-9")->Generate("c").error().code, Code::kDenied);
  const Result<GeneratedKey> forged = Keys("key-1", "wrong")->Generate("c");
  ASSERT_EQ(forged.error().code, Code::kDenied);
  EXPECT_NE(forged.error().message.find("InvalidSignature"), std::string::npos);
  EXPECT_EQ(
      Keys("key-1", "s", "http://127.0.0.1:1")->Generate("c").error().code,
      Code::kUnavailable);
  const auto keys = Keys("key-1");
  EXPECT_EQ(keys->Unwrap({"0123456789abcdef", "00"}, "c").error().code,
            Code::kDenied);  // a file's
  EXPECT_EQ(keys->Unwrap({keys->KeyId(), "00ff"}, "c").error().code,
            Code::kCorrupt);
  EXPECT_EQ(keys->Unwrap({keys->KeyId(), "x"}, "c").error().code,
            Code::kCorrupt);
  EXPECT_EQ(KmsKeyService::Open({}).error().code, Code::kInvalid);
  EXPECT_EQ(KmsKeyService::Open({.key = "k", .endpoint = "host"}).error().code,
            Code::kInvalid);
}

TEST_F(KmsKeyServiceTest, PassingFaultsAreTriedAgainAndOthersNot) {
  std::vector<std::string> types;
  std::atomic<int> count = 0;
  TestHttpServer server([&](const TestRequest&) {
    const size_t at = static_cast<size_t>(count++);
    return TestReply{
        .status = 400,
        .body = "{\"__type\":\"" + types[at % types.size()] + "\"}",
        .headers = {}};
  });
  const auto keys = Keys("key-1", "s", server.url());
  types = {"ThrottlingException"};
  EXPECT_EQ(keys->Generate("c").error().code, Code::kUnavailable);
  EXPECT_EQ(count, RetryOptions().max_tries);
  count = 0;
  types = {"DisabledException"};
  EXPECT_EQ(keys->Generate("c").error().code, Code::kDenied);
  EXPECT_EQ(count, 1);
  count = 0;
  types = {"ExpiredTokenException", "ValidationException"};
  EXPECT_EQ(keys->Generate("c").error().code, Code::kInvalid);
  EXPECT_EQ(count, 2);
}

TEST_F(KmsKeyServiceTest, AChainUnwrapsWhatEitherCan) {
  const WrappedKey by_two = Keys("key-2")->Generate("c")->wrapped;
  kms_.Deny("key-2", true);
  const auto chain = MakeKeyChain(Keys("key-1"), Keys("key-2"));
  EXPECT_EQ(chain->KeyId(), Keys("key-1")->KeyId());
  EXPECT_EQ(chain->Unwrap(by_two, "c").error().code, Code::kDenied);
  EXPECT_TRUE(chain->Unwrap(chain->Generate("c")->wrapped, "c").ok());
}

}  // namespace
}  // namespace morsel
