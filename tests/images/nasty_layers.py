# SPDX-License-Identifier: Apache-2.0
"""What the nasty image consists of: 120 layers as lists of descriptions."""
import hashlib
import struct
from dataclasses import dataclass, field

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
LAYERS = 120


@dataclass
class Whiteout:
    path: bytes


@dataclass
class Opaque:
    path: bytes


@dataclass
class Entry:
    """One tar member. `kind`: file dir link hard fifo char block."""
    path: bytes
    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = NOW  # nanoseconds
    target: bytes = b""
    rdev: tuple = (0, 0)
    segments: list = field(default_factory=list)  # (offset, data)
    size: int = 0
    xattrs: dict = field(default_factory=dict)
    acl_text: bytes = b""
    acl: bytes = b""  # what acl_text must become
    form: str = ""  # how the tar says it; see nasty_tar.py

    def content(self):
        whole = bytearray(self.size)
        for at, data in self.segments:
            whole[at:at + len(data)] = data
        return bytes(whole)

    def all_xattrs(self):
        if not self.acl:
            return self.xattrs
        return {**self.xattrs, "system.posix_acl_access": self.acl}


def file(path, data=b"", **more):
    more.setdefault("size", len(data))
    return Entry(path, "file", segments=[(0, data)] if data else [], **more)


def folder(path, mode=0o755, **more):
    return Entry(path, "dir", mode=mode, **more)


def link(path, target, **more):
    return Entry(path, "link", mode=0o777, target=target, **more)


def hard(path, target, **more):
    return Entry(path, "hard", target=target, **more)


def noise(seed, size):
    """Bytes that do not compress, the same on every run."""
    out = b""
    number = 0
    while len(out) < size:
        out += hashlib.sha256(b"%s %d" % (seed.encode(), number)).digest()
        number += 1
    return out[:size]


