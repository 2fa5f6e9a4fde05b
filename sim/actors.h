// SPDX-License-Identifier: Apache-2.0
// The actors of the simulator: each a loop of operations of one kind, by the
// code that is shipped, over a store of its own that may fail it, until the
// run is over.
//
// Thread safety: each runs while it holds the baton.
#pragma once

#include <string>

#include "scheduler.h"
#include "world.h"

namespace morsel::sim {

// Publishes images under a few names, of a few contents; as morsel convert
// does, again in another root if the first one was retired meanwhile.
void RunConverter(World& world, Turn& turn);
// Tags, and removes names.
void RunTagger(World& world, Turn& turn);
// Attaches devices, renews their leases, detaches.
void RunDevice(World& world, Turn& turn, const std::string& worker);
// Pins manifests, as a push to a registry does, and lets go of them.
void RunPusher(World& world, Turn& turn, const std::string& who);
// Adds wrappings to records, as a rotation of keys does.
void RunKeyRotator(World& world, Turn& turn);
// Collects garbage.
void RunCollector(World& world, Turn& turn);
// Makes roots, retires them, and acknowledges alarms.
void RunOperator(World& world, Turn& turn);

}  // namespace morsel::sim
