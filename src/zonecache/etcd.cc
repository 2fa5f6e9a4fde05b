// SPDX-License-Identifier: Apache-2.0
#include "zonecache/etcd.h"

#include <charconv>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http_stream.h"

namespace morsel {
namespace {

Result<std::string> TextOf(std::string_view base64) {
  ASSIGN_OR_RETURN_AS(const Bytes bytes, FromBase64(base64), "etcd");
  return std::string(AsText(bytes));
}

// The first key that does not begin with the prefix.
std::string EndOf(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff)
    prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

Result<Json> Post(HttpClient& http, const EtcdOptions& options,
                  const std::string& path, const Json& question) {
  const std::string body = question.Dump();
  const HttpRequest request{.method = "POST",
                            .url = options.url + path,
                            .headers = {{"Content-Type", "application/json"}},
                            .body = AsBytes(body)};
  ASSIGN_OR_RETURN(const HttpAnswer answer, http.Send(request));
  if (answer.status != 200)
    return MakeError(Code::kUnavailable,
                     request.url + ": status " + std::to_string(answer.status));
  return Json::Parse(AsText(answer.body));
}

Result<std::unique_ptr<HttpClient>> MakeClient(const EtcdOptions& options) {
  return MakeHttpClient({.ca_file = options.ca_file,
                         .timeout = std::chrono::milliseconds(5'000),
                         .max_requests = 2});
}

// 64-bit numbers come as text.
Result<int64_t> NumberIn(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const std::string text, json.GetString(key));
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return MakeError(Code::kCorrupt, "etcd: " + std::string(key) +
                                         " is no number: '" + text + "'");
  return value;
}

// "ADDRESS*WEIGHT" for each key, to be parsed like the setting.
Result<std::string> NodesIn(const Json& answer, const std::string& prefix) {
  std::string text;
  const Json* kvs = answer.Find("kvs");
  if (kvs == nullptr || kvs->AsArray() == nullptr) return text;
  for (const Json& kv : *kvs->AsArray()) {
    ASSIGN_OR_RETURN(const std::string coded, kv.GetString("key"));
    ASSIGN_OR_RETURN(const std::string key, TextOf(coded));
    ASSIGN_OR_RETURN(const std::string weight,
                     TextOf(kv.StringOr("value", "")));
    if (key.size() <= prefix.size()) continue;
    text +=
        key.substr(prefix.size()) + (weight.empty() ? "" : "*" + weight) + "\n";
  }
  return text;
}

// Waits for `time`, or until it is to stop.
void Pause(Mutex& mutex, CondVar& stopped, const std::atomic<bool>& stop,
           std::chrono::milliseconds time) {
  const Deadline end = SystemClock().Now() + time;
  const MutexLock lock(mutex);
  while (!stop && stopped.WaitUntil(mutex, end)) continue;
}

}  // namespace

Result<std::unique_ptr<EtcdMembership>> EtcdMembership::Watch(
    const EtcdOptions& options, OnChange on_change) {
  ASSIGN_OR_RETURN(auto http, MakeClient(options));
  return std::unique_ptr<EtcdMembership>(
      new EtcdMembership(options, std::move(on_change), std::move(http)));
}

EtcdMembership::EtcdMembership(const EtcdOptions& options, OnChange on_change,
                               std::unique_ptr<HttpClient> http)
    : options_(options),
      on_change_(std::move(on_change)),
      http_(std::move(http)) {}

void EtcdMembership::Begin() {
  thread_ = std::jthread([this] { Work(); });
}

EtcdMembership::~EtcdMembership() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  stopped_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void EtcdMembership::Work() {
  bool was_well = true;
  while (!stop_) {
    const Result<int64_t> revision = Read();
    const Status changed =
        revision.ok() ? AwaitChange(*revision) : Status(revision.error());
    if (changed.ok()) {
      was_well = true;
      continue;
    }
    if (was_well)
      LogWarn("etcd does not answer; the last nodes stay",
              {{"error", changed.error().message}});
    was_well = false;
    Pause(mutex_, stopped_, stop_, options_.pause);
  }
}

Result<int64_t> EtcdMembership::Read() {
  Json question;
  question["key"] = ToBase64(AsBytes(options_.prefix));
  question["range_end"] = ToBase64(AsBytes(EndOf(options_.prefix)));
  ASSIGN_OR_RETURN(const Json answer,
                   Post(*http_, options_, "/v3/kv/range", question));
  const Json* header = answer.Find("header");
  if (header == nullptr)
    return MakeError(Code::kCorrupt, "etcd: an answer without header");
  ASSIGN_OR_RETURN(const int64_t revision, NumberIn(*header, "revision"));
  ASSIGN_OR_RETURN(const std::string text, NodesIn(answer, options_.prefix));
  ASSIGN_OR_RETURN(std::vector<NodeSpec> nodes, ParseNodes(text));
  if (last_ != nodes) {
    LogInfo("zone cache nodes of etcd", {{"count", nodes.size()}});
    on_change_(nodes);
    last_ = std::move(nodes);
  }
  return revision;
}

Status EtcdMembership::AwaitChange(int64_t revision) {
  Json create;
  create["key"] = ToBase64(AsBytes(options_.prefix));
  create["range_end"] = ToBase64(AsBytes(EndOf(options_.prefix)));
  create["start_revision"] = std::to_string(revision + 1);
  Json question;
  question["create_request"] = create;
  // One JSON line an event. Which one does not matter: the list is read anew.
  std::string line;
  return StreamHttp(
      {options_.url + "/v3/watch", question.Dump(), options_.ca_file},
      [&](ByteSpan bytes) {
        line += AsText(bytes);
        const size_t end = line.rfind('\n');
        const std::string_view whole = std::string_view(line).substr(
            0, end == std::string::npos ? 0 : end);
        const bool has_event =
            whole.find("\"events\"") != std::string_view::npos ||
            whole.find("\"canceled\"") != std::string_view::npos ||
            whole.find("\"error\"") != std::string_view::npos;
        if (line.size() > kMiB || has_event) return false;
        line.erase(0, end == std::string::npos ? 0 : end + 1);
        return true;
      },
      stop_);
}

Result<std::unique_ptr<EtcdLease>> EtcdLease::Keep(const EtcdOptions& options,
                                                   const std::string& address,
                                                   const std::string& weight) {
  RETURN_IF_ERROR(ParseNodes(address + "*" + weight));
  ASSIGN_OR_RETURN(auto http, MakeClient(options));
  return std::unique_ptr<EtcdLease>(
      new EtcdLease(options, address, weight, std::move(http)));
}

EtcdLease::EtcdLease(const EtcdOptions& options, const std::string& address,
                     const std::string& weight,
                     std::unique_ptr<HttpClient> http)
    : options_(options),
      address_(address),
      weight_(weight),
      http_(std::move(http)),
      thread_([this] { Work(); }) {}

EtcdLease::~EtcdLease() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  stopped_.NotifyAll();
  thread_.join();
  if (lease_.empty()) return;
  Json question;
  question["ID"] = lease_;
  // If it fails the lease ends by itself.
  (void)Post(*http_, options_, "/v3/lease/revoke", question);
}