def acl(*entries):
    """Linux's binary form: version 2, then tag, permission, id."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, permission, number)
        for tag, permission, number in entries)


NOBODY = 0xffffffff
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def whiteouts():
    """Three layers: what is hidden, what comes anew in its place."""
    return [
        [folder(b"wh"), file(b"wh/gone", b"1"), file(b"wh/stays", b"2"),
         folder(b"wh/dir"), folder(b"wh/dir/deep"),
         file(b"wh/dir/deep/file", b"3"),
         folder(b"wh/opaque"), file(b"wh/opaque/old", b"4"),
         folder(b"wh/opaque/olddir"), file(b"wh/opaque/olddir/x", b"5"),
         folder(b"wh/late"), file(b"wh/late/old", b"6"),
         file(b"wh/again", b"7"), file(b"swap", b"a file")],
        [Whiteout(b"wh/gone"), Whiteout(b"wh/dir"), Whiteout(b"wh/never"),
         folder(b"wh/opaque", 0o711), Opaque(b"wh/opaque"),
         file(b"wh/opaque/new", b"8"),
         # The mark may also stand behind what it must not hide.
         file(b"wh/late/new", b"9"), Opaque(b"wh/late"),
         Whiteout(b"wh/again"),
         folder(b"swap", 0o700), file(b"swap/inside", b"in a folder")],
        [file(b"wh/again", b"back"), folder(b"wh/dir", 0o750),
         file(b"swap", b"a file again", mode=0o600)],
    ]


def hard_links():
    same = {"mode": 0o640, "uid": 1000, "gid": 1000}
    return [
        [folder(b"hl"), file(b"hl/b", noise("hl", 9000), **same),
         hard(b"hl/c", b"hl/b", **same), link(b"hl/sym", b"b"),
         hard(b"hl/sym2", b"hl/sym"), file(b"hl/x", b"x"),
         hard(b"hl/y", b"hl/x"), hard(b"hl/z", b"hl/x")],
        # Across layers; and names that leave a group.
        [hard(b"hl/a", b"hl/b", **same), Whiteout(b"hl/x"),
         file(b"hl/y", b"no longer x")],
        [Entry(b"hl/pipe", "fifo", mode=0o600),
         hard(b"hl/pipe2", b"hl/pipe", mode=0o600),
         hard(b"elsewhere", b"hl/a", **same)],
    ]


def sparse_files():
    mib = 1 << 20
    parts = [(0, noise("s0", 700)), (mib, noise("s1", 4096)),
             (3 * mib + 5, noise("s2", 9999))]
    many = [(n * 65536 + 512 * n, noise(f"m{n}", 512)) for n in range(60)]

    def sparse(name, form, segments, size):
        return Entry(b"sparse/" + name, "file", segments=segments, size=size,
                     form=form)
    out = [folder(b"sparse")]
    for form in ("gnu-sparse", "pax-sparse-0.0", "pax-sparse-0.1",
                 "pax-sparse-1.0"):
        name = form.encode()
        out += [sparse(name, form, parts, 5 * mib),
                sparse(name + b"-many", form, many, 4 * mib + 7),
                sparse(name + b"-hole", form, [], 3 * mib)]
    out.append(file(b"sparse/zeros", bytes(2 * mib)))
    out.append(file(b"sparse/tail", bytes(mib) + b"end"))
    return [out]


def names():
    wide = "é".encode() * 127 + b"x"
    deep = b"/".join([b"d" * 200] * 7)
    return [[
        folder(b"names"), file(b"names/" + b"n" * 255, b"long"),
        file(b"names/" + wide, b"wide"), folder(b"names/" + b"m" * 255),
        file(b"names/" + b"m" * 255 + b"/" + b"k" * 255, b"both"),
        file(b"names/gnu-" + b"g" * 240, b"gnu", form="gnu-long"),
        file(b"names/" + deep + b"/leaf", b"deep"),
        file("names/café".encode(), b"latin"),
        file("names/日本語".encode(), b"wide characters"),
        file(b"names/latin1-\xe9\xff", b"no UTF-8", form="raw"),
        file(b"names/new\nline", b""), file(b"names/back\\slash", b""),
        file(b"names/ -rf *", b""), file(b"names/.whatever", b""),
        link(b"names/longest", (b"t" * 254 + b"/") * 16 + b"t" * 15),
        link("names/naïve".encode(), "café".encode()),
        link(b"names/59", b"u" * 59), link(b"names/60", b"u" * 60),
        link(b"names/dangling", b"/no/such/place"),
        hard(b"names/hard-" + b"h" * 200, b"names/" + b"n" * 255),
    ]]


def nodes():
    return [[
        folder(b"dev"),
        Entry(b"dev/null", "char", mode=0o666, rdev=(1, 3)),
        Entry(b"dev/sda1", "block", mode=0o660, gid=6, rdev=(8, 1)),
        Entry(b"dev/large", "char", mode=0o600, rdev=(250, 70000)),
        Entry(b"dev/pipe", "fifo", mode=0o620, uid=5),
        folder(b"modes"), folder(b"modes/sticky", 0o1777),
        file(b"modes/setuid", b"s", mode=0o4755),
        file(b"modes/setgid", b"g", mode=0o2711, gid=50),
        file(b"modes/setuid-other", b"o", mode=0o4755, uid=1234),
        folder(b"modes/setgid-dir", 0o2775, gid=50),
        file(b"modes/none", b"", mode=0),
        file(b"modes/uid70000", b"", uid=70000, gid=70001),
        file(b"modes/uid-largest", b"", uid=2**32 - 2, gid=2**32 - 2),
        link(b"modes/link-owner", b"none", uid=70000, gid=3),
    ]]


def attributes():
    rights = acl((USER_OBJ, 6, NOBODY), (USER, 4, 70000),
                 (GROUP_OBJ, 4, NOBODY), (GROUP, 6, 100), (MASK, 6, NOBODY),
                 (OTHER, 0, NOBODY))
    default = acl((USER_OBJ, 7, NOBODY), (USER, 5, 1000),
                  (GROUP_OBJ, 5, NOBODY), (MASK, 5, NOBODY), (OTHER, 0, NOBODY))
    ping = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    return [[
        folder(b"xattr"),
        file(b"xattr/user", b"u", xattrs={
            "user.text": b"plain", "user.binary": b"\0\xff=\n\0",
            "user.larger": noise("xattr", 1500)}),
        file(b"xattr/large", b"", xattrs={"user.large": noise("lx", 3500)}),
        file(b"xattr/ping", b"#!", mode=0o755,
             xattrs={"security.capability": ping}),
        file(b"xattr/trusted", b"", xattrs={"trusted.note": b"t"}),
        link(b"xattr/link", b"user", xattrs={"trusted.note": b"on a link"}),
        folder(b"xattr/dir", 0o750, xattrs={
            "user.dir": b"d", "system.posix_acl_default": default}),
        file(b"xattr/acl", b"", mode=0o660,
             xattrs={"system.posix_acl_access": rights}),
        file(b"xattr/acl-text", b"", mode=0o640, acl=acl(
            (USER_OBJ, 6, NOBODY), (USER, 4, 1), (GROUP_OBJ, 4, NOBODY),
            (MASK, 4, NOBODY), (OTHER, 0, NOBODY)),
             acl_text=b"user::rw-,user:daemon:r--:1,group::r--,mask::r--,"
                      b"other::---"),
    ]]


def times():
    def at(name, nanoseconds):
        return file(b"times/" + name, b"", mtime=nanoseconds)
    return [[
        folder(b"times", mtime=-12345 * SECOND),
        at(b"zero", 0), at(b"one-ns", 1), at(b"last-ns", NOW + SECOND - 1),
        at(b"1969", -SECOND), at(b"1969-fraction", -86400_250_000_000),
        at(b"1969-just", -1), at(b"1950", -631152000 * SECOND + 123456789),
        at(b"1902", -2145916800 * SECOND), at(b"2038", 2**31 * SECOND),
        at(b"2100", 4102444800 * SECOND + 5), at(b"2250", 8835984000 * SECOND),
        at(b"2400", 13569465600 * SECOND + 999999999),
        at(b"1850-clamped", -3786825600 * SECOND),
        at(b"2500-clamped", 16725225600 * SECOND),
        link(b"times/link", b"zero", mtime=-5 * SECOND + 7),
        Entry(b"times/fifo", "fifo", mtime=2**32 * SECOND + 1),
    ]]


def parents():
    """Folders with no entry of their own, and links as parents."""
    return [
        [file(b"implied/a/b/file", b"alone"), folder(b"real", 0o755),
         folder(b"sym"), link(b"sym/relative", b"../real"),
         link(b"sym/absolute", b"/real"), link(b"sym/chain", b"relative"),
         link(b"sym/up", b"../../../../real")],
        [file(b"sym/relative/one", b"1"), file(b"sym/absolute/two", b"2"),
         file(b"sym/chain/three", b"3"), file(b"sym/up/four", b"4"),
         folder(b"implied/a/b", 0o700), file(b"implied/a/c/file", b"5"),
         hard(b"sym/hard", b"sym/chain/one")],
        [Whiteout(b"sym/relative/two")],
    ]


def many(count):
    """Layers that each add a file, change one and hide an earlier one."""
    out = []
    for n in range(count):
        layer = [folder(b"many", mtime=NOW + n),
                 file(b"many/%03d" % n, noise(f"n{n}", 100 * n)),
                 file(b"many/changed", b"%d" % n, mtime=NOW + n * SECOND)]
        if n % 3 == 2:
            layer.insert(0, Whiteout(b"many/%03d" % (n - 1)))
        out.append(layer)
    return out


def layers():
    out = [[folder(b"", 0o755, mtime=NOW + 42)]]
    for part in (whiteouts, hard_links, sparse_files, names, nodes, attributes,
                 times, parents):
        out += part()
    out.append([])  # an empty layer
    return out + many(LAYERS - len(out))
