// SPDX-License-Identifier: Apache-2.0
#include "net/aws_credentials.h"

#include <cstdlib>

#include "base/json.h"
#include "base/log.h"
#include "base/mutex.h"
#include "crypto/secret_file.h"
#include "net/http_client.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxFileBytes = 1 * kMiB;
constexpr uint64_t kMaxAnswerBytes = 64 * kKiB;
constexpr const char* kContainerHost = "http://169.254.170.2";
constexpr const char* kInstanceHost = "http://169.254.169.254";
constexpr const char* kInstancePath =
    "/latest/meta-data/iam/security-credentials/";

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

// The metadata of the machine or the container, which expire.
class MetadataReader {
 public:
  explicit MetadataReader(const AwsCredentialOptions& options)
      : options_(options) {}

  // No value: there is no such endpoint here.
  Result<std::optional<AwsCredentials>> FromContainer() const;
  Result<std::optional<AwsCredentials>> FromInstance() const;

 private:
  std::string Variable(const std::string& name) const {
    return options_.environment(name).value_or("");
  }
  // The client that does not wait long: where there is no metadata, packets
  // to its address just vanish.
  static Result<std::unique_ptr<HttpClient>> QuickClient() {
    return MakeHttpClient({.ca_file = "",
                           .connect_timeout = std::chrono::milliseconds(1'000),
                           .timeout = std::chrono::milliseconds(5'000)});
  }
  static Result<std::string> Fetch(HttpClient& client, std::string method,
                                   std::string url, HttpHeaders headers);

  const AwsCredentialOptions& options_;
};

Result<std::string> MetadataReader::Fetch(HttpClient& client,
                                          std::string method, std::string url,
                                          HttpHeaders headers) {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers = std::move(headers);
  request.max_answer_bytes = kMaxAnswerBytes;
  ASSIGN_OR_RETURN(const HttpAnswer answer, client.Send(request));
  if (answer.status == 404)
    return MakeError(Code::kNotFound, request.url + ": not found");
  if (answer.status / 100 != 2)
    return MakeError(
        answer.status / 100 == 5 ? Code::kUnavailable : Code::kDenied,
        request.url + ": status " + std::to_string(answer.status));
  return std::string(AsText(answer.body));
}

Result<std::optional<AwsCredentials>> MetadataReader::FromContainer() const {
  const std::string relative =
      Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (relative.empty() && full.empty()) return std::optional<AwsCredentials>();
  std::string token = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file =
          Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !file.empty()) {
    ASSIGN_OR_RETURN_AS(const SecretBuffer bytes,
                        ReadSecretFile(file, kMaxFileBytes),
                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    token = Trim(AsText(bytes.bytes()));
    while (!token.empty() && token.back() == '\n') token.pop_back();
  }
  HttpHeaders headers;
  if (!token.empty()) headers.emplace_back("authorization", token);
  const std::string url = full.empty() ? kContainerHost + relative : full;
  ASSIGN_OR_RETURN(const auto client, QuickClient());
  ASSIGN_OR_RETURN_AS(const std::string text,
                      Fetch(*client, "GET", url, std::move(headers)),
                      "the container's credentials");
  ASSIGN_OR_RETURN(AwsCredentials found, ParseAwsCredentialJson(text, url));
  return std::optional(std::move(found));
}

Result<std::optional<AwsCredentials>> MetadataReader::FromInstance() const {
  if (Variable("AWS_EC2_METADATA_DISABLED") == "true")
    return std::optional<AwsCredentials>();
  std::string host = Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (host.empty()) host = kInstanceHost;
  while (host.back() == '/') host.pop_back();
  ASSIGN_OR_RETURN(const auto client, QuickClient());
  const Result<std::string> token =
      Fetch(*client, "PUT", host + "/latest/api/token",
            {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  // Nobody there, or nobody who knows the question: not such a machine.
  if (!token.ok()) return std::optional<AwsCredentials>();
  const HttpHeaders headers = {{"x-aws-ec2-metadata-token", *token}};
  const Result<std::string> roles =
      Fetch(*client, "GET", host + kInstancePath, headers);
  if (!roles.ok() && roles.error().code == Code::kNotFound)
    return std::optional<AwsCredentials>();  // a machine without a role
  if (!roles.ok()) return roles.error();
  const std::string role(Trim(roles->substr(0, roles->find('\n'))));
  const std::string url = host + kInstancePath + UriEncode(role, false);
  ASSIGN_OR_RETURN_AS(const std::string text,
                      Fetch(*client, "GET", url, headers),
                      "the instance's credentials");
  ASSIGN_OR_RETURN(AwsCredentials found, ParseAwsCredentialJson(text, url));
  return std::optional(std::move(found));
}

class CredentialChain final : public AwsCredentialSource {
 public:
  explicit CredentialChain(AwsCredentialOptions options)
      : options_(std::move(options)) {}

  Result<AwsCredentials> Get() override EXCLUDES(mutex_);
  void Reject(const AwsCredentials& credentials) override EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (cached_ && cached_->access_key_id == credentials.access_key_id &&
        cached_->session_token == credentials.session_token)
      cached_.reset();
  }

 private:
  std::string Variable(const std::string& name) const {
    return options_.environment(name).value_or("");
  }
  Result<AwsCredentials> Look() const;
  std::optional<AwsCredentials> FromEnvironment() const;
  Result<std::optional<AwsCredentials>> FromFiles() const;
  Result<std::optional<AwsCredentials>> FromFile(
      const std::string& path, const std::string& section) const;

  const AwsCredentialOptions options_;
  Mutex mutex_;
  CondVar looked_;
  bool looking_ GUARDED_BY(mutex_) = false;
  std::optional<AwsCredentials> cached_ GUARDED_BY(mutex_);
};

std::optional<AwsCredentials> CredentialChain::FromEnvironment() const {
  AwsCredentials found;
  found.access_key_id = Variable("AWS_ACCESS_KEY_ID");
  std::string secret = Variable("AWS_SECRET_ACCESS_KEY");
  found.secret_access_key = SecretText::TakeFrom(secret);
  found.session_token = Variable("AWS_SESSION_TOKEN");
  found.source = "the environment";
  if (found.access_key_id.empty() || found.secret_access_key.empty())
    return std::nullopt;
  return found;
}

Result<std::optional<AwsCredentials>> CredentialChain::FromFile(
    const std::string& path, const std::string& section) const {
  const Result<SecretBuffer> bytes = ReadSecretFile(path, kMaxFileBytes);
  // A file that is not ours to read is as good as none: a daemon without
  // rights runs beside the user whose file that is.
  if (!bytes.ok() && (bytes.error().code == Code::kNotFound ||
                      bytes.error().code == Code::kDenied))
    return std::optional<AwsCredentials>();
  if (!bytes.ok()) return bytes.error();
  return ParseAwsProfile(AsText(bytes->bytes()), section, path);
}

Result<std::optional<AwsCredentials>> CredentialChain::FromFiles() const {
  std::string profile = options_.profile;
  if (profile.empty()) profile = Variable("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  const std::string home = Variable("HOME") + "/.aws/";
  std::string credentials = Variable("AWS_SHARED_CREDENTIALS_FILE");
  std::string config = Variable("AWS_CONFIG_FILE");
  if (credentials.empty()) credentials = home + "credentials";
  if (config.empty()) config = home + "config";
  ASSIGN_OR_RETURN(std::optional<AwsCredentials> found,
                   FromFile(credentials, profile));
  if (found) return found;
  return FromFile(config,
                  profile == "default" ? profile : "profile " + profile);
}

Result<AwsCredentials> CredentialChain::Look() const {
  if (options_.profile.empty())
    if (std::optional<AwsCredentials> found = FromEnvironment())
      return *std::move(found);
  ASSIGN_OR_RETURN(std::optional<AwsCredentials> found, FromFiles());
  if (found) return *std::move(found);
  if (!options_.profile.empty())
    return MakeError(Code::kDenied, "there is no profile '" + options_.profile +
                                        "' with AWS keys in ~/.aws/credentials "
                                        "or ~/.aws/config");
  const MetadataReader metadata(options_);
  ASSIGN_OR_RETURN(found, metadata.FromContainer());
  if (!found) {
    ASSIGN_OR_RETURN(found, metadata.FromInstance());
  }
  if (found) return *std::move(found);
  return MakeError(Code::kDenied,
                   "there are no AWS credentials: neither AWS_ACCESS_KEY_ID "
                   "and AWS_SECRET_ACCESS_KEY in the environment, nor in "
                   "~/.aws/credentials, nor from the container or the "
                   "instance");
}

Result<AwsCredentials> CredentialChain::Get() {
  Clock& clock = options_.clock == nullptr ? SystemClock() : *options_.clock;
  {
    const MutexLock lock(mutex_);
    while (true) {
      const int64_t left =
          !cached_ || cached_->expires_unix_seconds == 0
              ? kRefreshSeconds + 1
              : cached_->expires_unix_seconds - clock.UnixSeconds();
      if (cached_ && left > kRefreshSeconds) return *cached_;
      if (!looking_) break;
      if (cached_ && left > 0) return *cached_;  // another one is at it
      looked_.Wait(mutex_);
    }
    looking_ = true;
  }
  Result<AwsCredentials> found = Look();
  const MutexLock lock(mutex_);
  looking_ = false;
  looked_.NotifyAll();
  if (found.ok()) {
    cached_ = *found;
    return found;
  }
  if (!cached_ || cached_->expires_unix_seconds <= clock.UnixSeconds())
    return found;
  LogWarn(
      "the AWS credentials could not be fetched anew; the old ones are "
      "used until they expire",
      {{"cause", found.error().message},
       {"expire", FormatUtc(cached_->expires_unix_seconds)}});
  return *cached_;
}

}  // namespace

std::unique_ptr<AwsCredentialSource> MakeAwsCredentialSource(
    AwsCredentialOptions options) {
  if (!options.environment) options.environment = ProcessEnvironment;
  return std::make_unique<CredentialChain>(std::move(options));
}

std::string AwsRegion(const std::string& region) {
  if (!region.empty()) return region;
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"})
    if (const auto value = ProcessEnvironment(variable)) return *value;
  return "us-east-1";
}

Result<std::optional<AwsCredentials>> ParseAwsProfile(
    std::string_view text, std::string_view section, const std::string& where) {
  AwsCredentials found;
  bool inside = false;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      if (line.back() != ']')
        return MakeError(Code::kInvalid, where + ":" + std::to_string(number) +
                                             ": a section has no ']'");
      inside = Trim(line.substr(1, line.size() - 2)) == section;
      continue;
    }
    const size_t equals = line.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    const std::string_view name = Trim(line.substr(0, equals));
    const std::string_view value = Trim(line.substr(equals + 1));
    if (name == "aws_access_key_id") found.access_key_id = value;
    if (name == "aws_secret_access_key")
      found.secret_access_key = SecretText(value);
    if (name == "aws_session_token") found.session_token = value;
  }
  if (found.access_key_id.empty() && found.secret_access_key.empty())
    return std::optional<AwsCredentials>();
  if (found.access_key_id.empty() || found.secret_access_key.empty())
    return MakeError(Code::kInvalid,
                     where + ": the section [" + std::string(section) +
                         "] has only one of aws_access_key_id and "
                         "aws_secret_access_key");
  found.source = where;
  return std::optional(std::move(found));
}

Result<AwsCredentials> ParseAwsCredentialJson(std::string_view text,
                                              const std::string& where) {
  ASSIGN_OR_RETURN_AS(const Json json, Json::Parse(text), where);
  AwsCredentials found;
  ASSIGN_OR_RETURN_AS(found.access_key_id, json.GetString("AccessKeyId"),
                      where);
  ASSIGN_OR_RETURN_AS(std::string secret, json.GetString("SecretAccessKey"),
                      where);
  found.secret_access_key = SecretText::TakeFrom(secret);
  ASSIGN_OR_RETURN_AS(found.session_token, json.GetString("Token"), where);
  ASSIGN_OR_RETURN_AS(const std::string expires, json.GetString("Expiration"),
                      where);
  found.expires_unix_seconds = ParseHttpDate(expires);
  if (found.expires_unix_seconds == 0)
    return MakeError(Code::kInvalid,
                     where + ": '" + expires + "' is no time of expiry");
  found.source = where;
  return found;
}

}  // namespace morsel
