#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the simulator find a bug that is put in on purpose?

    sim/mutate.py [SEEDS [NAME...]]      (./dev sim mutations)

Each mutation below takes one precaution out of the shipped code; the simulator
is built with it, run for SEEDS seeds (40), one after another, and the source is
put back. Prints how many of the seeds found it, and whether the crash points
and the interruptions did. Exits with 1 if one was found by nobody.

That a mover looks at its target again, and that "a retired root keeps the moves
that were announced" is a bug, is held by src/gc/move_test.cc: here other
collectors move the same manifest while it sleeps, which is enough unless their
moves fail.

Two are found by none of 40 seeds: that one, and "deletion does not look for
alarms", of which about one seed in 200 finds a bug, so try it with 1000.

A new one: a file, a text that is in it once, and what stands there instead.
"""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"

MUTATIONS = {
    "a converter that a rotation overtakes does not choose anew": (
        "src/origin/roots.cc",
        "chosen.id.empty() && tries < kChoiceTries; ++tries",
        "chosen.id.empty() && tries < 1; ++tries"),
    "a converter does not look at its root again": (
        "src/origin/publish.cc",
        "const bool allowed = root.ok() && MayRefer(*root, converting);",
        "const bool allowed = true || MayRefer(*root, converting);"),
    "leases are not asked for": (
        "src/gc/references.cc",
        'NoteHeld(store, "leases/", now - lease_period.count(), notes)',
        'NoteHeld(store, "leases/", now + lease_period.count(), notes)'),
    "announcements are not waited for": (
        "src/gc/references.cc",
        "notes.Add(manifests.next, key, /*firm=*/false);",
        "static_cast<void>(manifests.next);"),
    "what was announced in a root that has expired is not taken back": (
        "src/gc/root_pass.cc",
        "if (residents.announced.empty()) return false;",
        "return false;"),
    "a retired root keeps the moves that were announced": (
        "src/gc/survey.cc",
        "if (options_.dry_run || !IsIn(record.value.next_root, kRootRetired))",
        "if (true)"),
    "a chunk of a manifest is left behind": (
        "src/gc/move.cc",
        "for (size_t i = 0; i < manifest.chunk_count(); ++i)\n"
        "      RETURN_IF_ERROR(copier.Copy(manifest.ChunkAt(i)));",
        "for (size_t i = 1; i < manifest.chunk_count(); ++i)\n"
        "      RETURN_IF_ERROR(copier.Copy(manifest.ChunkAt(i)));"),
    "deletion does not look for alarms": (
        "src/gc/delete.cc",
        "if (alarms.empty()) return Ok();",
        "return Ok();"),
}


def build():
    subprocess.run(["cmake", "--build", BUILD, "--target", "morsel-sim"],
                   check=True, stdout=subprocess.DEVNULL)


def run(*arguments):
    done = subprocess.run([BUILD / "bin/morsel-sim", *arguments],
                          stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def try_one(name, seeds):
    file, before, after = MUTATIONS[name]
    path = ROOT / file
    text = path.read_text()
    if text.count(before) != 1:
        sys.exit(f"{name}: not once in {file}: {before}")
    path.write_text(text.replace(before, after))
    try:
        build()
        broken = run(str(seeds))[1].count(": broken\n")
        crashes = run("crashes")[0] != 0
        pairs = run("pairs")[0] != 0
    finally:
        path.write_text(text)
    print(f"{name}: {broken} of {seeds} seeds"
          f"{', crashes' if crashes else ''}{', pairs' if pairs else ''}",
          flush=True)
    return broken > 0 or crashes or pairs


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    names = sys.argv[2:] or list(MUTATIONS)
    found = [try_one(name, seeds) for name in names]
    build()
    sys.exit(0 if all(found) else 1)


if __name__ == "__main__":
    main()
