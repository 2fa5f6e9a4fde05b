// SPDX-License-Identifier: Apache-2.0
// ACLs of tar entries (SCHILY.acl.*) in the kernel's form, the value of the
// xattrs system.posix_acl_access and system.posix_acl_default
// (linux/posix_acl_xattr.h).
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

struct archive_entry;

namespace morsel {

enum class AclKind { kAccess, kDefault };

// The entry's ACL; empty if it has none beyond its mode. `mode`, of an access
// ACL, gets the permission bits as the kernel has them: those of the group are
// the mask's (libarchive takes the owning group's). kInvalid if it names a
// user or group by name alone, or is none that the kernel takes.
Result<std::string> ReadAcl(archive_entry* entry, AclKind kind, uint32_t& mode);

}  // namespace morsel
