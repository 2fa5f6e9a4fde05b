// SPDX-License-Identifier: Apache-2.0
#include "store/open_store.h"

#include "net/http_client.h"
#include "store/dir_store.h"
#include "store/filter_store.h"
#include "store/s3_address.h"
#include "store/s3_store.h"

namespace morsel {
namespace {

bool IsS3(const std::string& origin) { return origin.starts_with("s3://"); }

// Lets writes through below some folders alone.
class PartStore final : public FilterStore {
 public:
  PartStore(ObjectStore& next, std::vector<std::string> folders)
      : FilterStore(next), folders_(std::move(folders)) {}

 private:
  Status Before(const StoreCall& call) override {
    if (call.op == StoreOp::kGet || call.op == StoreOp::kHead ||
        call.op == StoreOp::kList)
      return Ok();
    for (const std::string& folder : folders_)
      if (call.key.starts_with(folder + "/")) return Ok();
    return MakeError(Code::kDenied,
                     "write " + std::string(call.key) +
                         ": this process writes no such objects");
  }

  const std::vector<std::string> folders_;
};

Result<std::string> FolderOf(const std::string& origin) {
  std::string path = origin;
  if (path.starts_with("dir:")) {
    path = path.substr(4);
  } else if (const size_t colon = path.find("://");
             colon != std::string::npos) {
    return MakeError(Code::kInvalid, "the origin " + origin +
                                         ": there is no provider " +
                                         path.substr(0, colon) +
                                         "; use a directory, or s3://BUCKET");
  }
  if (path.empty())
    return MakeError(Code::kInvalid,
                     "the origin is empty: name a directory with --origin");
  return path;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> OpenStore(const std::string& origin,
                                               Access access) {
  if (IsS3(origin)) {
    ASSIGN_OR_RETURN(const S3Address address, ParseS3Address(origin));
    return S3Store::Open(address, access);
  }
  ASSIGN_OR_RETURN(const std::string path, FolderOf(origin));
  return DirStore::Open(path, access);
}

Result<ConfinableStore> OpenConfinableStore(
    const std::string& origin, const std::vector<std::string>& parts,
    uid_t owner) {
  ConfinableStore opened;
  opened.syscalls = {"openat", "newfstatat", "statx", "fcntl"};
  if (IsS3(origin)) {
    ASSIGN_OR_RETURN(opened.whole, OpenStore(origin, Access::kWriteParts));
    static_cast<S3Store&>(*opened.whole).WarmUp();
    for (std::string& name : HttpSyscalls())
      opened.syscalls.push_back(std::move(name));
  } else {
    ASSIGN_OR_RETURN(const std::string path, FolderOf(origin));
    ASSIGN_OR_RETURN(opened.whole, DirStore::OpenParts(path, parts, owner));
    for (const char* name :
         {"mkdirat", "fchmod", "utimensat", "flock", "fsync", "linkat",
          "renameat", "unlinkat", "getdents64", "geteuid"})
      opened.syscalls.emplace_back(name);
  }
  opened.store = std::make_unique<PartStore>(*opened.whole, parts);
  return opened;
}

}  // namespace morsel
