// SPDX-License-Identifier: Apache-2.0
#include "oci/posix_acl.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "oci/archive_library.h"

namespace morsel {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint32_t kNoId = 0xffffffff;
enum Tag : uint16_t {
  kUserObj = 0x01,
  kUser = 0x02,
  kGroupObj = 0x04,
  kGroup = 0x08,
  kMask = 0x10,
  kOther = 0x20,
};

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

std::optional<Tag> TagOf(int library_tag) {
  switch (library_tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
      return kUserObj;
    case ARCHIVE_ENTRY_ACL_USER:
      return kUser;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
      return kGroupObj;
    case ARCHIVE_ENTRY_ACL_GROUP:
      return kGroup;
    case ARCHIVE_ENTRY_ACL_MASK:
      return kMask;
    case ARCHIVE_ENTRY_ACL_OTHER:
      return kOther;
    default:
      return std::nullopt;
  }
}

Result<std::vector<AclEntry>> Collect(archive_entry* entry, int type) {
  std::vector<AclEntry> acl;
  Archive().entry_acl_reset(entry, type);
  int got_type = 0;
  int permissions = 0;
  int library_tag = 0;
  int id = 0;
  const char* name = nullptr;
  while (Archive().entry_acl_next(entry, type, &got_type, &permissions,
                                  &library_tag, &id, &name) == ARCHIVE_OK) {
    const std::optional<Tag> tag = TagOf(library_tag);
    if (!tag) return MakeError(Code::kInvalid, "the ACL has an unknown tag");
    const bool named = *tag == kUser || *tag == kGroup;
    if (named && id < 0)
      return MakeError(Code::kInvalid,
                       "the ACL names a user or group without its number");
    acl.push_back({*tag, static_cast<uint16_t>(permissions & 7),
                   named ? static_cast<uint32_t>(id) : kNoId});
  }
  return acl;
}

const AclEntry* Find(const std::vector<AclEntry>& acl, Tag tag) {
  for (const AclEntry& entry : acl)
    if (entry.tag == tag) return &entry;
  return nullptr;
}

// The kernel wants a mask where there are named entries; tools that write
// none mean the union of the group class.
void AddMissingMask(std::vector<AclEntry>& acl) {
  if (Find(acl, kMask) != nullptr) return;
  uint16_t permissions = 0;
  bool named = false;
  for (const AclEntry& entry : acl) {
    named |= entry.tag == kUser || entry.tag == kGroup;
    if (entry.tag == kUser || entry.tag == kGroup || entry.tag == kGroupObj)
      permissions |= entry.permissions;
  }
  if (named) acl.push_back({kMask, permissions, kNoId});
}

// As posix_acl_valid() of the kernel: sorted, no entry twice, the three of
// the mode present.
Status SortAndCheck(std::vector<AclEntry>& acl) {
  std::sort(acl.begin(), acl.end(), [](const AclEntry& a, const AclEntry& b) {
    return std::tie(a.tag, a.id) < std::tie(b.tag, b.id);
  });
  const auto same = [](const AclEntry& a, const AclEntry& b) {
    return a.tag == b.tag && a.id == b.id;
  };
  if (std::adjacent_find(acl.begin(), acl.end(), same) != acl.end())
    return MakeError(Code::kInvalid, "the ACL has an entry twice");
  for (const Tag tag : {kUserObj, kGroupObj, kOther})
    if (Find(acl, tag) == nullptr)
      return MakeError(Code::kInvalid,
                       "the ACL lacks the owner's, group's or others' entry");
  return Ok();
}

std::string Encode(const std::vector<AclEntry>& acl) {
  Bytes bytes(4 + 8 * acl.size());
  StoreLe(bytes.data(), kVersion);
  std::byte* to = bytes.data() + 4;
  for (const AclEntry& entry : acl) {
    StoreLe(to, entry.tag);
    StoreLe(to + 2, entry.permissions);
    StoreLe(to + 4, entry.id);
    to += 8;
  }
  return std::string(AsText(bytes));
}

}  // namespace

Result<std::string> ReadAcl(archive_entry* entry, AclKind kind,
                            uint32_t& mode) {
  const int type = kind == AclKind::kAccess ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS
                                            : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
  if (Archive().entry_acl_count(entry, type) == 0) return std::string();
  ASSIGN_OR_RETURN(std::vector<AclEntry> acl, Collect(entry, type));
  AddMissingMask(acl);
  RETURN_IF_ERROR(SortAndCheck(acl));
  const AclEntry* const mask = Find(acl, kMask);
  if (kind == AclKind::kAccess && mask == nullptr) return std::string();
  if (kind == AclKind::kAccess)
    mode = (mode & ~uint32_t{070}) | (uint32_t{mask->permissions} << 3);
  return Encode(acl);
}

}  // namespace morsel
