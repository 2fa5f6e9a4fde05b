#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mounts a file system on which everything waits, until this ends.

    tests/hang.py FOLDER

It is a FUSE file system that nobody serves. Prints a line once it is mounted.
"""
import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None, use_errno=True)


def main():
    folder = sys.argv[1].encode()
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
    if LIBC.mount(b"hang", folder, b"fuse.hang", 0, options.encode()) != 0:
        sys.exit(f"hang: {os.strerror(ctypes.get_errno())}")
    print("mounted", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
