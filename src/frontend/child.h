// SPDX-License-Identifier: Apache-2.0
// The child of an agent: holds one image's manifest and keys, and serves its
// device. It is started by the guard (frontend/guard.h) with these descriptors,
// gives up every right before it reads the first request, and then opens
// nothing.
//
//   3  the setup as JSON          9  a socket to the guard
//   4  the data key              10  the overlay's data  \  not if it is
//   5  the manifest              11  the overlay's map    } read only
//   6  /dev/fuse, mounted        12  the overlay's key   /
//   7  the memory of requests    13  the lock of a named overlay (only then)
//   8  the statistics, one page  14  the device's life (block/agent_setup.h)
//                                15  the data of a named overlay, opened once
//                                    more (OverlayOptions::witness)
//
// The guard sends one byte with a descriptor, a socket that is connected to the
// local cache: once when the child may begin, as its predecessor is gone and
// the twin knows of it, and again whenever there is a new local cache. While
// the local cache is away it sends two descriptors instead: its arena, and a
// ring that nobody drains. The guard hears one message when the device is
// usable: {} or {"error": ...}.
//
// It does not end with its guard: the twin takes the guard's place at the same
// socket.
//
// Thread safety: RunChild is called once.
#pragma once

namespace morsel {

inline constexpr int kChildSetupFd = 3;
inline constexpr int kChildDataKeyFd = 4;
inline constexpr int kChildManifestFd = 5;
inline constexpr int kChildFuseFd = 6;
inline constexpr int kChildSlotsFd = 7;
inline constexpr int kChildStatsFd = 8;
inline constexpr int kChildGuardFd = 9;
inline constexpr int kChildOverlayDataFd = 10;
inline constexpr int kChildOverlayMapFd = 11;
inline constexpr int kChildOverlayKeyFd = 12;
inline constexpr int kChildOverlayLockFd = 13;
inline constexpr int kChildLifeFd = 14;
inline constexpr int kChildOverlayWitnessFd = 15;

// Serves until the device is unmounted: the exit code, 0; 1 if it could not
// start (the guard was told why) or the guard was gone before it could begin.
int RunChild();

}  // namespace morsel
