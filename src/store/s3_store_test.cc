// SPDX-License-Identifier: Apache-2.0
// What S3Store does about the faults of services: a server of the test's own
// that misbehaves. What a real service does is in s3_conformance_test.cc.
#include "store/s3_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/mutex.h"
#include "net/test_http_server.h"
#include "store/s3_failure.h"
#include "store/s3_xml.h"

namespace morsel {
namespace {

using Fault = TestReply::Fault;

std::string ErrorXml(const std::string& code) {
  return "<?xml version=\"1.0\"?><Error><Code>" + code +
         "</Code><Message>because</Message></Error>";
}

TestReply Failing(int status, const std::string& code = "") {
  return {.status = status,
          .body = code.empty() ? "" : ErrorXml(code),
          .headers = {{"date", "Tue, 24 Nov 2026 12:00:00 GMT"}}};
}

// Counts requests, and waits long for all but the first `silent`, which get no
// answer: how fast the machine is decides nothing.
class CountingClient final : public HttpClient {
 public:
  CountingClient(std::atomic<int>& count, const std::atomic<int>& silent)
      : count_(count), silent_(silent) {}

  Result<HttpAnswer> Send(const HttpRequest& request) override {
    const bool is_silent = ++count_ <= silent_;
    return is_silent ? impatient_->Send(request) : patient_->Send(request);
  }

 private:
  std::atomic<int>& count_;
  const std::atomic<int>& silent_;
  const std::unique_ptr<HttpClient> patient_ =
      MakeHttpClient({.timeout = std::chrono::minutes(2)}).value();
  const std::unique_ptr<HttpClient> impatient_ =
      MakeHttpClient({.timeout = std::chrono::milliseconds(300)}).value();
};

class FaultyS3Test : public testing::Test {
 protected:
  // The n-th request (from 1) gets `answer(n, request)`; of the first
  // `silent_` that must be silence.
  using Answer = std::function<TestReply(int, const TestRequest&)>;

  void Serve(Answer answer, int max_tries = 5) {
    server_ = std::make_unique<TestHttpServer>(
        [this, answer = std::move(answer)](const TestRequest& request) {
          return answer(count_, request);
        });
    retries_ = std::make_unique<RetryBudget>(RetryOptions{
        .max_tries = max_tries,
        .wait = [this](std::chrono::milliseconds time) { waited_ += time; }});
    const S3Address address =
        ParseS3Address("s3://bucket?endpoint=" + server_->url()).value();
    credentials_fetched_ = 0;
    store_ = S3Store::Open(
                 address, Access::kRead,
                 {.http = std::make_unique<CountingClient>(count_, silent_),
                  .credentials = MakeAwsCredentialSource(
                      {.profile = "",
                       .environment = [this](const std::string& name)
                           -> std::optional<std::string> {
                         if (name == "AWS_ACCESS_KEY_ID") {
                           ++credentials_fetched_;
                           return "id";
                         }
                         if (name == "AWS_SECRET_ACCESS_KEY") return "secret";
                         return std::nullopt;
                       }}),
                  .retries = *retries_,
                  .clock = SystemClock()})
                 .value();
  }
  Error GetError() { return store_->Get("k", 0, 100).error(); }

