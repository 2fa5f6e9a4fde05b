// SPDX-License-Identifier: Apache-2.0
// HttpSyscalls is enough: a child confines itself and then asks by HTTP.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/confine.h"
#include "base/fd.h"
#include "net/http_client.h"
#include "net/test_http_server.h"

namespace morsel {
namespace {

int StatusOf(HttpClient& client, const std::string& url) {
  HttpRequest request;
  request.url = url;
  const Result<HttpAnswer> answer = client.Send(request);
  return answer.ok() ? answer->status : 0;
}

// A child that confines itself once it is told the server's URL. It is forked
// before the server has threads: a fork beside a thread may inherit a lock of
// the sanitizer's that nobody ever releases.
class ConfinedClient {
 public:
  using Body = std::function<int(HttpClient&, const std::string& url)>;

  explicit ConfinedClient(const Body& body) {
    int ends[2];
    CHECK(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd from(ends[0]);
    to_ = Fd(ends[1]);
    child_ = ::fork();
    CHECK(child_ >= 0);
    if (child_ != 0) return;
    to_ = Fd();
    ::_exit(Ask(from.get(), body));
  }

  // The child's exit status, or 128 + signal.
  int Run(const std::string& url) {
    EXPECT_EQ(::write(to_.get(), url.data(), url.size()),
              static_cast<ssize_t>(url.size()));
    to_ = Fd();
    int status = 0;
    ::waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static int Ask(int from, const Body& body) {
    std::array<char, 256> url{};
    const ssize_t size = ::read(from, url.data(), url.size());
    if (size <= 0) return 98;
    const std::string text(url.data(), static_cast<size_t>(size));
    const auto client =
        MakeHttpClient({.timeout = std::chrono::minutes(1)}).value();
    WarmUpHttp(*client, text);
    if (!SeccompAllow(HttpSyscalls()).ok()) return 99;
    return body(*client, text);
  }

  Fd to_;
  pid_t child_ = -1;
};

TEST(ConfinedHttpTest, AsksOnNewConnectionsFromSeveralThreads) {
  ConfinedClient confined([](HttpClient& client, const std::string& url) {
    std::atomic<int> good = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
          for (int k = 0; k < 5; ++k)
            good += StatusOf(client, url + "/k") == 200;
        });
    }
    return good == 20 ? 0 : 1;
  });
  const TestHttpServer server([](const TestRequest&) {
    return TestReply{.body = std::string(100'000, 'x'), .headers = {}};
  });
  EXPECT_EQ(confined.Run(server.url()), 0);
}

TEST(ConfinedHttpTest, ResolvesNamesThatItHasNotSeenBefore) {
  ConfinedClient confined([](HttpClient& client, const std::string& url) {
    const std::string port = url.substr(url.rfind(':'));
    // Whatever they say, they must not end the process.
    StatusOf(client, "http://ip6-localhost" + port);
    StatusOf(client, "http://host.invalid" + port);
    StatusOf(client, "https://127.0.0.1" + port);
    return StatusOf(client, url) == 200 ? 0 : 1;
  });
  const TestHttpServer server(
      [](const TestRequest&) { return TestReply{.headers = {}}; });
  const std::string port = server.host().substr(server.host().find(':'));
  EXPECT_EQ(confined.Run("http://localhost" + port), 0);
}

}  // namespace
}  // namespace morsel
