// SPDX-License-Identifier: Apache-2.0
#include "keys/kms_key_service.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/json.h"
#include "crypto/hash.h"
#include "net/aws_signer.h"

namespace morsel {
namespace {

constexpr size_t kKeyIdDigits = 16;
constexpr uint64_t kMaxAnswerBytes = 64 * kKiB;
constexpr const char* kContextName = "morsel";

std::string IdOf(const KmsOptions& options) {
  const std::string text =
      "morsel-kms-key-id-1" + options.region + ":" + options.key;
  return std::string(kKmsKeyPrefix) +
         ToHex(Sha256Of(AsBytes(text))).substr(0, kKeyIdDigits);
}

void WipeText(std::string& text) {
  Wipe(std::as_writable_bytes(std::span(text.data(), text.size())));
}

// "com.amazonaws.kms#DisabledException" and "DisabledException" alike.
std::string ErrorName(const Json& json) {
  const std::string type = json.StringOr("__type", "");
  return type.substr(type.find('#') + 1);  // npos + 1 is 0
}

Code CodeOf(int status, const std::string& name) {
  if (name == "InvalidCiphertextException") return Code::kCorrupt;
  if (name == "ThrottlingException" || name == "LimitExceededException" ||
      name == "KMSInternalException" || name == "DependencyTimeoutException" ||
      name == "KeyUnavailableException" || status >= 500 || status == 429)
    return Code::kUnavailable;
  if (name == "ValidationException" || name == "SerializationException" ||
      name == "InvalidArnException")
    return Code::kInvalid;
  // AccessDenied, Disabled, NotFound, KMSInvalidState, IncorrectKey, and all
  // that is wrong with credentials, signature or clock.
  return Code::kDenied;
}

bool IsExpired(const std::string& name) {
  return name == "ExpiredTokenException" || name == "ExpiredToken" ||
         name == "UnrecognizedClientException";
}

class KmsKeys final : public KeyService {
 public:
  KmsKeys(KmsOptions options, std::string scheme, std::string host,
          KmsKeyService::Parts parts)
      : options_(std::move(options)),
        id_(IdOf(options_)),
        scheme_(std::move(scheme)),
        host_(std::move(host)),
        parts_(std::move(parts)) {}

  std::string KeyId() const override { return id_; }

  Result<WrappedKey> Wrap(const SecretKey& data_key,
                          std::string_view context) override {
    Json body = Question(context);
    body["KeyId"] = options_.key;
    body["Plaintext"] = ToBase64(data_key.bytes());
    ASSIGN_OR_RETURN(const Json answer, Ask("Encrypt", std::move(body)));
    return ReadBlob(answer);
  }

  Result<GeneratedKey> Generate(std::string_view context) override {
    Json body = Question(context);
    body["KeyId"] = options_.key;
    body["KeySpec"] = "AES_256";
    ASSIGN_OR_RETURN(Json answer, Ask("GenerateDataKey", std::move(body)));
    GeneratedKey generated;
    ASSIGN_OR_RETURN(generated.key, TakePlaintext(answer));
    ASSIGN_OR_RETURN(generated.wrapped, ReadBlob(answer));
    return generated;
  }

  Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                           std::string_view context) override {
    if (!wrapped.key_id.starts_with(kKmsKeyPrefix))
      return MakeError(Code::kDenied, "it is wrapped by the key " +
                                          wrapped.key_id +
                                          " of a key file, not by KMS");
    Bytes blob(wrapped.blob_hex.size() / 2);
    const Status parsed = ParseHex(wrapped.blob_hex, blob);
    if (!parsed.ok())
      return MakeError(Code::kCorrupt,
                       "a wrapped key is damaged: " + parsed.error().message);
    Json body = Question(context);
    body["CiphertextBlob"] = ToBase64(blob);
    Result<Json> answer = Ask("Decrypt", std::move(body));
    if (!answer.ok() && answer.error().code == Code::kCorrupt)
      return MakeError(Code::kCorrupt,
                       "a wrapping of the key " + wrapped.key_id +
                           " does not fit the name '" + std::string(context) +
                           "': it is damaged, or was put in another's place (" +
                           answer.error().message + ")");
    if (!answer.ok()) return std::move(answer).error();
    return TakePlaintext(*answer);
  }

 private:
  static Json Question(std::string_view context) {
    Json body;
    body["EncryptionContext"][kContextName] = context;
    return body;
  }

  Result<WrappedKey> ReadBlob(const Json& answer) const {
    ASSIGN_OR_RETURN_AS(const std::string text,
                        answer.GetString("CiphertextBlob"), "KMS's answer");
    ASSIGN_OR_RETURN_AS(const Bytes blob, FromBase64(text), "KMS's answer");
    return WrappedKey{.key_id = id_, .blob_hex = ToHex(blob)};
  }

