// SPDX-License-Identifier: Apache-2.0
// The child of an agent: holds one image's manifest and keys, and serves its
// device. It is started by the guard (frontend/guard.h) with these descriptors,
// gives up every right before it reads the first request, and then opens
// nothing.
//
//   3  the setup as JSON          8  the statistics, one page
//   4  the data key               9  a socket to the local cache
//   5  the manifest              10  a socket to the guard
//   6  /dev/fuse, mounted        11  the overlay's data  \  not if it is
//   7  the slots for requests    12  the overlay's map    } read only
//                                13  the overlay's key   /
//
// The guard hears one message when the device is usable: {} or {"error": ...}.
// From then on it sends one byte with a descriptor whenever there is a new
// local cache: a socket that is connected to it.
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
inline constexpr int kChildCacheFd = 9;
inline constexpr int kChildGuardFd = 10;
inline constexpr int kChildOverlayDataFd = 11;
inline constexpr int kChildOverlayMapFd = 12;
inline constexpr int kChildOverlayKeyFd = 13;

// Serves until the device is unmounted: the exit code, 0; 1 if it could not
// start (the guard was told why).
int RunChild();

}  // namespace morsel
