// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>

namespace morsel {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;
using SslPtr = std::unique_ptr<SSL, FreeSsl>;

// Alerts about our certificate come with 1000 + their number (RFC 8446, 6.2):
// bad, unsupported, revoked, expired, unknown certificate, unknown CA, access
// denied, certificate required.
bool IsAboutCertificates(int reason) {
  constexpr std::array<int, 8> kAlerts{42, 43, 44, 45, 46, 48, 49, 116};
  return reason == SSL_R_CERTIFICATE_VERIFY_FAILED ||
         reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
         std::find(kAlerts.begin(), kAlerts.end(), reason - 1000) !=
             kAlerts.end();
}

std::string ReasonOf(unsigned long error) {
  const char* text = ERR_reason_error_string(error);
  return text == nullptr ? "the connection broke" : text;
}

class TlsStream final : public Stream {
 public:
  TlsStream(Fd socket, SslPtr ssl)
      : socket_(std::move(socket)), ssl_(std::move(ssl)) {}

  int fd() const override { return socket_.get(); }

  Result<size_t> Read(std::span<const iovec> parts) override {
    for (const iovec& part : parts) {
      if (part.iov_len == 0) continue;
      ERR_clear_error();
      size_t count = 0;
      const int result =
          SSL_read_ex(ssl_.get(), part.iov_base, part.iov_len, &count);
      if (result != 1) return Explain(result);
      has_heard_ = true;
      return count;
    }
    return size_t{0};
  }

  Result<size_t> Write(std::span<const iovec> parts) override {
    size_t sent = 0;
    for (const iovec& part : parts) {
      size_t at = 0;
      while (at < part.iov_len) {
        ERR_clear_error();
        size_t count = 0;
        const int result =
            SSL_write_ex(ssl_.get(), static_cast<char*>(part.iov_base) + at,
                         part.iov_len - at, &count);
        if (result != 1) {
          if (sent + at > 0) return sent + at;
          return Explain(result);
        }
        at += count;
      }
      sent += at;
    }
    return sent;
  }

  short awaited() const override { return awaited_; }
  bool has_buffered() const override { return SSL_pending(ssl_.get()) > 0; }

  std::string PeerName() const override {
    if (SSL_is_init_finished(ssl_.get()) == 0) return {};
    const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return {};
    std::array<char, 256> name{};
    const int length =
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                  NID_commonName, name.data(), name.size());
    // A name with a zero in it is none.
    const std::string text(name.data());
    return length == static_cast<int>(text.size()) ? text : std::string();
  }

 private:
  // Why a call did not succeed: 0 where it has to wait.
  Result<size_t> Explain(int result) {
    const int kind = SSL_get_error(ssl_.get(), result);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
      awaited_ = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
      return size_t{0};
    }
    if (kind == SSL_ERROR_ZERO_RETURN)
      return MakeError(Code::kUnavailable, "the other side has closed");
    const unsigned long error = ERR_peek_error();
    if (kind == SSL_ERROR_SSL && IsAboutCertificates(ERR_GET_REASON(error)))
      return MakeError(
          Code::kDenied,
          "TLS: " + ReasonOf(error) + "; check the certificates of both sides");
    // In TLS 1.3 a client has done its part before the server looks at its
    // certificate, and what it then sends can overtake the server's alert.
    const char* const hint =
        has_heard_ ? ""
                   : " before the first answer; check the certificates of both "
                     "sides, should it happen again";
    return MakeError(Code::kUnavailable, "TLS: " + ReasonOf(error) + hint);
  }

  const Fd socket_;
  const SslPtr ssl_;
  short awaited_ = POLLIN;
  bool has_heard_ = false;  // anything from the other side
};

class Context final : public TlsContext {
 public:
  Context(Side side, ContextPtr context)
      : side_(side), context_(std::move(context)) {}

  Result<std::unique_ptr<Stream>> MakeStream(
      Fd socket, const std::string& host) const override {
    SslPtr ssl(SSL_new(context_.get()));
    if (ssl == nullptr || SSL_set_fd(ssl.get(), socket.get()) != 1)
      return MakeError(Code::kExhausted, "TLS: no memory for a connection");
    if (side_ == Side::kServer) {
      SSL_set_accept_state(ssl.get());
    } else {
      SSL_set_connect_state(ssl.get());
      RETURN_IF_ERROR(ExpectHost(ssl.get(), host));
    }
    return std::unique_ptr<Stream>(
        std::make_unique<TlsStream>(std::move(socket), std::move(ssl)));
  }

 private:
  static Status ExpectHost(SSL* ssl, const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    const bool is_address =
        inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
        inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
    const bool is_set =
        is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
                                                   host.c_str()) == 1
                   : SSL_set1_host(ssl, host.c_str()) == 1 &&
                         SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    if (is_set) return Ok();
    return MakeError(Code::kInvalid, "TLS: '" + host + "' is no host");
  }

  const Side side_;
  const ContextPtr context_;
};

Error BadFile(const char* what, const std::string& path) {
  const unsigned long error = ERR_peek_error();
  return MakeError(Code::kInvalid, std::string("TLS: ") + what + " '" + path +
                                       "': " + ReasonOf(error));
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::Load(
    Side side, const TlsFiles& files) {
  std::signal(SIGPIPE, SIG_IGN);
  ERR_clear_error();
  ContextPtr context(SSL_CTX_new(TLS_method()));
  if (context == nullptr)
    return MakeError(Code::kInternal, "TLS: OpenSSL gives no context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context.get(),
                     SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  // No sessions are kept: connections are few and long.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  if (SSL_CTX_load_verify_file(context.get(), files.ca.c_str()) != 1)
    return BadFile("authority", files.ca);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) !=
      1)
    return BadFile("certificate", files.cert);
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(),
                                  SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    return BadFile("private key", files.key);
  return std::shared_ptr<const TlsContext>(
      std::make_shared<Context>(side, std::move(context)));
}

}  // namespace morsel
