// SPDX-License-Identifier: Apache-2.0
// HttpSyscalls is enough: a child confines itself and then asks by HTTP.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/confine.h"
#include "net/http_client.h"
#include "net/test_http_server.h"

namespace morsel {
namespace {

// Runs `body` in a child that is confined; its exit status, or 128 + signal.
int RunConfined(const std::string& warm_url,
                const std::function<int(HttpClient&)>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto client =
        MakeHttpClient({.timeout = std::chrono::milliseconds(3000)}).value();
    WarmUpHttp(*client, warm_url);
    if (!SeccompAllow(HttpSyscalls()).ok()) ::_exit(99);
    ::_exit(body(*client));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int StatusOf(HttpClient& client, const std::string& url) {
  HttpRequest request;
  request.url = url;
  const Result<HttpAnswer> answer = client.Send(request);
  return answer.ok() ? answer->status : 0;
}

class ConfinedHttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer ends the fork of a process with threads";
#endif
  }
};

TEST_F(ConfinedHttpTest, AsksOnNewConnectionsFromSeveralThreads) {
  const TestHttpServer server([](const TestRequest&) {
    return TestReply{.body = std::string(100'000, 'x'), .headers = {}};
  });
  const int code = RunConfined(server.url(), [&](HttpClient& client) {
    std::atomic<int> good = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
          for (int k = 0; k < 5; ++k)
            good += StatusOf(client, server.url() + "/k") == 200;
        });
    }
    return good == 20 ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST_F(ConfinedHttpTest, ResolvesNamesThatItHasNotSeenBefore) {
  const TestHttpServer server(
      [](const TestRequest&) { return TestReply{.headers = {}}; });
  const std::string port = server.host().substr(server.host().find(':'));
  const int code =
      RunConfined("http://localhost" + port, [&](HttpClient& client) {
        // Whatever they say, they must not end the process.
        StatusOf(client, "http://ip6-localhost" + port);
        StatusOf(client, "http://host.invalid" + port);
        StatusOf(client, "https://127.0.0.1" + port);
        return StatusOf(client, "http://localhost" + port) == 200 ? 0 : 1;
      });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace morsel
