// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/process.h"
#include "base/random.h"
#include "net/tcp.h"

namespace morsel {
namespace {

using Side = TlsContext::Side;

// An authority and what it signs, made by openssl(1).
class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::filesystem::temp_directory_path() /
              ("morsel-tls-" + RandomHex(SystemRandom(), 8));
    std::filesystem::create_directory(folder_);
    MakeAuthority("ca");
    MakeAuthority("other");
    Sign("node", "ca", "IP:127.0.0.1,DNS:localhost");
    Sign("worker", "ca", "DNS:worker");
    Sign("stranger", "other", "DNS:worker");
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static std::string Path(const std::string& name) {
    return (folder_ / name).string();
  }
  static void MakeAuthority(const std::string& name) {
    const auto made = RunChecked(
        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
         Path(name + ".key"), "-out", Path(name + ".pem")});
    ASSERT_TRUE(made.ok()) << made.error().message;
  }
  static void Sign(const std::string& name, const std::string& authority,
                   const std::string& hosts) {
    const auto made = RunChecked({"openssl",
                                  "req",
                                  "-x509",
                                  "-newkey",
                                  "ec",
                                  "-pkeyopt",
                                  "ec_paramgen_curve:P-256",
                                  "-nodes",
                                  "-subj",
                                  "/CN=" + name,
                                  "-addext",
                                  "subjectAltName=" + hosts,
                                  "-addext",
                                  "basicConstraints=CA:FALSE",
                                  "-CA",
                                  Path(authority + ".pem"),
                                  "-CAkey",
                                  Path(authority + ".key"),
                                  "-keyout",
                                  Path(name + ".key"),
                                  "-out",
                                  Path(name + ".pem")});
    ASSERT_TRUE(made.ok()) << made.error().message;
  }
  static TlsFiles Files(const std::string& name,
                        const std::string& authority = "ca") {
    return {Path(authority + ".pem"), Path(name + ".pem"), Path(name + ".key")};
  }

  void Connect(const TlsFiles& client, const std::string& host = "127.0.0.1") {
    const Fd listener =
        ListenOn(ResolveAddress("127.0.0.1:0").value(), 1).value();
    Fd socket = BeginConnect(BoundAddress(listener.get()).value()).value();
    pollfd entry{listener.get(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
    Fd accepted = AcceptConnection(listener.get()).value().value();
    const auto server_context = TlsContext::Load(Side::kServer, Files("node"));
    const auto client_context = TlsContext::Load(Side::kClient, client);
    ASSERT_TRUE(server_context.ok()) << server_context.error().message;
    ASSERT_TRUE(client_context.ok()) << client_context.error().message;
    server_ = (*server_context)->MakeStream(std::move(accepted), "").value();
    client_ = (*client_context)->MakeStream(std::move(socket), host).value();
  }

  // Sends `text` from the client to the server; what arrives, or the first
  // error of each side.
  std::string Exchange(const std::string& text) {
    std::string left = text;
    std::string arrived;
    std::string buffer(100'000, '\0');
    while (arrived.size() < text.size()) {
      const std::array<iovec, 1> part{iovec{left.data(), left.size()}};
      const std::array<iovec, 1> room{iovec{buffer.data(), buffer.size()}};
      const auto sent =
          left.empty() ? client_->Read(room) : client_->Write(part);
      const auto received = server_->Read(room);
      if (!sent.ok()) client_error_ = sent.error();
      if (!received.ok()) server_error_ = received.error();
      if (!sent.ok() || !received.ok()) {
        if (sent.ok()) client_error_ = LastError(*client_, room);
        return arrived;
      }
      if (!left.empty()) left.erase(0, *sent);
      arrived.append(buffer, 0, *received);
    }
    return arrived;
  }

  // What a side says when it goes on reading.
  static Error LastError(Stream& stream, std::span<const iovec> room) {
    while (true) {
      const auto count = stream.Read(room);
      if (!count.ok()) return count.error();
      pollfd entry{stream.fd(), stream.awaited(), 0};
      if (poll(&entry, 1, 60'000) != 1) return {};
    }
  }

  static std::filesystem::path folder_;
  std::unique_ptr<Stream> server_;
  std::unique_ptr<Stream> client_;
  Error client_error_;
  Error server_error_;
};

std::filesystem::path TlsTest::folder_;

TEST_F(TlsTest, BytesArriveAndTheClientIsKnownByName) {
  Connect(Files("worker"));
  EXPECT_EQ(server_->PeerName(), "");
  const std::string text(1'000'000, 'x');
  EXPECT_TRUE(Exchange(text) == text);
  EXPECT_EQ(server_->PeerName(), "worker");
  EXPECT_EQ(client_->PeerName(), "node");
}

TEST_F(TlsTest, AClientOfAnotherAuthorityIsDenied) {
  Connect(Files("stranger"));
  EXPECT_EQ(Exchange("hello"), "");
  EXPECT_EQ(server_error_.code, Code::kDenied);
  EXPECT_EQ(client_error_.code, Code::kDenied) << client_error_.message;
}

TEST_F(TlsTest, AServerOfAnotherAuthorityIsDenied) {
  Connect(Files("worker", "other"));
  EXPECT_EQ(Exchange("hello"), "");
  EXPECT_EQ(client_error_.code, Code::kDenied) << client_error_.message;
}

TEST_F(TlsTest, AServerForAnotherHostIsDenied) {
  Connect(Files("worker"), "elsewhere.example");
  EXPECT_EQ(Exchange("hello"), "");
  EXPECT_EQ(client_error_.code, Code::kDenied) << client_error_.message;
  Connect(Files("worker"), "localhost");
  EXPECT_EQ(Exchange("hello"), "hello");
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  TlsFiles files = Files("node");
  files.key = Path("worker.key");
  const auto context = TlsContext::Load(Side::kServer, files);
  ASSERT_FALSE(context.ok());
  EXPECT_EQ(context.error().code, Code::kInvalid);
  EXPECT_NE(context.error().message.find("worker.key"), std::string::npos);
  files.ca = Path("none.pem");
  EXPECT_EQ(TlsContext::Load(Side::kServer, files).error().code,
            Code::kInvalid);
}

}  // namespace
}  // namespace morsel
