// SPDX-License-Identifier: Apache-2.0
// A key service for tests that is honest where it matters: it holds its keys,
// checks each request's signature and time, wraps by AES-GCM with the
// encryption context as additional data, and refuses who was denied.
//
// Thread safety: thread-safe.
#pragma once

#include <ctime>
#include <map>
#include <set>
#include <string>

#include "base/base64.h"
#include "base/json.h"
#include "base/mutex.h"
#include "crypto/cipher.h"
#include "net/aws_signer.h"
#include "net/test_http_server.h"

namespace morsel {

class TestKms {
 public:
  TestKms(const std::string& id, const std::string& secret)
      : credentials_{.access_key_id = id,
                     .secret_access_key = SecretText(secret),
                     .session_token = "",
                     .source = ""},
        server_(
            [this](const TestRequest& request) { return Answer(request); }) {}

  std::string url() const { return server_.url(); }
  int requests() const { return server_.requests(); }
  // A key, and a name for it beside its id.
  void AddKey(const std::string& key, const std::string& alias = "") {
    const MutexLock lock(mutex_);
    keys_[key] = SecretKey::Generate(SystemRandom());
    if (!alias.empty()) aliases_[alias] = key;
  }
  void Deny(const std::string& key, bool denied) {
    const MutexLock lock(mutex_);
    if (denied)
      denied_.insert(key);
    else
      denied_.erase(key);
  }

 private:
  static TestReply Refuse(const std::string& name) {
    return {.status = 400,
            .body = "{\"__type\":\"com.amazonaws.kms#" + name +
                    "\",\"message\":\"said the test\"}",
            .headers = {}};
  }

  // Signs what came as its sender should have, and compares.
  bool IsSigned(const TestRequest& request) const {
    const auto header = [&](const std::string& name) {
      const auto it = request.headers.find(name);
      return it == request.headers.end() ? std::string() : it->second;
    };
    std::tm parts{};
    if (::strptime(header("x-amz-date").c_str(), "%Y%m%dT%H%M%SZ", &parts) ==
        nullptr)
      return false;
    const int64_t when = ::timegm(&parts);
    if (std::abs(when - SystemClock().UnixSeconds()) > 300) return false;
    AwsRequest expected;
    expected.method = request.method;
    expected.host = header("host");
    expected.path = request.target;
    expected.body = AsBytes(request.body);
    expected.headers = {{"content-type", header("content-type")},
                        {"x-amz-target", header("x-amz-target")}};
    for (const auto& [name, value] :
         SignAwsRequest(expected, {"test-1", "kms"}, credentials_, when)
             .headers)
      if (name == "authorization") return value == header("authorization");
    return false;
  }

  TestReply Answer(const TestRequest& request) {
    if (!IsSigned(request)) return Refuse("InvalidSignatureException");
    const Result<Json> body = Json::Parse(request.body);
    if (!body.ok()) return Refuse("SerializationException");
    const std::string target = request.headers.at("x-amz-target");
    const Json* context = body->Find("EncryptionContext");
    const std::string data = context == nullptr ? "" : context->Dump();
    const MutexLock lock(mutex_);
    if (target == "TrentService.Decrypt") return Decrypt(*body, data);
    std::string key = body->StringOr("KeyId", "");
    if (aliases_.contains(key)) key = aliases_[key];
    if (!keys_.contains(key)) return Refuse("NotFoundException");
    if (denied_.contains(key)) return Refuse("AccessDeniedException");
    if (target == "TrentService.GenerateDataKey")
      return Encrypt(key, SecretKey::Generate(SystemRandom()).bytes(), data,
                     /*show=*/true);
    if (target != "TrentService.Encrypt")
      return Refuse("UnknownOperationException");
    const Result<Bytes> plain = FromBase64(body->StringOr("Plaintext", ""));
    if (!plain.ok() || plain->empty()) return Refuse("ValidationException");
    return Encrypt(key, *plain, data, /*show=*/false);
  }

  TestReply Encrypt(const std::string& key, ByteSpan plain,
                    const std::string& context, bool show) REQUIRES(mutex_) {
    GcmNonce nonce;
    SystemRandom().Fill(nonce);
    const Bytes sealed = AesGcmSeal(keys_[key], nonce, AsBytes(context), plain);
    Bytes blob = CopyBytes(AsBytes(key + '\0'));
    blob.insert(blob.end(), nonce.begin(), nonce.end());
    blob.insert(blob.end(), sealed.begin(), sealed.end());
    Json answer;
    answer["CiphertextBlob"] = ToBase64(blob);
    answer["KeyId"] = key;
    if (show) answer["Plaintext"] = ToBase64(plain);
    return {.body = answer.Dump(), .headers = {}};
  }

  TestReply Decrypt(const Json& body, const std::string& context)
      REQUIRES(mutex_) {
    const Result<Bytes> blob = FromBase64(body.StringOr("CiphertextBlob", ""));
    if (!blob.ok()) return Refuse("InvalidCiphertextException");
    const std::string_view text = AsText(*blob);
    const std::string key(text.substr(0, text.find('\0')));
    const size_t begin = key.size() + 1;
    if (!keys_.contains(key) ||
        blob->size() < begin + kGcmNonceSize + kGcmTagSize)
      return Refuse("InvalidCiphertextException");
    if (denied_.contains(key)) return Refuse("AccessDeniedException");
    GcmNonce nonce;
    std::copy_n(blob->begin() + static_cast<ptrdiff_t>(begin), kGcmNonceSize,
                nonce.begin());
    const ByteSpan sealed = ByteSpan(*blob).subspan(begin + kGcmNonceSize);
    Bytes plain(sealed.size() - kGcmTagSize);
    if (!AesGcmOpen(keys_[key], nonce, AsBytes(context), sealed, plain).ok())
      return Refuse("InvalidCiphertextException");
    Json answer;
    answer["Plaintext"] = ToBase64(plain);
    answer["KeyId"] = key;
    return {.body = answer.Dump(), .headers = {}};
  }

  const AwsCredentials credentials_;
  Mutex mutex_;
  std::map<std::string, SecretKey> keys_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> aliases_ GUARDED_BY(mutex_);
  std::set<std::string> denied_ GUARDED_BY(mutex_);
  TestHttpServer server_;
};

}  // namespace morsel
