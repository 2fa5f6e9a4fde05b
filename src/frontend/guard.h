// SPDX-License-Identifier: Apache-2.0
// The guard of an agent: small, parses no image data, and keeps what must
// outlive the child: the FUSE mount and its descriptor, the memory of requests,
// the overlay's files and key, the local cache's arena.
//
//   starter -> guard -> morsel-localcache   (private; started again if it dies)
//                    -> child               (the next one goes on where it
//                    died)
//                    -> twin                (a fork: becomes the guard if the
//                                            guard dies, and forks the next)
//
// kill -9 of any of them loses nothing; only the death of guard, twin and child
// at once ends the device, with EIO. A child lives on when its guard dies: the
// twin takes it over. A child is started when its predecessor is gone (pidfd),
// and begins when the twin knows of it.
//
// A newer program takes the guard's place by exec (frontend/control.h), with
// the same process id and descriptors, and replaces local cache and child. The
// twin stays of the old program until they serve: if the new one dies before,
// the twin goes on with the old one.
//
// The descriptors that it gets are those of block/agent_setup.h, those that it
// gives those of frontend/child.h and localcache/server.h.
//
// It ends with 0 when the device was unmounted or on SIGTERM while it is not
// in use; with 1 if it could not start (the starter was told why), or when its
// children die again and again with no request finished
// (FuseSlots::CountDeath): every user of the device has got EIO then.
//
// Thread safety: one of the two is called, once.
#pragma once

namespace morsel {

int RunGuard();
// `state` is the number of a descriptor (frontend/guard_state.h).
int ResumeGuard(int state);

}  // namespace morsel
