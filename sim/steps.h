// SPDX-License-Identifier: Apache-2.0
// What an actor does once, by the code that is shipped, with every choice
// given: the actors draw them (actors.h), the crash points fix them
// (crash_points.h).
//
// Thread safety: called by who holds the baton.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "origin/origin.h"
#include "world.h"

namespace morsel::sim {

// A process: its way to the store, its clock, which may be wrong, its origin.
struct Host {
  Host(World& the_world, ObjectStore& the_store, Clock& the_clock)
      : world(the_world),
        store(the_store),
        clock(the_clock),
        origin(the_store, the_clock) {}

  World& world;
  ObjectStore& store;
  Clock& clock;
  Origin origin;
};

// "image0", "image1", ...
ImageName NameOf(uint64_t number);
// The chunk that holds `content`, whatever the root: the simulator is about
// references, so that all roots share the names.
ChunkName ChunkOf(uint64_t content);

// Publishes an image of these contents, as morsel convert does: again in
// another root if the first one was retired meanwhile.
Status Convert(Host& host, const ImageName& name,
               std::span<const uint64_t> contents);
// Writes the lease of a device of `worker`. True if it holds: the manifest is
// in a root that no collector deletes from. The model knows then.
bool RenewDevice(Host& host, const std::string& id, const std::string& worker);
void DetachDevice(Host& host, const std::string& id, const std::string& worker);
// Pins, and lets go. The model knows a pin when its maker was told that it
// holds: until then it is announced, and may come too late.
Status Pin(Host& host, const std::string& id, const std::string& who);
Status Unpin(Host& host, const std::string& id, const std::string& who);
Status AddWrapping(Host& host, const std::string& id, uint64_t context);
// A new active root: its id.
Result<std::string> MakeRoot(Host& host);
// Acknowledges every alarm.
Status Acknowledge(Host& host);

}  // namespace morsel::sim
