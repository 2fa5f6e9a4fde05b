#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memcached's own tools work against a node of the zone cache: all 27 tests of
# memccapable, memccp, memccat, memcrm, memcslap, and a talk in meta commands.
. "$(dirname "$0")/lib.sh"
requires memccapable memccp memccat memcslap memcrm python3

start_node "$WORK/node" --zone_node.memory_bytes 64MiB

memccapable -h 127.0.0.1 -p "$NODE_PORT" -a >"$WORK/capable" 2>&1 ||
  fail "memccapable: $(grep -v 'pass' "$WORK/capable")"
passed=$(grep -c '\[pass\]' "$WORK/capable")
((passed == 27)) || fail "memccapable passed $passed of 27"

head -c 700000 /dev/urandom >"$WORK/file"
memccp --servers="127.0.0.1:$NODE_PORT" "$WORK/file"
memccat --servers="127.0.0.1:$NODE_PORT" file >"$WORK/back"
# memccat ends what it prints with a newline.
cmp -n 700000 "$WORK/file" "$WORK/back" || fail "memccat gives other bytes"
memcrm --servers="127.0.0.1:$NODE_PORT" file
expect_exit 1 memccat --servers="127.0.0.1:$NODE_PORT" file

memcslap --servers="127.0.0.1:$NODE_PORT" --concurrency=8 \
  --execute-number=500 --test=set >"$WORK/slap" 2>&1 ||
  fail "memcslap: $(cat "$WORK/slap")"
memcslap --servers="127.0.0.1:$NODE_PORT" --concurrency=8 \
  --execute-number=500 --test=get >"$WORK/slap" 2>&1 ||
  fail "memcslap: $(cat "$WORK/slap")"

python3 - "$NODE_PORT" <<'TALK' || fail "the meta commands"
import socket
import sys

talk = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
talk.settimeout(60)
lines = talk.makefile("rb")


def expect(question, *answers):
    talk.sendall(question)
    for answer in answers:
        line = lines.readline()
        assert line == answer + b"\r\n", (question, line, answer)


expect(b"ms key 3 T90 F7\r\nabc\r\n", b"HD")
expect(b"mg key v s f t k O9\r\n", b"VA 3 s3 f7 t90 kkey O9", b"abc")
expect(b"mg none v q\r\nmn\r\n", b"MN")
expect(b"ms key 1 ME\r\nx\r\n", b"NS")
expect(b"ms number 2\r\n40\r\nma number v D2\r\n", b"HD", b"VA 2", b"42")
expect(b"md key\r\nmg key v\r\n", b"HD", b"EN")
TALK

# It ends on SIGTERM, at once and with 0.
kill -TERM "$NODE_PID"
wait "$NODE_PID" || fail "the node ended with $?"