  std::atomic<int> count_ = 0;
  std::atomic<int> silent_ = 0;
  std::atomic<int> credentials_fetched_ = 0;
  std::chrono::milliseconds waited_{0};
  std::unique_ptr<TestHttpServer> server_;
  std::unique_ptr<RetryBudget> retries_;
  std::unique_ptr<ObjectStore> store_;
};

TestReply Good() {
  return {.status = 206,
          .body = "0123",
          .headers = {{"etag", "\"v\""}, {"content-range", "bytes 0-3/4"}}};
}

TEST_F(FaultyS3Test, APassingFaultIsTriedAgainAndHealed) {
  const std::vector<TestReply> faults = {
      Failing(500, "InternalError"),
      Failing(502),
      Failing(504),
      Failing(503, "SlowDown"),
      Failing(429),
      Failing(400, "RequestTimeout"),
      {.headers = {}, .fault = Fault::kReset},
      {.headers = {}, .fault = Fault::kGarbage},
      {.headers = {}, .fault = Fault::kSilence},
      {.status = 206,
       .body = "0123",
       .headers = {{"content-range", "bytes 0-3/4"}},
       .fault = Fault::kTruncate}};
  for (size_t i = 0; i < faults.size(); ++i) {
    count_ = 0;
    silent_ = faults[i].fault == Fault::kSilence ? 1 : 0;
    Serve(
        [&](int n, const TestRequest&) { return n < 2 ? faults[i] : Good(); });
    const Result<ObjectData> data = store_->Get("k", 0, 100);
    ASSERT_TRUE(data.ok()) << i << " " << data.error().message;
    EXPECT_EQ(AsText(data->bytes), "0123");
    EXPECT_EQ(data->info.version, "v");
    EXPECT_EQ(count_, 2);
  }
}

TEST_F(FaultyS3Test, AFaultThatStaysIsAClearErrorAfterAFewTries) {
  Serve([](int, const TestRequest&) { return Failing(503, "SlowDown"); });
  Error error = GetError();
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_NE(error.message.find("GET s3://bucket/k"), std::string::npos);
  EXPECT_NE(error.message.find("less load"), std::string::npos);
  EXPECT_NE(error.message.find("5 tries"), std::string::npos) << error.message;
  EXPECT_EQ(count_, 5);
  count_ = 0;
  silent_ = 100;
  Serve([](int, const TestRequest&) {
    return TestReply{.headers = {}, .fault = Fault::kSilence};
  });
  EXPECT_EQ(GetError().code, Code::kTimeout);
  EXPECT_EQ(count_, 2);
}

TEST_F(FaultyS3Test, WhatCannotPassIsAskedOnce) {
  const std::vector<std::tuple<TestReply, Code, std::string>> cases = {
      {Failing(403, "AccessDenied"), Code::kDenied, "lack the right"},
      {Failing(403), Code::kDenied, "lack the right"},
      {Failing(403, "InvalidAccessKeyId"), Code::kDenied, "access key id"},
      {Failing(403, "SignatureDoesNotMatch"), Code::kDenied, "secret access"},
      {Failing(403, "RequestTimeTooSkewed"), Code::kDenied, "clock is wrong"},
      {Failing(403, "QuotaExceeded"), Code::kExhausted, "quota"},
      {Failing(507), Code::kExhausted, "no room"},
      {Failing(404, "NoSuchBucket"), Code::kInvalid, "no bucket bucket"},
      {Failing(301, "PermanentRedirect"), Code::kInvalid, "lies elsewhere"},
      {Failing(501, "NotImplemented"), Code::kInvalid, "cannot do that"},
      {Failing(400, "InvalidRequest"), Code::kInvalid, "refuses"}};
  for (const auto& [reply, code, text] : cases) {
    count_ = 0;
    Serve([&](int, const TestRequest&) { return reply; });
    const Error error = GetError();
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_NE(error.message.find(text), std::string::npos) << error.message;
    EXPECT_EQ(count_, 1) << error.message;
  }
}

TEST_F(FaultyS3Test, ExpiredCredentialsAreFetchedAnew) {
  Serve([](int n, const TestRequest&) {
    return n == 1 ? Failing(400, "ExpiredToken") : Good();
  });
  EXPECT_TRUE(store_->Get("k", 0, 100).ok());
  EXPECT_EQ(credentials_fetched_, 2);
}

TEST_F(FaultyS3Test, WaitsAsLongAsTheServiceAsks) {
  Serve([](int n, const TestRequest&) {
    TestReply slow = Failing(503, "SlowDown");
    slow.headers.emplace_back("retry-after", "2");
    return n == 1 ? slow : Good();
  });
  EXPECT_TRUE(store_->Get("k", 0, 100).ok());
  EXPECT_GE(waited_, std::chrono::seconds(2));
}

TEST_F(FaultyS3Test, AServiceThatIsDownGetsABoundedLoad) {
  Serve([](int, const TestRequest&) { return Failing(500); });
  for (int i = 0; i < 300; ++i) EXPECT_EQ(GetError().code, Code::kUnavailable);
  EXPECT_LE(count_, 300 + static_cast<int>(RetryOptions().bucket));
}

TEST_F(FaultyS3Test, AnswersThatAreNotS3AreRefused) {
  Serve([](int, const TestRequest&) {
    return TestReply{.body = "<html>welcome</html>", .headers = {}};
  });
  EXPECT_EQ(store_->List("", "", 10).error().code, Code::kCorrupt);
  EXPECT_EQ(store_->Get("k", 0, 4).error().code, Code::kCorrupt);
  Serve([](int, const TestRequest&) {
    return TestReply{.body =
                         "<ListBucketResult><IsTruncated>true</IsTruncated>"
                         "</ListBucketResult>",
                     .headers = {}};
  });
  EXPECT_EQ(store_->List("", "", 10).error().code, Code::kCorrupt);
  Serve([](int, const TestRequest&) {
    return TestReply{.body =
                         "<ListBucketResult><IsTruncated>false</IsTruncated>"
                         "<Contents><Key>b</Key><Size>1</Size></Contents>"
                         "<Contents><Key>a</Key><Size>1</Size></Contents>"
                         "</ListBucketResult>",
                     .headers = {}};
  });
  EXPECT_EQ(store_->List("", "", 10).error().code, Code::kCorrupt);
}

// A service of one object, whose conditions the test breaks.
class OneObject {
 public:
  bool ignores_if_none_match = false;
  bool ignores_if_match = false;
  bool wants_quotes = true;
  bool loses_first_answer = false;

