#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a directory tree is, attribute by attribute, as JSON lines.

    tree.py dump DIR [--skip PATH]...    one line an entry, sorted by path
    tree.py diff A B [--ignore PATH:ATTRIBUTE]...
                                         A, B: folders or dumps; exit code 1
                                         and a list where they differ

An entry has path, type (file dir link fifo char block sock), mode (octal,
without the type), uid, gid, mtime (nanoseconds since 1970); for what is no
directory also nlink and group (the first path of its hard-link group); and
by type size and sha256, target, or rdev ("8:1"). xattrs are hexadecimal, ACLs
in Linux form among them. `lost+found` at the top is left out: ext4's own.
PATH "*" of --ignore is every path.
"""
import argparse
import hashlib
import json
import os
import stat
import sys

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link",
         stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
         stat.S_IFSOCK: "sock"}


def text(name):
    """A name of any bytes as text that JSON can carry."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def hash_of(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def xattrs_of(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {text(n): os.getxattr(path, n, follow_symlinks=False).hex()
            for n in sorted(names)}


def entry_of(full, path, groups):
    info = os.lstat(full)
    kind = TYPES[stat.S_IFMT(info.st_mode)]
    entry = {"path": text(path), "type": kind,
             "mode": f"{stat.S_IMODE(info.st_mode):04o}",
             "uid": info.st_uid, "gid": info.st_gid,
             "mtime": info.st_mtime_ns, "xattrs": xattrs_of(full)}
    if kind != "dir":
        entry["nlink"] = info.st_nlink
        key = (info.st_dev, info.st_ino)
        entry["group"] = groups.setdefault(key, text(path))
    if kind == "file":
        entry["size"] = info.st_size
        entry["sha256"] = hash_of(full)
    elif kind == "link":
        entry["target"] = text(os.readlink(full))
    elif kind in ("char", "block"):
        entry["rdev"] = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    return entry


def walk(top):
    """Every path below `top`, "" first, in the order of their bytes."""
    pending = [b""]
    while pending:
        path = pending.pop()
        yield path
        full = os.path.join(os.fsencode(top), path)
        if stat.S_ISDIR(os.lstat(full).st_mode):
            names = sorted(os.listdir(full), reverse=True)
            pending += [os.path.join(path, name) for name in names]


def dump(top, skip=()):
    skipped = {s.strip("/") for s in skip} | {"lost+found"}
    groups = {}
    paths = sorted(p for p in walk(top))
    entries = []
    for path in paths:
        name = text(path)
        if name in skipped or any(name.startswith(s + "/") for s in skipped):
            continue
        full = os.path.join(os.fsencode(top), path)
        entries.append(entry_of(full, path, groups))
    return entries


def load(source):
    if os.path.isdir(source):
        entries = dump(source)
    else:
        with open(source, encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
    return {entry["path"]: entry for entry in entries}


def compare(one, two, ignored):
    """The differences between two loaded trees, as lines of text."""
    lines = []
    for path in sorted(one.keys() | two.keys()):
        if path not in one or path not in two:
            where = "A" if path in one else "B"
            if (path, "presence") not in ignored:
                lines.append(f"{path!r}: only in {where}")
            continue
        a, b = one[path], two[path]
        for key in sorted(a.keys() | b.keys()):
            if (path, key) in ignored or ("*", key) in ignored:
                continue
            if a.get(key) != b.get(key):
                lines.append(f"{path!r}: {key}: {short(a.get(key))} != "
                             f"{short(b.get(key))}")
    return lines


def short(value):
    shown = repr(value)
    return shown if len(shown) < 200 else shown[:200] + "..."


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("dump")
    one.add_argument("tree")
    one.add_argument("--skip", action="append", default=[])
    two = verbs.add_parser("diff")
    two.add_argument("a")
    two.add_argument("b")
    two.add_argument("--ignore", action="append", default=[])
    options = parser.parse_args()
    if options.verb == "dump":
        for entry in dump(options.tree, options.skip):
            print(json.dumps(entry, sort_keys=True))
        return 0
    ignored = {tuple(rule.rsplit(":", 1)) for rule in options.ignore}
    a, b = load(options.a), load(options.b)
    differences = compare(a, b, ignored)
    print("\n".join(differences[:200]) or f"equal: {len(a)} entries")
    if len(differences) > 200:
        print(f"... and {len(differences) - 200} more")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
