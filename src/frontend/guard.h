// SPDX-License-Identifier: Apache-2.0
// The guard of an agent: small, parses no image data, and keeps what must
// outlive the child: the FUSE mount and its descriptor, the memory of requests,
// the overlay's files and key, the local cache's arena.
//
//   starter -> guard -> morsel-localcache   (started again if it dies)
//                    -> child               (its death ends the device)
//
// The descriptors that it gets are those of block/agent_setup.h, those that it
// gives those of frontend/child.h and localcache/server.h.
//
// It ends with 0 when the device was unmounted or on SIGTERM while it is not
// in use; with 1 after the child's death, when every user of the device has got
// EIO, or if it could not start (the starter was told why).
//
// Thread safety: RunGuard is called once.
#pragma once

namespace morsel {

int RunGuard();

}  // namespace morsel