  static Result<SecretKey> TakePlaintext(Json& answer) {
    const Json* found = answer.Find("Plaintext");
    if (found == nullptr || found->AsString() == nullptr)
      return MakeError(Code::kCorrupt,
                       "KMS's answer has no Plaintext; is kms.endpoint a KMS?");
    // `answer` is ours, and no copy of a key outlives its use.
    auto& text = const_cast<std::string&>(*found->AsString());
    Result<Bytes> bytes = FromBase64(text);
    WipeText(text);
    if (!bytes.ok() || bytes->size() != kKeySize)
      return MakeError(
          Code::kCorrupt,
          "KMS's answer has no 256-bit key; is kms.endpoint a KMS?");
    SecretKey key{*bytes};
    Wipe(*bytes);
    return key;
  }

  Result<Json> Ask(const std::string& action, Json body);
  Error Judge(const std::string& what, int status, const Json& json) const;

  const KmsOptions options_;
  const std::string id_;
  const std::string scheme_;
  const std::string host_;
  const KmsKeyService::Parts parts_;
};

Error KmsKeys::Judge(const std::string& what, int status,
                     const Json& json) const {
  const std::string name = ErrorName(json);
  const std::string why =
      json.StringOr("message", json.StringOr("Message", ""));
  const Code code = CodeOf(status, name);
  std::string text =
      what + ": " + (name.empty() ? "status " + std::to_string(status) : name);
  if (!why.empty()) text += " (" + why.substr(0, 300) + ")";
  if (code == Code::kDenied)
    text += ": these credentials may not use the key " + options_.key +
            ", or it is disabled";
  return MakeError(code, text);
}

Result<Json> KmsKeys::Ask(const std::string& action, Json body) {
  const std::string what = "KMS " + action + " at " + host_;
  std::string text = body.Dump();
  AwsRequest request;
  request.method = "POST";
  request.scheme = scheme_;
  request.host = host_;
  request.headers = {{"content-type", "application/x-amz-json-1.1"},
                     {"x-amz-target", "TrentService." + action}};
  request.body = AsBytes(text);
  for (int tries = 1;; ++tries) {
    Result<AwsCredentials> credentials = parts_.credentials->Get();
    if (!credentials.ok())
      return std::move(credentials).error().Wrap("the key service " + what);
    HttpRequest sent = SignAwsRequest(request, {options_.region, "kms"},
                                      *credentials, parts_.clock.UnixSeconds());
    sent.max_answer_bytes = kMaxAnswerBytes;
    Result<HttpAnswer> answer = parts_.http->Send(sent);
    Error error;
    if (answer.ok()) {
      Result<Json> json = Json::Parse(AsText(answer->body));
      Wipe(answer->body);
      if (answer->status == 200 && json.ok()) {
        parts_.retries.Succeeded();
        WipeText(text);
        return json;
      }
      const Json described = json.ok() ? std::move(*json) : Json();
      error = Judge(what, answer->status, described);
      if (IsExpired(ErrorName(described)) && tries == 1) {
        parts_.credentials->Reject(*credentials);
        if (parts_.retries.TryAgain(tries)) continue;
      }
    } else {
      error = std::move(answer).error().Wrap(what);
    }
    const bool again = error.code == Code::kUnavailable ||
                       (error.code == Code::kTimeout && tries == 1);
    if (again && parts_.retries.TryAgain(tries)) continue;
    WipeText(text);
    return error;
  }
}

}  // namespace

Result<std::unique_ptr<KeyService>> KmsKeyService::Open(
    const KmsOptions& options) {
  ASSIGN_OR_RETURN(auto http, MakeHttpClient({.ca_file = options.ca_file}));
  return Open(options, {.http = std::move(http),
                        .credentials = MakeAwsCredentialSource(
                            {.profile = options.profile, .environment = {}}),
                        .retries = ProcessRetryBudget(),
                        .clock = SystemClock()});
}

Result<std::unique_ptr<KeyService>> KmsKeyService::Open(
    const KmsOptions& options, Parts parts) {
  if (options.key.empty())
    return MakeError(Code::kInvalid,
                     "the key service aws-kms needs a key: set kms.key to its "
                     "id, its ARN, or alias/NAME");
  std::string url = options.endpoint;
  if (url.empty()) url = "https://kms." + options.region + ".amazonaws.com";
  while (url.ends_with('/')) url.pop_back();
  const size_t colon = std::min(url.find("://"), url.size());
  const std::string scheme = url.substr(0, colon);
  if (colon == url.size() || (scheme != "http" && scheme != "https") ||
      url.find('/', colon + 3) != std::string::npos)
    return MakeError(Code::kInvalid, "kms.endpoint: '" + options.endpoint +
                                         "' must be http[s]://HOST[:PORT]");
  return std::unique_ptr<KeyService>(std::make_unique<KmsKeys>(
      options, scheme, url.substr(colon + 3), std::move(parts)));
}

}  // namespace morsel
