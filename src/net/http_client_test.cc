// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <latch>

#include "base/process.h"
#include "net/test_http_server.h"

namespace morsel {
namespace {

using Fault = TestReply::Fault;

std::unique_ptr<HttpClient> Client(HttpOptions options = {}) {
  return MakeHttpClient(options).value();
}

Result<HttpAnswer> Get(HttpClient& client, const std::string& url) {
  HttpRequest request;
  request.url = url;
  return client.Send(request);
}

TEST(HttpClientTest, SendsMethodsHeadersAndBodiesAsTheyAre) {
  TestHttpServer server([](const TestRequest& request) {
    TestReply reply;
    reply.status = 201;
    reply.headers = {{"X-Seen", request.headers.at("x-sent")}};
    reply.body = request.method + " " + request.target + " " + request.body;
    return reply;
  });
  const auto client = Client();
  for (const char* method : {"GET", "PUT", "POST", "DELETE", "HEAD"}) {
    HttpRequest request;
    request.method = method;
    request.url = server.url() + "/a/../b%2Fc?x=1";
    request.headers = {{"x-sent", "value"}};
    const bool has_body = *method == 'P';
    if (has_body) request.body = AsBytes("body");
    const Result<HttpAnswer> answer = client->Send(request);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->Header("x-seen"), "value");
    EXPECT_EQ(AsText(answer->body),
              *method == 'H' ? std::string()
                             : std::string(method) + " /a/../b%2Fc?x=1 " +
                                   (has_body ? "body" : ""));
  }
  EXPECT_EQ(server.connections(), 1);  // it was used again
}

TEST(HttpClientTest, AnErrorStatusIsAnAnswer) {
  TestHttpServer server([](const TestRequest&) {
    return TestReply{.status = 503, .body = "slow down", .headers = {}};
  });
  const Result<HttpAnswer> answer = Get(*Client(), server.url());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(AsText(answer->body), "slow down");
}

TEST(HttpClientTest, TellsTheWaysOfFailingApart) {
  Fault fault = Fault::kNone;
  TestHttpServer server([&](const TestRequest&) {
    return TestReply{
        .body = std::string(1000, 'x'), .headers = {}, .fault = fault};
  });
  const auto client = Client({.timeout = std::chrono::minutes(1)});
  const auto impatient = Client({.timeout = std::chrono::milliseconds(500)});
  const auto code = [&](Fault wanted) {
    fault = wanted;
    return Get(wanted == Fault::kSilence ? *impatient : *client, server.url())
        .error()
        .code;
  };
  EXPECT_EQ(code(Fault::kReset), Code::kUnavailable);
  EXPECT_EQ(code(Fault::kTruncate), Code::kUnavailable);
  EXPECT_EQ(code(Fault::kSilence), Code::kTimeout);
  EXPECT_EQ(code(Fault::kGarbage), Code::kCorrupt);
  fault = Fault::kNone;
  EXPECT_TRUE(Get(*client, server.url()).ok());  // and it goes on
  EXPECT_EQ(Get(*client, "http://host.invalid/").error().code,
            Code::kUnavailable);
  EXPECT_EQ(Get(*client, "ftp://host/").error().code, Code::kInvalid);
  EXPECT_EQ(Get(*client, "http://127.0.0.1:1/").error().code,
            Code::kUnavailable);
}

TEST(HttpClientTest, RefusesALongerAnswerThanWasAskedFor) {
  TestHttpServer server([](const TestRequest&) {
    return TestReply{.body = std::string(1001, 'x'), .headers = {}};
  });
  HttpRequest request;
  request.url = server.url();
  request.max_answer_bytes = 1000;
  EXPECT_EQ(Client()->Send(request).error().code, Code::kCorrupt);
  request.max_answer_bytes = 1001;
  EXPECT_EQ(Client()->Send(request)->body.size(), 1001u);
}

TEST(HttpClientTest, BoundsTheRequestsInFlight) {
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  TestHttpServer server([&](const TestRequest&) {
    most = std::max(most.load(), ++now);
    std::this_thread::yield();
    --now;
    return TestReply{};
  });
  const auto client = Client({.max_requests = 3});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 12; ++i)
      threads.emplace_back([&] {
        for (int k = 0; k < 20; ++k)
          EXPECT_TRUE(Get(*client, server.url()).ok());
      });
  }
  EXPECT_LE(most, 3);
  EXPECT_LE(server.connections(), 3);
}