void EtcdLease::Work() {
  bool was_well = true;
  while (!stop_) {
    const Status kept = lease_.empty() ? Register() : Renew();
    if (!kept.ok() && was_well)
      LogWarn("etcd does not list this node",
              {{"error", kept.error().message}});
    was_well = kept.ok();
    Pause(mutex_, stopped_, stop_,
          kept.ok() ? std::chrono::milliseconds(options_.lease) / 3
                    : options_.pause);
  }
}

Status EtcdLease::Register() {
  Json grant;
  grant["TTL"] = std::to_string(options_.lease.count());
  ASSIGN_OR_RETURN(const Json granted,
                   Post(*http_, options_, "/v3/lease/grant", grant));
  ASSIGN_OR_RETURN(std::string lease, granted.GetString("ID"));
  Json put;
  put["key"] = ToBase64(AsBytes(options_.prefix + address_));
  put["value"] = ToBase64(AsBytes(weight_));
  put["lease"] = lease;
  RETURN_IF_ERROR(Post(*http_, options_, "/v3/kv/put", put));
  lease_ = std::move(lease);
  return Ok();
}

Status EtcdLease::Renew() {
  Json question;
  question["ID"] = lease_;
  ASSIGN_OR_RETURN(const Json answer,
                   Post(*http_, options_, "/v3/lease/keepalive", question));
  const Json* result = answer.Find("result");
  // Without a time to live it has ended: begin anew.
  if (result != nullptr && result->StringOr("TTL", "0") != "0") return Ok();
  lease_.clear();
  return Register();
}

}  // namespace morsel
