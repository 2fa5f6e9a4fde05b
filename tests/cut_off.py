#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts off all clients of a local cache, as the daemon itself does with who
does not read its answers: cut_off.py PID. Prints how many there were.

The sockets are the daemon's own, by pidfd_getfd(2)."""
import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438

libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
pidfd = os.pidfd_open(pid)
count = 0
for number in os.listdir(f"/proc/{pid}/fd"):
    try:
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
            continue
    except FileNotFoundError:
        continue
    copy = libc.syscall(PIDFD_GETFD, pidfd, int(number), 0)
    if copy < 0:
        continue
    with socket.socket(fileno=copy) as one:
        if one.family != socket.AF_UNIX or one.type != socket.SOCK_SEQPACKET:
            continue
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            continue
        one.shutdown(socket.SHUT_RDWR)
        count += 1
print(count)