  TestReply operator()(int, const TestRequest& request) {
    const MutexLock lock(mutex_);
    const auto header = [&](const std::string& name) {
      const auto it = request.headers.find(name);
      return it == request.headers.end() ? std::string() : it->second;
    };
    if (request.method == "DELETE") {
      bytes_.reset();
      return {.status = 204, .headers = {}};
    }
    if (request.method == "PUT") {
      if (!header("if-none-match").empty() && bytes_ && !ignores_if_none_match)
        return Failing(412, "PreconditionFailed");
      const std::string match = header("if-match");
      const std::string wanted = wants_quotes ? "\"" + Etag() + "\"" : Etag();
      if (!match.empty() && match != wanted && !ignores_if_match)
        return Failing(412, "PreconditionFailed");
      bytes_ = request.body;
      ++version_;
      if (std::exchange(loses_first_answer, false))
        return {.headers = {}, .fault = Fault::kReset};
      return {.headers = {}};
    }
    if (!bytes_) return Failing(404, "NoSuchKey");
    return {.body = *bytes_, .headers = {{"etag", "\"" + Etag() + "\""}}};
  }

 private:
  std::string Etag() REQUIRES(mutex_) { return std::to_string(version_); }

  Mutex mutex_;
  std::optional<std::string> bytes_ GUARDED_BY(mutex_);
  int version_ GUARDED_BY(mutex_) = 0;
};

class ConditionsTest : public FaultyS3Test {
 protected:
  Status Check(OneObject& object) {
    const TestHttpServer server(
        [&](const TestRequest& request) { return object(0, request); });
    RetryBudget retries({.wait = [](std::chrono::milliseconds) {}});
    const auto store = S3Store::Open(
        ParseS3Address("s3://bucket?endpoint=" + server.url()).value(),
        Access::kWrite,
        {.http = MakeHttpClient({}).value(),
         .credentials = MakeAwsCredentialSource(
             {.profile = "",
              .environment =
                  [](const std::string& name) -> std::optional<std::string> {
                if (name.starts_with("AWS_EC2")) return "true";
                return "x";
              }}),
         .retries = retries,
         .clock = SystemClock()});
    return store.ok() ? Ok() : Status(Error(store.error()));
  }
};

TEST_F(ConditionsTest, BothFormsOfAnEtagAreAConditionThatHolds) {
  OneObject quoted;
  EXPECT_TRUE(Check(quoted).ok());
  OneObject plain;
  plain.wants_quotes = false;
  EXPECT_TRUE(Check(plain).ok());
}

TEST_F(ConditionsTest, AServiceThatIgnoresEitherConditionIsRefused) {
  OneObject first;
  first.ignores_if_none_match = true;
  Status opened = Check(first);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::kInvalid);
  EXPECT_NE(opened.error().message.find("put if absent"), std::string::npos);
  OneObject second;
  second.ignores_if_match = true;
  opened = Check(second);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("replace if unchanged"),
            std::string::npos)
      << opened.error().message;
}

TEST(S3XmlTest, ReadsErrorsAndListsAndEscapes) {
  const std::string list =
      "<?xml version=\"1.0\"?><ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<IsTruncated>true</IsTruncated><Contents><Key>a&amp;b&lt;</Key>"
      "<LastModified>1994-11-06T08:49:37.000Z</LastModified>"
      "<ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>"
      "</ListBucketResult>";
  const S3Listing listing = ParseS3Listing(AsBytes(list)).value();
  EXPECT_TRUE(listing.more);
  ASSERT_EQ(listing.rows.size(), 1u);
  EXPECT_EQ(listing.rows[0].key, "a&b<");
  EXPECT_EQ(listing.rows[0].info.version, "e");
  EXPECT_EQ(listing.rows[0].info.size_bytes, 7u);
  EXPECT_EQ(listing.rows[0].info.modified_unix_seconds, 784111777);
  EXPECT_EQ(ParseS3Error(AsBytes(ErrorXml("NoSuchKey"))).code, "NoSuchKey");
  EXPECT_EQ(ParseS3Error(AsBytes("")).code, "");
  EXPECT_EQ(ParseS3Error(AsBytes("not <xml")).code, "");
  EXPECT_EQ(ParseS3UploadId(AsBytes("<a/>")).error().code, Code::kCorrupt);
  for (const char* text :
       {"", "<ListBucketResult/>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
        "<Key>k</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
        "<Size>1</Size></Contents></ListBucketResult>"})
    EXPECT_EQ(ParseS3Listing(AsBytes(text)).error().code, Code::kCorrupt)
        << text;
}

}  // namespace
}  // namespace morsel
