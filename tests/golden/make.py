#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files of this folder, from docs/formats.md alone.

    tests/golden/make.py [FOLDER]

A second implementation of the formats, slow and plain, that shares no code
with src/. The files are kept; unit tests read them and compare them with what
the encoders make. A change here is a change of a format: a new version.
AES is openssl's (the command), in counter mode; GHASH is written out.
"""
import hashlib
import hmac
import struct
import subprocess
import sys
from pathlib import Path

CHUNK = 512 * 1024
PAGE = 4096
DATA_KEY = b"0123456789abcdef0123456789abcdef"
NONCE = bytes(range(1, 13))
CONFIG = b'{"os":"linux"}'
ROOT = b"r0123456789ab"
SALT_ID = b"0123456789abcdef"
INDEXES = [0, 3, 4, 900]


def aes_ctr(key, iv, data):
    return subprocess.run(
        ["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", iv.hex()],
        input=data, stdout=subprocess.PIPE, check=True).stdout


def multiply(x, y):
    """In GF(2^128), with GCM's order of bits (NIST SP 800-38D, 6.3)."""
    product = 0
    for i in range(127, -1, -1):
        if (x >> i) & 1:
            product ^= y
        y = (y >> 1) ^ ((0xe1 << 120) if y & 1 else 0)
    return product


def ghash(h, data):
    value = 0
    for at in range(0, len(data), 16):
        value = multiply(value ^ int.from_bytes(data[at:at + 16], "big"), h)
    return value.to_bytes(16, "big")


def padded(data):
    return data + bytes(-len(data) % 16)


def gcm_seal(key, nonce, additional, plain):
    h = int.from_bytes(aes_ctr(key, bytes(16), bytes(16)), "big")
    sealed = aes_ctr(key, nonce + struct.pack(">I", 2), plain)
    lengths = struct.pack(">QQ", len(additional) * 8, len(sealed) * 8)
    digest = ghash(h, padded(additional) + padded(sealed) + lengths)
    return sealed + aes_ctr(key, nonce + struct.pack(">I", 1), digest)


def manifest():
    header = struct.pack("<8sIIQII32s32s12s4x", b"MORSELMF", 1, CHUNK, 16 << 30,
                         len(INDEXES), len(CONFIG), ROOT, SALT_ID, NONCE)
    rows, keys = b"", b""
    for index in INDEXES:
        name = hashlib.sha256(struct.pack("<I", index)).digest()
        rows += struct.pack("<II", index, (index % 128 + 1) * PAGE) + name
        keys += bytes([index % 256]) + bytes(31)
    clear = header + rows
    return clear + gcm_seal(DATA_KEY, NONCE, clear, keys + CONFIG)


def sealed_chunk():
    """Two pages under a salt: name, key and ciphertext."""
    plain = bytes((i * 7 + i // 256) % 256 for i in range(2 * PAGE))
    salt = bytes([1]) * 32
    key = hmac.new(salt, b"morsel-chunk-key-1" + ROOT +
                   hashlib.sha256(plain).digest(), hashlib.sha256).digest()
    cipher = aes_ctr(key, bytes(16), plain)
    return hashlib.sha256(cipher).digest() + key + cipher


def wrapped_key():
    """A key file's line, and a wrapping under its key for a context."""
    key = bytes(range(32))
    key_id = hashlib.sha256(b"morsel-key-id-1" + key).hexdigest()[:16]
    blob = NONCE + gcm_seal(key, NONCE, b"morsel-wrap-1" + b"library/python",
                            DATA_KEY)
    return (f"morsel-key-1 {key.hex()}\n{key_id}\n{blob.hex()}\n").encode()


def overlay_map():
    """Of a device of 128 KiB: page 1 written, page 2 discarded."""
    header = struct.pack("<8sIIQ64s40s", b"MORSELOV", 1, 1, 32 * PAGE,
                         b"ab" * 32, b"00000000-0000-0000-0000-000000000001")
    words = struct.pack("<Q", 1 << 2 | 2 << 4)
    one_map = words + bytes(PAGE - len(words))
    return header + bytes(PAGE - len(header)) + one_map + one_map


FILES = {
    "manifest-1": manifest,
    "sealed-chunk-1": sealed_chunk,
    "wrapped-key-1": wrapped_key,
    "overlay-map-1": overlay_map,
}


def main():
    here = Path(__file__).parent
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    for name, make in FILES.items():
        (folder / name).write_bytes(make())


if __name__ == "__main__":
    main()
