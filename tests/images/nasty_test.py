#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The nasty image is what it says: its digests fit, an independent tar reader
reads its layers, and umoci, where it is a reference, unpacks the tree that
nasty.py expects."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True
import nasty  # noqa: E402
import nasty_layers  # noqa: E402
import tree  # noqa: E402

# umoci 0.4.7 gives folders without an entry the present time, and those in which
# it makes one; garbles times after 2262; and knows no textual ACLs.
NO_REFERENCE = {("", "mtime"), ("implied", "mtime"), ("implied/a", "mtime"),
                ("implied/a/c", "mtime"), ("names", "mtime"),
                ("times/2400", "mtime"), ("times/2500-clamped", "mtime"),
                ("xattr/acl-text", "xattrs")}
NO_REFERENCE |= {("names/" + "/".join(["d" * 200] * depth), "mtime")
                 for depth in range(1, 8)}


class NastyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.layout = Path(folder.name) / "layout"

    def blob(self, descriptor):
        name = descriptor["digest"].removeprefix("sha256:")
        data = (self.layout / "blobs/sha256" / name).read_bytes()
        self.assertEqual(hashlib.sha256(data).hexdigest(), name)
        self.assertEqual(len(data), descriptor["size"])
        return data

    def test_digests_fit_and_another_reader_reads_every_layer(self):
        nasty.build(self.layout, "gzip")
        index = json.loads((self.layout / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0]))
        config = json.loads(self.blob(manifest["config"]))
        described = nasty_layers.layers()
        self.assertEqual(len(manifest["layers"]), nasty_layers.LAYERS)
        for layer, diff_id, items in zip(
                manifest["layers"], config["rootfs"]["diff_ids"], described):
            data = gzip.decompress(self.blob(layer))
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(),
                             diff_id)
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                self.assertEqual(len(archive.getmembers()), len(items))

    def test_the_expected_tree_has_what_it_must(self):
        lines = {line["path"]: line for line in nasty.expected()}
        self.assertNotIn("wh/gone", lines)
        self.assertNotIn("wh/dir/deep", lines)
        self.assertNotIn("wh/opaque/old", lines)
        self.assertIn("wh/opaque/new", lines)
        self.assertIn("wh/late/new", lines)
        self.assertEqual(lines["swap"]["type"], "file")
        self.assertEqual(lines["hl/b"]["nlink"], 4)
        self.assertEqual(lines["hl/b"]["group"], "elsewhere")
        self.assertEqual(lines["hl/z"]["nlink"], 1)
        self.assertEqual(len(lines["names/longest"]["target"]), 4095)
        self.assertEqual(lines["times/1969-fraction"]["mtime"],
                         -86400_250_000_000)
        self.assertEqual(lines["implied/a"]["mtime"], 0)
        self.assertIn("real/one", lines)
        self.assertNotIn("real/two", lines)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("umoci"),
                         "needs root and umoci")
    def test_umoci_unpacks_the_expected_tree(self):
        described = nasty_layers.layers()
        for entry in sum(described, []):
            # Nor does it know GNU's own form of sparse files.
            if getattr(entry, "form", "") == "gnu-sparse":
                entry.form = "pax-sparse-1.0"
        nasty.build(self.layout, "gzip", described)
        bundle = self.layout.parent / "bundle"
        subprocess.run(["umoci", "unpack", "--image", f"{self.layout}:nasty",
                        bundle], check=True, stdout=subprocess.DEVNULL)
        unpacked = {e["path"]: e for e in tree.dump(bundle / "rootfs")}
        expected = {e["path"]: e for e in nasty.expected()}
        self.assertEqual(tree.compare(expected, unpacked, NO_REFERENCE), [])


if __name__ == "__main__":
    unittest.main()
