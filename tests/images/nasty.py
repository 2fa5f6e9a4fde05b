#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An OCI image with everything that an image may hold, and what must come out
of it. Needs neither root nor a tool (zstd for --compress zstd).

    nasty.py build DIR [--compress gzip|zstd|plain]   an OCI layout, tag `nasty`
    nasty.py expected                                 its tree as JSON lines

The layers are a list of descriptions (nasty_layers.py); from it the tar files
are written (nasty_tar.py) and, independently, the merged tree is worked out
here, in the form of tests/tree.py: no unpacker is a reference for all of it.
"""
import argparse
import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import nasty_layers  # noqa: E402
import nasty_tar  # noqa: E402
from nasty_layers import Entry, Opaque, Whiteout  # noqa: E402

MEDIA = "application/vnd.oci.image."
SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}
# What ext4 can say, in seconds; what lies outside is set to the nearest.
FIRST_SECOND = -2**31
LAST_SECOND = (3 << 32) + 2**31 - 1


class Tree:
    """The merged image: paths (bytes) to entries; a hard link is the same
    entry under a second path."""

    def __init__(self):
        self.paths = {b"": Entry("", "dir", mode=0o755, mtime=0)}

    def apply(self, layer):
        added = set()
        # Whiteouts speak of the layers below, wherever in the tar they stand.
        for item in layer:
            if isinstance(item, Whiteout):
                self.remove(self.resolve(item.path))
            elif isinstance(item, Opaque):
                place = self.resolve(item.path)
                for path in self.below(place):
                    self.paths.pop(path)
        for item in layer:
            if isinstance(item, Entry):
                self.add(item, added)

    def below(self, path):
        prefix = path + b"/" if path else b""
        return [p for p in self.paths if p.startswith(prefix) and p]

    def remove(self, path):
        for child in self.below(path):
            self.paths.pop(child)
        self.paths.pop(path, None)

    def resolve(self, path):
        """The path with the symbolic links among its parents followed, inside
        of the image."""
        parts = [p for p in path.split(b"/") if p not in (b"", b".")]
        place = b""
        while len(parts) > 1:
            part = parts.pop(0)
            if part == b"..":
                place = place.rpartition(b"/")[0]
                continue
            step = place + b"/" + part if place else part
            found = self.paths.get(step)
            if found and found.kind == "link":
                if found.target.startswith(b"/"):
                    place = b""
                parts = [p for p in found.target.split(b"/")
                         if p not in (b"", b".")] + parts
                continue
            place = step
        if not parts:
            return place
        return place + b"/" + parts[0] if place else parts[0]

    def add(self, entry, added):
        path = self.resolve(entry.path)
        parent = path.rpartition(b"/")[0]
        missing = []
        while parent not in self.paths:
            missing.append(parent)
            parent = parent.rpartition(b"/")[0]
        for folder in missing:
            self.paths[folder] = Entry(folder, "dir", mode=0o755, mtime=0)
        old = self.paths.get(path)
        if old and path and not (old.kind == entry.kind == "dir"):
            self.remove(path)
        if entry.kind == "hard":
            self.paths[path] = self.paths[self.resolve(entry.target)]
        else:
            self.paths[path] = entry
        added.add(path)

    def describe(self):
        groups = {}
        for path in sorted(self.paths):
            groups.setdefault(id(self.paths[path]), []).append(path)
        return [self.line(path, groups[id(self.paths[path])])
                for path in sorted(self.paths)]

    def line(self, path, group):
        entry = self.paths[path]
        line = {"path": text(path), "type": entry.kind,
                "mode": f"{entry.mode:04o}", "uid": entry.uid,
                "gid": entry.gid, "mtime": clamp(entry.mtime),
                "xattrs": {k: v.hex() for k, v in sorted(
                    entry.all_xattrs().items())}}
        if entry.kind != "dir":
            line["nlink"] = len(group)
            line["group"] = text(group[0])
        if entry.kind == "file":
            content = entry.content()
            line["size"] = len(content)
            line["sha256"] = hashlib.sha256(content).hexdigest()
        elif entry.kind == "link":
            line["target"] = text(entry.target)
        elif entry.kind in ("char", "block"):
            line["rdev"] = f"{entry.rdev[0]}:{entry.rdev[1]}"
        return line


def text(name):
    return name.decode("utf-8", "backslashreplace")


def clamp(nanoseconds):
    seconds = nanoseconds // 10**9
    if seconds < FIRST_SECOND:
        return FIRST_SECOND * 10**9
    if seconds > LAST_SECOND:
        return LAST_SECOND * 10**9
    return nanoseconds


def expected():
    tree = Tree()
    for layer in nasty_layers.layers():
        tree.apply(layer)
    return tree.describe()


def compress(data, how, number):
    if how == "gzip":
        # Every third layer is two members, as pigz and friends make them.
        cut = len(data) // 2 if number % 3 == 1 else len(data)
        return b"".join(gzip.compress(part, 6, mtime=0)
                        for part in (data[:cut], data[cut:]) if part)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


class Layout:
    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "blobs/sha256").mkdir(parents=True)
        (self.folder / "oci-layout").write_text(
            '{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media):
        name = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / name).write_bytes(data)
        return {"mediaType": MEDIA + media, "digest": "sha256:" + name,
                "size": len(data)}

    def document(self, value, media):
        return self.blob(json.dumps(value, sort_keys=True).encode(), media)


def build(folder, how, described=None):
    layout = Layout(folder)
    layers, diff_ids = [], []
    for number, layer in enumerate(described or nasty_layers.layers()):
        data = nasty_tar.write(layer)
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        layers.append(layout.blob(compress(data, how, number),
                                  "layer.v1.tar" + SUFFIX[how]))
    config = layout.document({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": ["/bin/true"], "Env": ["PATH=/bin"]},
        "history": [{"created_by": f"layer {n}"} for n in range(len(layers))],
        "rootfs": {"type": "layers", "diff_ids": diff_ids}}, "config.v1+json")
    manifest = layout.document({
        "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
        "config": config, "layers": layers}, "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "nasty"}
    (layout.folder / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "manifests": [manifest]}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("build")
    verb.add_argument("folder")
    verb.add_argument("--compress", choices=list(SUFFIX), default="gzip")
    verbs.add_parser("expected")
    options = parser.parse_args()
    if options.verb == "build":
        build(options.folder, options.compress)
    else:
        for line in expected():
            print(json.dumps(line, sort_keys=True))


if __name__ == "__main__":
    main()
