#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the source tree to its rules; prints every offence as file:line.

    tests/check_tree.py [ROOT]

The rules: a folder includes only folders that its CMakeLists.txt states in
DEPENDS, all of a strictly lower line; sizes of files, functions and lines;
calls that have a better replacement here; heavy headers behind one door;
every source in a library and every test in TESTS; a licence line everywhere.
"""
import re
import sys
from pathlib import Path

# The lines of docs/ARCHITECTURE.md, lowest first.
LINES = [
    ["base"],
    ["crypto", "erasure"],
    ["net"],
    ["store", "keys"],
    ["chunk"],
    ["manifest", "cache", "oci", "ext4"],
    ["origin", "zonecache", "block"],
    ["image", "localcache", "gc"],
    ["frontend", "sandbox"],
    ["snapshotter", "lambda"],
    ["cmd"],
]
LINE_OF = {folder: n for n, line in enumerate(LINES) for folder in line}

MAX_HEADER_LINES = 200
MAX_SOURCE_LINES = 500
MAX_TEST_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 80

# (pattern, what to use instead, folders where it is allowed). Matched against
# code without comments and string literals.
BANNED = [
    (r"\bstd::(mutex|recursive_mutex|shared_mutex|condition_variable)\b",
     "Mutex and CondVar of base/mutex.h", {"base"}),
    (r"\bstd::(lock_guard|unique_lock|scoped_lock)\b",
     "MutexLock of base/mutex.h", {"base"}),
    (r"\bstd::thread\b(?!::)", "std::jthread", {"base"}),
    (r"\bstd::async\b", "JobPool of base/parallel.h", set()),
    # A hidden constructor is out of make_unique's reach: handing the object
    # to its owner in the same statement is as good.
    (r"^(?!.*\bunique_ptr<).*(?<!operator )\bnew\b(?! \()",
     "std::make_unique or a container", set()),
    (r"(?<!operator )\bdelete\b(?=\s*(\[\]\s*)?[\w(*])",
     "an owner such as std::unique_ptr", set()),
    (r"(?<!static_)\bassert\(", "CHECK or DCHECK of base/check.h", set()),
    (r"\bs?rand\(", "Random of base/random.h", set()),
    (r"\bstd::random_device\b", "Random of base/random.h", {"base", "tests"}),
    (r"\b(sleep_for|usleep|nanosleep)\(|::sleep\(",
     "CondVar::WaitUntil or a Clock", set()),
    (r"\bsystem_clock::now\b", "Clock of base/clock.h", {"base"}),
    (r"\b(std::|::)system\(", "RunCommand of base/process.h", set()),
    (r"\bpopen\(", "RunCommand of base/process.h", set()),
    (r"\b(strcpy|strcat|sprintf|vsprintf|strtok)\(",
     "std::string or snprintf", set()),
]
# (header, the only folders that may include it)
DOORS = [
    (r"<openssl/", {"crypto", "net"}),
    (r"<curl/", {"net"}),
    (r"<pugixml", {"store"}),
    (r"<nlohmann/", {"base"}),
    (r"<toml\+\+/", {"base"}),
    (r"<prometheus/", {"base"}),
    (r"<CLI/", {"cmd"}),
    (r"<archive(_entry)?\.h>", {"oci"}),
    (r"<isa-l|<igzip_lib\.h>", {"crypto", "erasure", "oci"}),
    (r"<zstd\.h>", {"oci"}),
    (r"<ext2fs/|<et/com_err", {"ext4"}),
    (r"<fuse|<fuse3/", {"frontend"}),
    (r"<grpc", {"snapshotter"}),
    (r"<seccomp\.h>", {"base", "sandbox"}),
    (r"<(mutex|condition_variable)>", {"base"}),
]


def is_test(path):
    return path.stem.endswith("_test")


def without_comments(text):
    """Blanks comments and literals, keeping every line where it is."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)

    def blank(match):
        text = match.group(0)
        inner = "\n" * text.count("\n")
        return '""' + inner if text[0] in '"R' else " " + inner
    return pattern.sub(blank, text)


