#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an OCI layout DIR: index.py DIR.

Its tag `both` is an index of an image for linux/amd64 and one for
linux/arm64/v8, with one file each, /platform, that names its own. Its tag
`nothing` is an image whose one layer is empty,
`none` one without a layer.
"""
import hashlib
import io
import json
import os
import sys
import tarfile

KIND = "application/vnd.oci.image."


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder + "/blobs/sha256")
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def write(self, name, data):
        with open(f"{self.folder}/{name}", "wb") as file:
            file.write(data)

    def put(self, kind, data, **more):
        """The descriptor of what it stores: bytes, or a document."""
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.write("blobs/sha256/" + digest, data)
        return {"mediaType": KIND + kind, "digest": "sha256:" + digest,
                "size": len(data), **more}


def make_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def put_image(layout, platform, files=None, with_layer=True):
    if files is None:
        files = {"platform": json.dumps(platform).encode()}
    layers = [layout.put("layer.v1.tar", make_tar(files))] * with_layer
    config = layout.put("config.v1+json", {
        **platform, "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers",
                   "diff_ids": [layer["digest"] for layer in layers]}})
    return layout.put("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": KIND + "manifest.v1+json",
        "config": config, "layers": layers}, platform=platform)


def main():
    layout = Layout(sys.argv[1])
    images = [put_image(layout, {"os": "linux", "architecture": "amd64"}),
              put_image(layout, {"os": "linux", "architecture": "arm64",
                                 "variant": "v8"})]
    index = layout.put("index.v1+json", {
        "schemaVersion": 2, "mediaType": KIND + "index.v1+json",
        "manifests": images})
    here = {"os": "linux", "architecture": "amd64"}
    nothing = put_image(layout, here, {})
    none = put_image(layout, here, {}, with_layer=False)
    tags = ((index, "both"), (nothing, "nothing"), (none, "none"))
    for entry, tag in tags:
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    layout.write("index.json", json.dumps(
        {"schemaVersion": 2, "manifests": [entry for entry, _ in tags]}).encode())


main()
