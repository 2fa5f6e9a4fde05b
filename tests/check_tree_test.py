#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule of check_tree.py finds its offence, and nothing else, in a small
tree made for it."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import check_tree  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class TreeTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.write("src/base/CMakeLists.txt",
                   "morsel_library(base SOURCES a.cc)\n")
        self.write("src/base/a.h", SPDX)
        self.write("src/base/a.cc", SPDX + '#include "base/a.h"\n')
        self.write("src/chunk/CMakeLists.txt",
                   "morsel_library(chunk SOURCES c.cc\n"
                   "  TESTS c_test.cc DEPENDS base)\n")
        self.write("src/chunk/c.h", SPDX)
        self.write("src/chunk/c.cc", SPDX + '#include "base/a.h"\n')
        self.write("src/chunk/c_test.cc", SPDX)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def code(self, text):
        self.write("src/chunk/c.cc", SPDX + text)

    def offences(self):
        return check_tree.Checker(self.root).check()

    def assert_only(self, place, words):
        found = self.offences()
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(place + ":"), found)
        self.assertIn(words, found[0])

    def test_a_good_tree_is_clean(self):
        self.assertEqual(self.offences(), [])

    def test_an_include_that_is_not_stated(self):
        self.write("src/crypto/CMakeLists.txt",
                   "morsel_library(crypto DEPENDS base)\n")
        self.write("src/crypto/h.h", SPDX)
        self.code('#include "crypto/h.h"\n')
        self.assert_only("src/chunk/c.cc:2", "does not state")

    def test_an_include_of_the_same_or_a_higher_line(self):
        self.write("src/base/a.cc", SPDX + '#include "chunk/c.h"\n')
        self.assert_only("src/base/a.cc:2", "not of a lower line")

    def test_a_stated_dependence_upwards(self):
        self.write("src/base/CMakeLists.txt",
                   "morsel_library(base SOURCES a.cc DEPENDS chunk)\n")
        self.assert_only("src/base/CMakeLists.txt:1", "not lower")

    def test_a_test_that_is_not_registered(self):
        self.write("src/chunk/d_test.cc", SPDX)
        self.assert_only("src/chunk/d_test.cc:1", "not in TESTS")

    def test_a_black_box_test_that_is_not_registered(self):
        self.write("tests/CMakeLists.txt", "black_box_test(one)\n")
        for name in ("lib", "one", "two"):
            self.write(f"tests/{name}.sh", "#!/bin/bash\n" + SPDX)
        self.assert_only("tests/two.sh:1", "not in tests/CMakeLists.txt")

    def test_settings_are_shown_with_their_defaults(self):
        self.write("src/base/a.cc", SPDX)
        self.write("src/base/config.cc", SPDX +
                   '{"a.b", Type::kSize, "1GiB",\n{"c", Type::kText, "",\n')
        self.write("src/base/CMakeLists.txt",
                   "morsel_library(base SOURCES a.cc config.cc)\n")
        good = '#c = "any"\n[a]\n#b = "1GiB"\n'
        self.write("packaging/config.toml", good)
        self.assertEqual(self.offences(), [])
        self.write("packaging/config.toml", good.replace("1G", "2G"))
        self.assert_only("packaging/config.toml:3", "the default of a.b")
        self.write("packaging/config.toml", good.replace('#c = "any"', ""))
        self.assert_only("packaging/config.toml:1", "c is missing")
        self.write("packaging/config.toml", good + "#d = 1\n")
        self.assert_only("packaging/config.toml:4", "a.d is no setting")

    def test_a_source_in_no_library(self):
        self.write("src/chunk/d.cc", SPDX)
        self.assert_only("src/chunk/d.cc:1", "not in chunk/CMakeLists.txt")

    def test_a_folder_on_no_line(self):
        self.write("src/misc/x.h", SPDX)
        self.assert_only("src/misc:1", "on no line")

    def test_sizes(self):
        self.write("src/base/a.h", SPDX + "\n" * 200)
        self.assert_only("src/base/a.h:201", "201 lines")
        self.write("src/base/a.h", SPDX + "// " + "x" * 78 + "\n")
        self.assert_only("src/base/a.h:2", "81 columns")

    def test_a_long_function_is_named_by_its_first_line(self):
        body = "  Call();\n"
        self.code("void Fits(int a,\n          int b) {\n" + body * 67 + "}\n")
        self.assertEqual(self.offences(), [])
        self.code("int x;\nvoid Long(int a,\n          int b) const {\n" +
                  body * 68 + "}\n")
        self.assert_only("src/chunk/c.cc:3", "a function of 71 lines")

    def test_banned_calls_name_their_replacement(self):
        cases = {
            "std::mutex m;": "base/mutex.h",
            "std::thread t(f);": "std::jthread",
            "int* p = new int;": "make_unique",
            "delete p;": "unique_ptr",
            "assert(x);": "CHECK",
            "int r = rand();": "Random",
            "usleep(3);": "WaitUntil",
            "std::this_thread::sleep_for(x);": "WaitUntil",
            "auto t = std::chrono::system_clock::now();": "Clock",
            "std::system(x);": "RunCommand",
            "sprintf(x, y);": "snprintf",
        }
        for line, instead in cases.items():
            with self.subTest(line):
                self.code(line + "\n")
                self.assert_only("src/chunk/c.cc:2", instead)

    def test_what_only_looks_like_a_banned_call(self):
        self.code("static_assert(true);\n"
                  "// new rand() and delete it\n"
                  'const char* kText = "assert(x)";\n'
                  "C(const C&) = delete;\n"
                  "auto id = std::thread::id();\n"
                  "return std::unique_ptr<Hidden>(\n"
                  "    new Hidden(1));\n"
                  "snprintf(a, b);\n")
        self.assertEqual(self.offences(), [])

    def test_heavy_headers_have_one_door(self):
        for header in ("openssl/evp.h", "nlohmann/json.hpp", "archive.h",
                       "ext2fs/ext2fs.h", "fuse3/fuse.h", "grpcpp/grpcpp.h",
                       "mutex"):
            with self.subTest(header):
                self.code(f"#include <{header}>\n")
                self.assert_only("src/chunk/c.cc:2", "alone")

    def test_a_missing_licence_and_unfinished_work(self):
        self.write("src/chunk/c.cc", "int x;\n")
        self.assert_only("src/chunk/c.cc:1", "SPDX")
        self.code("// TO" + "DO: later\n")
        self.assert_only("src/chunk/c.cc:2", "unfinished")


if __name__ == "__main__":
    unittest.main()
