#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A node keeps what it had in flash over SIGTERM and kill -9, under its byte
# limits, and two nodes do not take the same file.
. "$(dirname "$0")/lib.sh"
requires python3

node() {
  start_node "$WORK/node$1" --zone_node.memory_bytes 4MiB \
    --zone_node.flash_path "$WORK/zone/flash" --zone_node.flash_bytes 64MiB
}

# talk store|count FIRST LAST: values of 100 KiB under the keys k<n>.
talk() {
  python3 - "$NODE_PORT" "$@" <<'TALK'
import hashlib
import socket
import sys

port, what, first, last = int(sys.argv[1]), *sys.argv[2:]
talk = socket.create_connection(("127.0.0.1", port))
talk.settimeout(60)
lines = talk.makefile("rb")
found = 0
for n in range(int(first), int(last)):
    value = hashlib.sha256(str(n).encode()).digest() * 3200
    if what == "store":
        talk.sendall(b"set k%d 0 0 %d\r\n%s\r\n" % (n, len(value), value))
        assert lines.readline() == b"STORED\r\n"
        continue
    talk.sendall(b"get k%d\r\n" % n)
    line = lines.readline()
    if line == b"END\r\n":
        continue
    found += 1
    assert lines.read(len(value)) == value, f"k{n} is damaged"
    assert lines.readline() == b"\r\n" and lines.readline() == b"END\r\n"
print(found)
TALK
}

node 1
talk store 0 300 >/dev/null
expect_exit 1 "$MORSEL_BIN/morsel-zonecache" --zone_node.listen 127.0.0.1:0 \
  --zone_node.flash_path "$WORK/zone/flash" --zone_node.flash_bytes 64MiB
expect_text "$WORK/err" "zone/flash"
kill -TERM "$NODE_PID"
wait "$NODE_PID" || fail "the node ended with $?"

node 2
found=$(talk count 0 300)
echo "$found of 300 values are there after SIGTERM"
((found >= 295)) || fail "only $found of 300 values after SIGTERM"
kill -KILL "$NODE_PID"
wait "$NODE_PID" || true

node 3
found=$(talk count 0 300)
echo "$found of 300 values are there after kill -9"
((found >= 250)) || fail "only $found of 300 values after kill -9"

# Ten times as much as there is room for.
talk store 1000 7400 >/dev/null
size=$(stat -c %b "$WORK/zone/flash")
((size * 512 <= 64 * 1024 * 1024 * 101 / 100)) || fail "flash takes $size blocks"
found=$(talk count 1000 7400)
echo "$found of 6400 values fit"
((found > 300 && found < 697)) || fail "$found values in 64 MiB and 4 MiB"
