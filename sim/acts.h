// SPDX-License-Identifier: Apache-2.0
// A small world in each stage of a root's life, and everything that one may do
// in it: what the explorations (explore.h) crash and interleave.
//
// Thread safety: called by who holds the baton.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "steps.h"
#include "world.h"

namespace morsel::sim {

// The first root's, in the order of its life.
enum class Stage {
  kNothing,    // no root at all
  kPublished,  // active, with images, a device, a pin, and garbage
  kRetired,    // and a second root is active
  kMigrated,   // what is referenced has moved to the second one
  kStranded,   // expired, with an image that a broken migration left behind
  kExpired,
  kDue,      // and it may be deleted
  kDeleted,  // with a latecomer's chunk in it
};

// What each name shows: the contents of its chunks.
using Shown = std::map<uint64_t, std::vector<uint64_t>>;

// Brings an empty world there, by a host that nothing happens to. What the
// names show then.
Shown Prepare(World& world, Stage stage);

struct Act {
  std::string name;
  std::vector<Stage> stages;  // in which it is tried
  std::function<Status(Host&)> run;
  // What it changes of what the names show, if it succeeds; no contents: the
  // name is gone.
  Shown shows;
  // Whatever others do meanwhile; where nothing else is broken.
  bool must_succeed = false;
};

const std::vector<Act>& Acts();

// Hours go by: the device of the prepared world renews its lease, a collector
// makes a pass.
void LetTimePass(Host& host);
// Leases of the dead run out, then: a new root, and every other one goes to its
// end; alarms are acknowledged.
void RotateToTheEnd(Host& host);

}  // namespace morsel::sim
