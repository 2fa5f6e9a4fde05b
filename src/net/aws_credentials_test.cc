// SPDX-License-Identifier: Apache-2.0
#include "net/aws_credentials.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/fd.h"
#include "net/test_http_server.h"

namespace morsel {
namespace {

class FakeClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override { return {}; }
  int64_t UnixSeconds() override { return now; }
  std::atomic<int64_t> now{1'000'000'000};
};

class AwsCredentialsTest : public testing::Test {
 protected:
  AwsCredentialsTest() {
    folder_ =
        (std::filesystem::temp_directory_path() / "morsel-XXXXXX").string();
    CHECK(::mkdtemp(folder_.data()) != nullptr);
    environment_["HOME"] = folder_;
    environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  }
  ~AwsCredentialsTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirectories(folder_ + "/.aws", 0700).ok());
    ASSERT_TRUE(
        WriteFileAtomically(folder_ + "/.aws/" + name, AsBytes(text), 0600)
            .ok());
  }
  std::unique_ptr<AwsCredentialSource> Source(const std::string& profile = "") {
    return MakeAwsCredentialSource(
        {.profile = profile,
         .environment =
             [this](const std::string& name) -> std::optional<std::string> {
           const auto it = environment_.find(name);
           if (it == environment_.end()) return std::nullopt;
           return it->second;
         },
         .clock = &clock_});
  }
  std::string IdFrom(const std::string& profile = "") {
    const Result<AwsCredentials> found = Source(profile)->Get();
    return found.ok() ? found->access_key_id
                      : std::string(CodeName(found.error().code));
  }

  std::string folder_;
  std::map<std::string, std::string> environment_;
  FakeClock clock_;
};

TEST_F(AwsCredentialsTest, TheEnvironmentComesFirstThenTheFiles) {
  EXPECT_EQ(IdFrom(), "denied");
  Write("config",
        "[default]\naws_access_key_id=C\naws_secret_access_key=s\n"
        "[profile other]\naws_access_key_id = O\n"
        "aws_secret_access_key = s\n");
  EXPECT_EQ(IdFrom(), "C");
  Write("credentials",
        "# a comment\n[ default ]\naws_access_key_id = F \n"
        "aws_secret_access_key=s=+/\n\n[third]\n"
        "aws_access_key_id=T\naws_secret_access_key=s\n"
        "aws_session_token=t\n");
  EXPECT_EQ(IdFrom(), "F");
  EXPECT_EQ(AsText(Source()->Get()->secret_access_key.bytes()), "s=+/");
  EXPECT_EQ(Source("third")->Get()->session_token, "t");
  EXPECT_EQ(IdFrom("other"), "O");
  environment_["AWS_PROFILE"] = "third";
  EXPECT_EQ(IdFrom(), "T");
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  EXPECT_EQ(IdFrom(), "T");  // half of a pair is none
  environment_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(IdFrom(), "E");
  EXPECT_EQ(IdFrom("other"), "O");  // asked for by name
  EXPECT_EQ(IdFrom("nobody"), "denied");
}

TEST_F(AwsCredentialsTest, AMalformedFileIsNamedWithItsLine) {
  Write("credentials", "\n[default\naws_access_key_id=a\n");
  const Result<AwsCredentials> found = Source()->Get();
  EXPECT_EQ(found.error().code, Code::kInvalid);
  EXPECT_NE(found.error().message.find("credentials:2:"), std::string::npos)
      << found.error().message;
  Write("credentials", "[default]\naws_access_key_id=a\n");
  EXPECT_EQ(IdFrom(), "invalid");
}

std::string JsonOf(const std::string& id, int64_t expires) {
  return R"({"Code":"Success","AccessKeyId":")" + id +
         R"(","SecretAccessKey":"s","Token":"t","Expiration":")" +
         FormatUtc(expires) + "\"}";
}

TEST_F(AwsCredentialsTest, AsksTheInstanceByTokenAndRefreshesBeforeExpiry) {
  std::atomic<int> issued = 0;
  std::atomic<bool> works = true;
  TestHttpServer server([&](const TestRequest& request) {
    const std::string folder = "/latest/meta-data/iam/security-credentials/";
    if (!works) return TestReply{.status = 500, .headers = {}};
    if (request.method == "PUT" && request.target == "/latest/api/token")
      return TestReply{.body = "TOKEN", .headers = {}};
    const auto token = request.headers.find("x-aws-ec2-metadata-token");
    if (token == request.headers.end() || token->second != "TOKEN")
      return TestReply{.status = 401, .headers = {}};
    if (request.target == folder)
      return TestReply{.body = "a role", .headers = {}};
    if (request.target == folder + "a%20role")
      return TestReply{.body = JsonOf("I" + std::to_string(++issued),
                                      clock_.UnixSeconds() + 3600),
                       .headers = {}};
    return TestReply{.status = 404, .headers = {}};
  });
  environment_.erase("AWS_EC2_METADATA_DISABLED");
  environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url() + "/";
  const auto source = Source();
  EXPECT_EQ(source->Get()->access_key_id, "I1");
  EXPECT_EQ(source->Get()->session_token, "t");
  clock_.now += 3600 - kRefreshSeconds - 1;
  EXPECT_EQ(source->Get()->access_key_id, "I1");
  clock_.now += 2;
  EXPECT_EQ(source->Get()->access_key_id, "I2");  // while I1 is good still
  const AwsCredentials good = *source->Get();
  source->Reject(good);
  source->Reject(good);
  EXPECT_EQ(source->Get()->access_key_id, "I3");
  source->Reject(good);  // not the present ones: ignored
  EXPECT_EQ(source->Get()->access_key_id, "I3");
  works = false;
  clock_.now += 3600 - 60;
  EXPECT_EQ(source->Get()->access_key_id, "I3");  // old, but good
  clock_.now += 61;
  EXPECT_FALSE(source->Get().ok());
  works = true;
  EXPECT_EQ(source->Get()->access_key_id, "I4");
}

TEST_F(AwsCredentialsTest, AsksTheContainersEndpointWithItsToken) {
  TestHttpServer server([&](const TestRequest& request) {
    const auto token = request.headers.find("authorization");
    if (token == request.headers.end() || token->second != "secret")
      return TestReply{.status = 403, .headers = {}};
    return TestReply{.body = JsonOf("K", clock_.UnixSeconds() + 3600),
                     .headers = {}};
  });
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url() + "/x";
  EXPECT_EQ(IdFrom(), "denied");
  Write("token", "secret\n");
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] =
      folder_ + "/.aws/token";
  EXPECT_EQ(IdFrom(), "K");
}

TEST_F(AwsCredentialsTest, OneThreadRefreshesForAll) {
  std::atomic<int> asked = 0;
  TestHttpServer server([&](const TestRequest&) {
    ++asked;
    return TestReply{.body = JsonOf("K", clock_.UnixSeconds() + 3600),
                     .headers = {}};
  });
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url();
  const auto source = Source();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_TRUE(source->Get().ok()); });
  }
  EXPECT_EQ(asked, 1);
}

TEST_F(AwsCredentialsTest, RefusesJsonThatIsNoCredentials) {
  for (const char* text :
       {"", "{}", "[]", R"({"AccessKeyId":"a","SecretAccessKey":1})",
        R"({"AccessKeyId":"a","SecretAccessKey":"b","Token":"t",
            "Expiration":"soon"})"})
    EXPECT_EQ(ParseAwsCredentialJson(text, "x").error().code, Code::kInvalid)
        << text;
}

}  // namespace
}  // namespace morsel
