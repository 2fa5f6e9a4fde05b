#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether two sparse files have the same bytes; reads no hole.

    same_sparse.py A B      exit 0: the same; 1: not, and says where
"""

import errno
import os
import sys

PIECE = 1 << 20


def data_runs(fd, size):
    """(begin, end) of what is no hole."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, at


def first_difference(a, b, size):
    """What is data in either file is compared in both."""
    for fd in (a, b):
        for begin, end in data_runs(fd, size):
            for at in range(begin, end, PIECE):
                count = min(PIECE, end - at)
                left, right = os.pread(a, count, at), os.pread(b, count, at)
                if left != right:
                    return next(at + i for i in range(count)
                                if left[i:i + 1] != right[i:i + 1])
    return None


def main():
    a, b = (os.open(path, os.O_RDONLY) for path in sys.argv[1:3])
    size = os.fstat(a).st_size
    if size != os.fstat(b).st_size:
        sys.exit("their sizes differ")
    at = first_difference(a, b, size)
    if at is not None:
        sys.exit(f"they differ at byte {at}")


if __name__ == "__main__":
    main()
