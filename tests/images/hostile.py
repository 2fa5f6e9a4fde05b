#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes OCI layouts that are hostile or broken, DIR/NAME:x each.

  hostile.py DIR      prints, a line each: NAME EXIT_CODE_OF_CONVERT

No root is needed. 0: must be taken, and cleaned as containerd does it;
1: refused: it is what its digests say, but no image; 4: damaged: it is not
what its digests say, or is cut short; 5: no room.
"""
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", **more):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.linkname = link
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder + "/blobs/sha256")

    def put(self, data, digest=None):
        digest = digest or sha(data)
        with open(f"{self.folder}/blobs/sha256/{digest[7:]}", "wb") as f:
            f.write(data)
        return digest

    def finish(self, layers, diff_ids, config=None, manifest=None):
        config = config if config is not None else json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
        kind = "application/vnd.oci.image."
        manifest = manifest if manifest is not None else json.dumps({
            "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
            "config": {"mediaType": kind + "config.v1+json",
                       "digest": self.put(config), "size": len(config)},
            "layers": layers}).encode()
        index = {"schemaVersion": 2, "manifests": [{
            "mediaType": kind + "manifest.v1+json",
            "digest": self.put(manifest), "size": len(manifest),
            "platform": {"os": "linux", "architecture": "amd64"},
            "annotations": {"org.opencontainers.image.ref.name": "x"}}]}
        with open(self.folder + "/index.json", "w") as f:
            json.dump(index, f)
        with open(self.folder + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')


KIND = "application/vnd.oci.image.layer.v1.tar"


def image(folder, *tars, compress=False, **more):
    layout = Layout(folder)
    layers, diff_ids = [], []
    for data in tars:
        blob = gzip.compress(data, mtime=0) if compress else data
        layers.append({"mediaType": KIND + ("+gzip" if compress else ""),
                       "digest": layout.put(blob), "size": len(blob)})
        diff_ids.append(sha(data))
    layout.finish(layers, diff_ids, **more)
    return layout, layers


GOOD = tar(entry("etc", tarfile.DIRTYPE), entry("etc/file", data=b"x" * 9000))


def damaged_blob(folder, change):
    """A layer whose blob is changed after its digest was written down."""
    _, layers = image(folder, GOOD, compress=True)
    path = f"{folder}/blobs/sha256/{layers[0]['digest'][7:]}"
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(change(data))


def truncated_gzip(folder):
    """A gzip that ends early, with a digest and a size that fit."""
    layout = Layout(folder)
    blob = gzip.compress(os.urandom(300000), mtime=0)[:-5000]
    layout.finish([{"mediaType": KIND + "+gzip", "digest": layout.put(blob),
                    "size": len(blob)}], [sha(b"")])


def wrong_diff_id(folder):
    layout = Layout(folder)
    layout.finish([{"mediaType": KIND, "digest": layout.put(GOOD),
                    "size": len(GOOD)}], [sha(b"something else")])


def huge_size(folder):
    """A header that promises 4 EiB, more than ext4 can hold."""
    header = bytearray(tarfile.TarInfo("big").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + b"\0" * 3 + (1 << 62).to_bytes(8, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    image(folder, bytes(header) + b"\0" * 1024)


def symlinks():
    return tar(entry("out", tarfile.SYMTYPE, link="/../../../../tmp"),
               entry("out/morsel-escaped", data=b"escaped"))


CASES = {
    "dot-dot": (1, lambda d: image(d, tar(
        entry("../../../../tmp/morsel-escaped", data=b"escaped")))),
    "absolute": (0, lambda d: image(d, tar(
        entry("/tmp/morsel-escaped", data=b"escaped")))),
    "symlink-out": (0, lambda d: image(d, symlinks())),
    "symlink-loop": (1, lambda d: image(d, tar(
        entry("a", tarfile.SYMTYPE, link="b"),
        entry("b", tarfile.SYMTYPE, link="a"),
        entry("a/file", data=b"x")))),
    "hard-link-nowhere": (1, lambda d: image(d, tar(
        entry("link", tarfile.LNKTYPE, link="not/there")))),
    "hard-link-out": (1, lambda d: image(d, tar(
        entry("link", tarfile.LNKTYPE, link="../../../../etc/shadow")))),
    "long-name": (1, lambda d: image(d, tar(entry("n" * 256, data=b"x")))),
    "huge-size": (1, huge_size),
    "flipped-blob": (4, lambda d: damaged_blob(
        d, lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:])),
    "short-blob": (4, lambda d: damaged_blob(d, lambda b: b[:-10])),
    "long-blob": (4, lambda d: damaged_blob(d, lambda b: b + b"\0" * 10)),
    "truncated-gzip": (4, truncated_gzip),
    "wrong-diff-id": (4, wrong_diff_id),
    "truncated-tar": (4, lambda d: image(d, GOOD[:5000])),
    "no-tar": (1, lambda d: image(d, b"this is no tar at all" * 100)),
    "bad-config": (1, lambda d: image(d, GOOD, config=b"{")),
    "bad-manifest": (1, lambda d: image(d, GOOD, manifest=b"[]")),
    "deep-manifest": (1, lambda d: image(d, GOOD, manifest=b"[" * 100000)),
}


def main():
    for name, (code, make) in CASES.items():
        make(f"{sys.argv[1]}/{name}")
        print(name, code)


main()
