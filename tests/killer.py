#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the processes of an attached device, one at a time and without pause.

    tests/killer.py DEVICE_DIR KILLS SEED [ROLE...]

Each time one of the roles (guard, twin, child, cache; the first three if none
is named) is chosen at random and killed with SIGKILL. As soon as agent.json
names another process for it the next one follows. Prints how many kills each
got, and fails if a victim is not replaced within two minutes.
"""
import collections
import json
import os
import random
import signal
import sys
import time

HANG_GUARD_SECONDS = 120


def read_note(folder):
    with open(os.path.join(folder, "agent.json"), encoding="utf-8") as file:
        return json.load(file)


def is_settled(note):
    return all(note[role]["pid"] for role in ("guard", "twin", "child"))


def await_note(folder, condition):
    end = time.monotonic() + HANG_GUARD_SECONDS
    while time.monotonic() < end:
        note = read_note(folder)
        if condition(note):
            return note
        os.sched_yield()
    sys.exit(f"killer: nobody took the place of the last victim: {note}")


def main():
    folder, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    roles = sys.argv[4:] or ["guard", "twin", "child"]
    rng = random.Random(seed)
    counts = collections.Counter()
    note = await_note(folder, is_settled)
    begun = time.monotonic()
    for _ in range(kills):
        role = rng.choice([r for r in roles if note[r]["pid"]])
        victim = note[role]
        os.kill(victim["pid"], signal.SIGKILL)
        counts[role] += 1
        note = await_note(
            folder, lambda n: n[role] != victim and is_settled(n))
    print(f"seed {seed}: {dict(counts)} in {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