class Checker:
    def __init__(self, root):
        self.root = Path(root)
        self.offences = []

    def say(self, path, line, what):
        self.offences.append(f"{path.relative_to(self.root)}:{line}: {what}")

    def check(self):
        source = self.root / "src"
        for folder in sorted(p for p in source.iterdir() if p.is_dir()):
            self.check_folder(folder)
        for name in ("bench", "fuzz", "sim"):
            for path in self.sources(self.root / name):
                self.check_text(path, name)
        self.check_scripts()
        self.check_black_box_tests()
        self.check_settings()
        return self.offences

    @staticmethod
    def sources(folder):
        if not folder.is_dir():
            return []
        return sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cc"))

    def check_folder(self, folder):
        name = folder.name
        if name not in LINE_OF:
            self.say(folder, 1, "a folder that is on no line; tests/"
                     "check_tree.py states the lines")
            return
        statement = folder / "CMakeLists.txt"
        depends = None
        if statement.is_file():
            depends = self.check_statement(statement, name)
        for path in self.sources(folder):
            self.check_text(path, name)
            self.check_includes(path, name, depends)

    def check_statement(self, statement, name):
        """Checks CMakeLists.txt against the folder; gives its DEPENDS."""
        text = re.sub(r"#.*", "", statement.read_text())
        words = {key: [] for key in ("SOURCES", "TESTS", "DEPENDS", "LIBS")}
        depends_of_programs = set()
        for call in re.finditer(r"(morsel_\w+)\s*\(([^)]*)\)", text):
            key = None
            for word in call.group(2).split()[1:]:
                if word in words:
                    key = word
                elif key == "DEPENDS" and call.group(1) == "morsel_program":
                    depends_of_programs.add(word)
                elif key:
                    words[key].append(word)
        for other in words["DEPENDS"] + sorted(depends_of_programs):
            if other == name:
                continue
            if other not in LINE_OF:
                self.say(statement, 1, f"depends on unknown folder {other}")
            elif LINE_OF[other] >= LINE_OF[name]:
                self.say(statement, 1, f"{name} (line {LINE_OF[name]}) depends "
                         f"on {other} (line {LINE_OF[other]}), not lower")
        for path in self.sources(statement.parent):
            if path.suffix != ".cc":
                continue
            listed = path.relative_to(statement.parent).as_posix()
            # Programs, lists in variables and helpers of tests: any mention.
            if is_test(path) and listed not in words["TESTS"]:
                self.say(path, 1, f"not in TESTS of {name}/CMakeLists.txt")
            elif listed not in re.split(r"[\s()]+", text):
                self.say(path, 1, f"not in {name}/CMakeLists.txt")
        return set(words["DEPENDS"]) | depends_of_programs

    def check_includes(self, path, name, depends):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#include "([^/"]+)/[^"]+"', line)
            if not match or match.group(1) == name:
                continue
            other = match.group(1)
            if other not in LINE_OF:
                self.say(path, number, f"includes unknown folder {other}")
            elif LINE_OF[other] >= LINE_OF[name]:
                self.say(path, number, f"{name} includes {other}, which is "
                         "not of a lower line")
            elif depends is not None and other not in depends:
                self.say(path, number, f"includes {other}, which DEPENDS of "
                         f"{name}/CMakeLists.txt does not state")

    def check_text(self, path, folder):
        text = path.read_text()
        lines = text.splitlines()
        self.check_size(path, len(lines))
        if "SPDX-License-Identifier: Apache-2.0" not in (lines or [""])[0]:
            self.say(path, 1, "no SPDX line")
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS and "http" not in line:
                self.say(path, number, f"{len(line)} columns")
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                self.say(path, number, "unfinished: do it or open an issue")
            if re.match(r"\s*#include", line):
                self.check_doors(path, number, line, folder)
        code = without_comments(text).splitlines()
        statement = ""
        for number, line in enumerate(code, 1):
            # A statement that goes on from the line before counts whole.
            open_before = statement and not re.search(r"[;{}:]\s*$", statement)
            statement = statement + line if open_before else line
            if not line.lstrip().startswith("#"):
                self.check_banned(path, number, line, statement, folder)
        self.check_functions(path, code)

    def check_size(self, path, count):
        limit = (MAX_HEADER_LINES if path.suffix == ".h" else
                 MAX_TEST_LINES if is_test(path) else MAX_SOURCE_LINES)
        if count > limit:
            self.say(path, count, f"{count} lines; the limit is {limit}")

    def check_doors(self, path, number, line, folder):
        for header, allowed in DOORS:
            if re.search(header, line) and folder not in allowed | {
                    "bench", "fuzz"} and not is_test(path):
                self.say(path, number, f"{line.split()[1]} belongs to "
                         f"{' and '.join(sorted(allowed))} alone")

    def check_banned(self, path, number, line, statement, folder):
        places = {folder, "tests"} if is_test(path) else {folder}
        if re.search(r"=\s*delete", line):
            return
        for pattern, instead, allowed in BANNED:
            whole = statement if "unique_ptr" in pattern else line
            if (re.search(pattern, whole) and not places & allowed
                    and re.search(pattern.split(".*")[-1], line)):
                self.say(path, number, f"'{line.strip()}': use {instead}")

    def check_functions(self, path, code):
        """Functions, told by our formatter's style: a line that ends in `{`
        behind a closing parenthesis, until that brace is closed."""
        for start, line in enumerate(code):
            if not re.search(r"\)[^;()]*\{$", line.rstrip()):
                continue
            if re.match(r"\s*(\}\s*)?(if|for|while|switch|else|do)\b", line):
                continue
            head = self.head_of(code, start)
            if re.match(r"\s*(\}\s*)?(if|for|while|switch|else|do|namespace)\b",
                        code[head]):
                continue
            self.check_function(path, code, head, start)

    @staticmethod
    def head_of(code, start):
        """The first line of the signature that ends at `start`."""
        depth = 0
        for at in range(start, max(-1, start - 12), -1):
            depth += code[at].count(")") - code[at].count("(")
            if depth <= 0:
                return at
        return start

    def check_function(self, path, code, head, start):
        depth = 1
        for end in range(start + 1, len(code)):
            for brace in re.findall(r"[{}]", code[end]):
                depth += 1 if brace == "{" else -1
                if depth == 0:
                    break
            if depth == 0:
                if end - head + 1 > MAX_FUNCTION_LINES:
                    self.say(path, head + 1, f"a function of {end - head + 1} "
                             f"lines; the limit is {MAX_FUNCTION_LINES}")
                return

    def check_black_box_tests(self):
        statement = self.root / "tests/CMakeLists.txt"
        if not statement.is_file():
            return
        listed = re.findall(r"black_box_test\((\w+)", statement.read_text())
        for path in sorted((self.root / "tests").glob("*.sh")):
            if path.stem not in ("lib", "rgw") and path.stem not in listed:
                self.say(path, 1, "not in tests/CMakeLists.txt")

    def check_settings(self):
        """packaging/config.toml shows every setting, with its default."""
        table = self.root / "src/base/config.cc"
        shown = self.root / "packaging/config.toml"
        if not table.is_file() or not shown.is_file():
            return
        keys = dict(re.findall(r'\{"([a-z0-9_.]+)",\s*Type::\w+,\s*"([^"]*)"',
                               table.read_text()))
        section, found = "", {}
        for number, line in enumerate(shown.read_text().splitlines(), 1):
            if match := re.match(r"\[(\w+)\]", line):
                section = match.group(1) + "."
            elif match := re.match(r'#([a-z_]+) = "?([^"]*)"?$', line):
                key = section + match.group(1)
                found[key] = match.group(2)
                if key not in keys:
                    self.say(shown, number, f"{key} is no setting")
                elif keys[key] not in ("", match.group(2)):
                    self.say(shown, number, f"the default of {key} is "
                             f"{keys[key]}")
        for key in keys.keys() - found.keys():
            self.say(shown, 1, f"{key} is missing")

    def check_scripts(self):
        for folder in ("tests", "bench", "demo", "packaging"):
            where = self.root / folder
            paths = sorted(where.rglob("*")) if where.is_dir() else []
            for path in paths:
                if path.suffix not in (".sh", ".py"):
                    continue
                head = path.read_text().splitlines()[:2]
                if not any("SPDX-License-Identifier" in h for h in head):
                    self.say(path, 1, "no SPDX line")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent
    offences = Checker(root).check()
    print("\n".join(offences) or "the tree keeps its rules")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
