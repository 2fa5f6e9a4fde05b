// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for tests, on a free port of the loopback, that can
// also misbehave. Each connection has a thread; a handler answers.
// Thread safety: several threads call the handler.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"

namespace morsel {

struct TestRequest {
  std::string method;
  std::string target;                          // path and query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct TestReply {
  enum class Fault {
    kNone,
    kReset,     // no answer: the connection is reset
    kTruncate,  // the full length announced, half of the body sent
    kSilence,   // nothing, until the server ends
    kGarbage    // no HTTP
  };
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  Fault fault = Fault::kNone;
};

class TestHttpServer {
 public:
  using Handler = std::function<TestReply(const TestRequest&)>;

  explicit TestHttpServer(Handler handler, uint16_t port = 0)
      : handler_(std::move(handler)),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback(port);
    const int on = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address),
                 sizeof(address)) == 0);
    socklen_t size = sizeof(address);
    CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address),
                        &size) == 0);
    CHECK(::listen(listener_.get(), 128) == 0);
    port_ = ntohs(address.sin_port);
    accepting_ = std::jthread([this] { Accept(); });
  }
  ~TestHttpServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    accepting_.join();
    {
      const MutexLock lock(mutex_);
      for (const auto& socket : sockets_) ::shutdown(socket->get(), SHUT_RDWR);
    }
    threads_.clear();
  }

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + host(); }
  int connections() const { return connections_; }
  int requests() const { return requests_; }

 private:
  static sockaddr_in Loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void Accept() {
    while (true) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++connections_;
      const MutexLock lock(mutex_);
      sockets_.push_back(std::make_shared<Fd>(fd));
      threads_.emplace_back([this, socket = sockets_.back()] {
        Serve(socket->get());
        ::shutdown(socket->get(), SHUT_RDWR);
      });
    }
  }

  void Serve(int socket) {
    std::string buffer;
    TestRequest request;
    while (Read(socket, buffer, request)) {
      ++requests_;
      if (!Answer(socket, request, handler_(request))) return;
    }
  }

  static bool Fill(int socket, std::string& buffer) {
    char bytes[65536];
    const ssize_t n = ::read(socket, bytes, sizeof(bytes));
    if (n > 0) buffer.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }

  static bool Read(int socket, std::string& buffer, TestRequest& request) {
    size_t head;
    while ((head = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!Fill(socket, buffer)) return false;
    request = {};
    size_t line_end = buffer.find("\r\n");
    const std::string line = buffer.substr(0, line_end);
    request.method = line.substr(0, line.find(' '));
    request.target = line.substr(request.method.size() + 1);
    request.target.resize(request.target.rfind(' '));
    while (line_end < head) {
      const size_t begin = line_end + 2;
      line_end = buffer.find("\r\n", begin);
      const size_t colon = buffer.find(':', begin);
      std::string name = buffer.substr(begin, colon - begin);
      for (char& c : name)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      const size_t value =
          std::min(buffer.find_first_not_of(' ', colon + 1), line_end);
      request.headers[name] = buffer.substr(value, line_end - value);
    }
    const std::string& length = request.headers["content-length"];
    const size_t size = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < head + 4 + size)
      if (!Fill(socket, buffer)) return false;
    request.body = buffer.substr(head + 4, size);
    buffer.erase(0, head + 4 + size);
    return true;
  }

  static bool Send(int socket, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // False if the connection is not to be used again.
  static bool Answer(int socket, const TestRequest& request,
                     const TestReply& reply) {
    using Fault = TestReply::Fault;
    if (reply.fault == Fault::kReset) {
      const linger now{1, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
      return false;
    }
    if (reply.fault == Fault::kSilence) {
      std::string ignored;
      while (Fill(socket, ignored)) continue;
      return false;
    }
    if (reply.fault == Fault::kGarbage) return Send(socket, "hello\r\n\r\n"), 0;
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " x\r\n";
    bool has_length = false;
    for (const auto& [name, value] : reply.headers) {
      head += name + ": " + value + "\r\n";
      has_length |= name == "content-length";
    }
    if (!has_length)
      head += "content-length: " + std::to_string(reply.body.size()) + "\r\n";
    std::string_view body = reply.body;
    if (request.method == "HEAD") body = {};
    const bool cut = reply.fault == Fault::kTruncate;
    if (cut) body = body.substr(0, body.size() / 2);
    return Send(socket, head + "\r\n" + std::string(body)) && !cut;
  }

  const Handler handler_;
  const Fd listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<int> requests_{0};
  Mutex mutex_;
  std::vector<std::shared_ptr<Fd>> sockets_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
  std::jthread accepting_;
};

}  // namespace morsel