TEST(HttpClientTest, SaysSoWhenNoPlaceGetsFree) {
  TestHttpServer server([](const TestRequest&) {
    return TestReply{.headers = {}, .fault = Fault::kSilence};
  });
  const auto client =
      Client({.timeout = std::chrono::milliseconds(300), .max_requests = 1});
  // Who waits longest gets the place: of those that begin while it is taken one
  // does, and the others do not, unless they begin very late.
  std::atomic<int> refused = 0;
  for (int round = 0; refused == 0; ++round) {
    ASSERT_LT(round, 100);
    std::latch begin(4);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        begin.arrive_and_wait();
        refused += Get(*client, server.url()).error().code == Code::kExhausted;
      });
  }
}

// A server of OpenSSL's own, with a certificate that nobody knows.
class TlsServer {
 public:
  explicit TlsServer(const std::string& folder) : folder_(folder) {
    CHECK(RunChecked({"openssl", "req", "-x509", "-newkey", "rsa:2048",
                      "-nodes", "-days", "1", "-subj", "/CN=localhost",
                      "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                      folder + "/key.pem", "-out", ca_file()})
              .ok());
    int ends[2];
    CHECK(::pipe(ends) == 0);
    const Fd in(ends[0]);
    const Fd out(ends[1]);
    child_ =
        Spawn({.argv = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-key",
                        folder + "/key.pem", "-cert", ca_file(), "-www"},
               .env = {},
               .fds = {{out.get(), 1}},
               .die_with_parent = true})
            .value();
    std::string text;
    char byte = 0;
    while (text.find("ACCEPT ") == std::string::npos || byte != '\n') {
      CHECK(::read(in.get(), &byte, 1) == 1);
      text += byte;
    }
    url_ = "https://" + text.substr(text.find("ACCEPT ") + 7);
    url_.pop_back();
  }
  ~TlsServer() {
    ::kill(child_.pid, SIGKILL);
    static_cast<void>(WaitChild(child_));
  }
  std::string ca_file() const { return folder_ + "/ca.pem"; }
  const std::string& url() const { return url_; }

 private:
  const std::string folder_;
  std::string url_;
  Child child_;
};

TEST(HttpClientTest, TrustsACaThatIsNamedAndNoOther) {
  if (!RunCommand({"openssl", "version"}).ok()) GTEST_SKIP() << "no openssl";
  std::string folder =
      (std::filesystem::temp_directory_path() / "morsel-XXXXXX").string();
  CHECK(::mkdtemp(folder.data()) != nullptr);
  {
    const TlsServer server(folder);
    const Result<HttpAnswer> unknown = Get(*Client(), server.url());
    EXPECT_EQ(unknown.error().code, Code::kDenied);
    const Result<HttpAnswer> known =
        Get(*Client({.ca_file = server.ca_file()}), server.url());
    EXPECT_TRUE(known.ok()) << known.error().message;
    EXPECT_EQ(MakeHttpClient({.ca_file = folder + "/key.pem"}).error().code,
              Code::kInvalid);
    EXPECT_EQ(MakeHttpClient({.ca_file = folder + "/none"}).error().code,
              Code::kNotFound);
  }
  std::filesystem::remove_all(folder);
}

TEST(HttpClientTest, ReadsDatesAndEncodesPaths) {
  EXPECT_EQ(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(ParseHttpDate("1994-11-06T08:49:37.123Z"), 784111777);
  EXPECT_EQ(ParseHttpDate("1994-11-06T08:49:37Z"), 784111777);
  EXPECT_EQ(ParseHttpDate("yesterday"), 0);
  EXPECT_EQ(UriEncode("a/b c~%+", true), "a/b%20c~%25%2B");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace morsel
