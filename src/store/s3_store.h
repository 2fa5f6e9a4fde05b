// SPDX-License-Identifier: Apache-2.0
// S3Store: an ObjectStore in a bucket of any S3-compatible service.
//
// A version is the object's ETag: for an object that was put in one request
// the MD5 of its bytes, so one never returns for other bytes. Conditional
// writes are single requests (If-None-Match: *, If-Match), whatever their
// size, since services differ on conditions of multipart uploads; a plain Put
// above `multipart_bytes` goes in parts.
//
// Some services (Ceph RGW 16) hold an If-Match in quotes, as RFC 9110 has it,
// for changed, others one without. The first time that a condition fails
// though the object has that version, the other form is tried, and kept.
//
// A request that fails in a way that may pass is sent again, within the
// process's budget (net/retry.h). After a lost answer a conditional write may
// meet its own first try: it is then kExists, and the caller reads what is
// there, as after any other.
//
// Opening for reading sends nothing, so that no daemon needs the service in
// order to start.
//
// Thread safety: thread-safe.
// Errors beyond ObjectStore's: kInvalid for a bucket that does not exist or
// lies elsewhere, and for what the service cannot do; kDenied also for a clock
// that is wrong, and for a certificate that is not trusted; kCorrupt for an
// answer that is no S3.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/aws_credentials.h"
#include "net/aws_signer.h"
#include "net/http_client.h"
#include "net/retry.h"
#include "store/object_store.h"
#include "store/s3_address.h"

namespace morsel {

class S3Store final : public ObjectStore {
 public:
  struct Parts {
    std::unique_ptr<HttpClient> http;
    std::unique_ptr<AwsCredentialSource> credentials;
    RetryBudget& retries;
    Clock& clock;
  };

  // kWrite tries the conditional writes.
  static Result<std::unique_ptr<ObjectStore>> Open(const S3Address& address,
                                                   Access access);
  static Result<std::unique_ptr<ObjectStore>> Open(const S3Address& address,
                                                   Access access, Parts parts);

  // Resolves the service's name, opens a connection and fetches credentials,
  // as far as that works: for a process that is confined afterwards.
  void WarmUp();

  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override;
  Status PutIfAbsent(std::string_view key, ByteSpan bytes) override;
  Status Put(std::string_view key, ByteSpan bytes) override;
  Status ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                            std::string_view version) override;
  Result<ObjectInfo> Head(std::string_view key) override;
  Result<ObjectPage> List(std::string_view prefix, std::string_view after,
                          size_t limit) override;
  Status Delete(std::string_view key) override;
  Status Copy(std::string_view source, std::string_view target) override;

 private:
  struct Call {
    std::string method;
    std::string object;  // with the prefix; empty: the bucket
    std::vector<std::pair<std::string, std::string>> query;
    HttpHeaders headers;
    ByteSpan body;
    uint64_t max_answer_bytes = kMiB;
  };

  S3Store(S3Address address, Access access, Parts parts)
      : address_(std::move(address)),
        access_(access),
        parts_(std::move(parts)) {}

  std::string Object(std::string_view key) const;
  Status CheckWrite(std::string_view key) const;
  AwsRequest Describe(const Call& call) const;
  // The answer, if it is a success, "not found", "condition failed" or "no
  // such range"; anything else is an error, after the tries it is worth.
  Result<HttpAnswer> Send(const Call& call);
  Result<HttpAnswer> SendPut(std::string_view key, ByteSpan bytes,
                             HttpHeaders headers);
  Result<HttpAnswer> SendReplace(std::string_view key, ByteSpan bytes,
                                 const std::string& version, bool quoted);
  Status PutInParts(const std::string& object, ByteSpan bytes);
  Status PutParts(const std::string& object, const std::string& upload,
                  ByteSpan bytes);

  const S3Address address_;
  const Access access_;
  const Parts parts_;
  std::atomic<bool> quotes_etags_{true};
};

}  // namespace morsel
