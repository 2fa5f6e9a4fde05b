# SPDX-License-Identifier: Apache-2.0
"""Writes tar files byte by byte, so that every form can be made: ustar with
pax records, GNU long names, and the four forms of sparse files."""
from nasty_layers import Entry, Opaque, Whiteout

BLOCK = 512
TYPE = {"file": b"0", "hard": b"1", "link": b"2", "char": b"3", "block": b"4",
        "dir": b"5", "fifo": b"6"}


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK)


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(name, kind, size=0, entry=None, link=b"", gnu=None):
    """One header block. Fields too large for it are 0: pax records say them."""
    entry = entry or Entry(b"", "file", mode=0o644, mtime=0)

    def fits(value, width):
        return value if 0 <= value < 8 ** (width - 1) else 0
    block = bytearray(BLOCK)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = octal(entry.mode, 8)
    block[108:116] = octal(fits(entry.uid, 8), 8)
    block[116:124] = octal(fits(entry.gid, 8), 8)
    block[124:136] = octal(size, 12)
    block[136:148] = octal(fits(entry.mtime // 10**9, 12), 12)
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = b"ustar  \0" if gnu else b"ustar\00000"
    if entry.kind in ("char", "block"):
        block[329:337] = octal(entry.rdev[0], 8)
        block[337:345] = octal(entry.rdev[1], 8)
    if gnu:
        block[386:512] = gnu
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax_record(key, value):
    body = b" " + key.encode() + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def decimal_time(nanoseconds):
    sign = b"-" if nanoseconds < 0 else b""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    text = sign + str(seconds).encode()
    return text + (b".%09d" % rest).rstrip(b"0") if rest else text


def records_of(entry, name):
    """The pax records that the entry needs beside its header."""
    records = []
    if entry.form != "raw" and (len(name) > 100 or not name.isascii()):
        records.append(("path", name))
    if len(entry.target) > 100 or not entry.target.isascii():
        records.append(("linkpath", entry.target))
    for key in ("uid", "gid"):
        if getattr(entry, key) >= 8**7:
            records.append((key, str(getattr(entry, key)).encode()))
    if entry.mtime % 10**9 or not 0 <= entry.mtime // 10**9 < 8**11:
        records.append(("mtime", decimal_time(entry.mtime)))
    for key, value in entry.xattrs.items():
        records.append(("SCHILY.xattr." + key, value))
    if entry.acl_text:
        records.append(("SCHILY.acl.access", entry.acl_text))
    return records


def with_pax(records, rest):
    if not records:
        return rest
    data = b"".join(pax_record(k, v) for k, v in records)
    return header(b"PaxHeaders/x", b"x", len(data)) + padded(data) + rest


def numbers(*values):
    return b"".join(octal(v, 12) for v in values)


def gnu_sparse(entry, name):
    """Type S: four segments in the header, 21 in each block behind it."""
    segments = [(at, len(data)) for at, data in entry.segments]
    if not segments or sum(segments[-1]) < entry.size:
        segments.append((entry.size, 0))
    packed = [numbers(*s) for s in segments]
    first, rest = packed[:4], packed[4:]
    fields = b"".join(first).ljust(96, b"\0") + (b"\1" if rest else b"\0")
    fields += octal(entry.size, 12)
    blocks = b""
    while rest:
        part, rest = rest[:21], rest[21:]
        blocks += (b"".join(part).ljust(504, b"\0") +
                   (b"\1" if rest else b"\0")).ljust(BLOCK, b"\0")
    data = b"".join(d for _, d in entry.segments)
    return header(name, b"S", len(data), entry,
                  gnu=fields.ljust(126, b"\0")) + blocks + padded(data)


def pax_sparse(entry, name, minor):
    """The pax forms 0.0, 0.1 and 1.0."""
    segments = [(at, len(d)) for at, d in entry.segments]
    if not segments or sum(segments[-1]) < entry.size:
        segments.append((entry.size, 0))
    data = b"".join(d for _, d in entry.segments)
    count = str(len(segments)).encode()
    size = str(entry.size).encode()
    if minor == "1.0":
        records = [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"),
                   ("GNU.sparse.name", name), ("GNU.sparse.realsize", size)]
        listing = count + b"\n" + b"".join(b"%d\n%d\n" % s for s in segments)
        data = padded(listing) + data
    elif minor == "0.1":
        flat = b",".join(b"%d,%d" % s for s in segments)
        records = [("GNU.sparse.size", size),
                   ("GNU.sparse.numblocks", count),
                   ("GNU.sparse.name", name), ("GNU.sparse.map", flat)]
    else:
        records = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", count)]
        for at, length in segments:
            records += [("GNU.sparse.offset", b"%d" % at),
                        ("GNU.sparse.numbytes", b"%d" % length)]
    records += records_of(entry, name)
    stored = name if minor == "0.0" else b"GNUSparseFile.0/" + name
    return with_pax(records,
                    header(stored, b"0", len(data), entry) + padded(data))


def gnu_long_name(name):
    return header(b"././@LongLink", b"L", len(name) + 1,
                  gnu=b"\0" * 126) + padded(name + b"\0")


def member(entry):
    name = entry.path + (b"/" if entry.kind == "dir" else b"")
    if entry.path == b"":
        name = b"./"
    if entry.form == "gnu-sparse":
        return gnu_sparse(entry, name)
    if entry.form.startswith("pax-sparse-"):
        return pax_sparse(entry, name, entry.form[11:])
    data = entry.content() if entry.kind == "file" else b""
    body = header(name, TYPE[entry.kind], len(data), entry, entry.target,
                  gnu=b"\0" * 126 if entry.form == "gnu-long" else None)
    body += padded(data)
    if entry.form == "gnu-long":
        return gnu_long_name(name) + body
    return with_pax(records_of(entry, name), body)


def whiteout(path):
    folder, _, name = path.rpartition(b"/")
    return Entry(folder + b"/.wh." + name if folder else b".wh." + name,
                 "file", mode=0, mtime=0)


def write(layer):
    """The layer as one uncompressed tar file."""
    out = []
    for item in layer:
        if isinstance(item, Whiteout):
            item = whiteout(item.path)
        elif isinstance(item, Opaque):
            item = Entry(item.path + b"/.wh..wh..opq", "file", mode=0, mtime=0)
        out.append(member(item))
    out.append(b"\0" * (2 * BLOCK))
    return b"".join(out)
