// SPDX-License-Identifier: Apache-2.0
// What must hold after each step of a run: the invariants of paper.md §3, and
// the one that they are for: what is published can be read.
//
// Thread safety: called by who holds the baton.
#pragma once

#include "world.h"

namespace morsel::sim {

// A delete in a root that is active or retired; one that was not sent before an
// alarm, beyond the batches of those who were at it.
void CheckBefore(World& world, const StoreCall& call);
// After a change: every name's manifest, every pin's and every device's that
// holds its lease has its record, its manifest and all its chunks in one root.
void CheckAfter(World& world, const StoreCall& call);
// At the end, when nobody acts any more: what is unreferenced is gone, and
// nothing is stuck.
void CheckEnd(World& world);

}  // namespace morsel::sim
