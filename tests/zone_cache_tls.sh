#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nodes of the zone cache with TLS and client certificates, and a local cache
# that uses them: a second worker gets all from the zone. Without TLS a node
# stays on loopback unless it is told otherwise; only the operator's certificate
# may delete and flush; SIGHUP takes a new certificate, and keeps the old one if
# the new one is no good. A wrong certificate is named in the log, and reads fall
# back to the origin.
. "$(dirname "$0")/lib.sh"
requires root fuse jq openssl python3

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 2 -subj "/CN=$1" -keyout "$WORK/$1.key" -out "$WORK/$1.pem" \
    2>"$WORK/openssl"
}

# certificate AUTHORITY NAME COMMON_NAME: signed, for this machine's loopback.
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj "/CN=$3" -keyout "$WORK/$2.key" -out "$WORK/$2.csr" 2>"$WORK/openssl"
  openssl x509 -req -in "$WORK/$2.csr" -CA "$WORK/$1.pem" -CAkey "$WORK/$1.key" \
    -CAcreateserial -days 2 -out "$WORK/$2.pem" 2>"$WORK/openssl" \
    -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost")
}

authority ca
authority stranger
certificate ca node node-1
certificate ca worker worker-1
certificate ca operator morsel-operator
certificate stranger wrong worker-1

# Where it listens.
expect_exit 2 "$MORSEL_BIN/morsel-zonecache" --zone_node.listen 0.0.0.0:0
expect_text "$WORK/err" "is not on loopback and there is no TLS"
expect_text "$WORK/err" 'zone_node.plain = "anywhere"'
start_node "$WORK/plain" --zone_node.listen 0.0.0.0:0 --zone_node.plain anywhere
plain=$NODE_PORT

nodes=()
for i in 1 2 3; do
  start_node "$WORK/node$i" --zone_node.listen 0.0.0.0:0 \
    --zone_node.tls_ca "$WORK/ca.pem" --zone_node.tls_cert "$WORK/node.pem" \
    --zone_node.tls_key "$WORK/node.key" --zone_node.memory_bytes 64MiB
  nodes+=("127.0.0.1:$NODE_PORT")
done

# ask PORT COMMAND [NAME]: the first line of the answer; with that certificate,
# or without TLS.
ask() {
  python3 - "$1" "$2" "$WORK/ca.pem" ${3:+"$WORK/$3.pem" "$WORK/$3.key"} <<'END'
import socket
import ssl
import sys

port, command, ca, *own = sys.argv[1:]
talk = socket.create_connection(("127.0.0.1", int(port)))
talk.settimeout(60)
if own:
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(*own)
    talk = context.wrap_socket(talk, server_hostname="127.0.0.1")
talk.sendall(command.encode() + b"\r\n")
print(talk.makefile("r").readline().strip())
END
}

denied="CLIENT_ERROR denied: this wants the operator's certificate"
for command in "delete key" "flush_all" "md key"; do
  [[ $(ask "$NODE_PORT" "$command" worker) == "$denied" ]] ||
    fail "a worker may: $command"
  [[ $(ask "$plain" "$command") == "$denied" ]] ||
    fail "anyone may, without TLS: $command"
done
[[ $(ask "$NODE_PORT" "delete key" operator) == NOT_FOUND ]] ||
  fail "the operator may not delete"
[[ $(ask "$NODE_PORT" flush_all operator) == OK ]] ||
  fail "the operator may not flush"
ask "$NODE_PORT" version wrong >"$WORK/out" 2>&1 && [[ -s $WORK/out ]] &&
  ! grep -q Error "$WORK/out" && fail "a stranger's certificate is good enough"

# A local cache with a certificate.
morsel convert -q "$(image nasty)" tls:1 >/dev/null
MORSEL_ZONE_CACHE_NODES=$(IFS=, && echo "${nodes[*]}")
export MORSEL_ZONE_CACHE_NODES MORSEL_ZONE_CACHE_K=2 MORSEL_ZONE_CACHE_R=1
export MORSEL_ZONE_CACHE_TIMEOUT=30 MORSEL_ZONE_CACHE_PUT_QUEUE=4096
use_certificate() {
  export MORSEL_ZONE_CACHE_TLS_CA=$WORK/$1.pem
  export MORSEL_ZONE_CACHE_TLS_CERT=$WORK/$2.pem
  export MORSEL_ZONE_CACHE_TLS_KEY=$WORK/$2.key
}

# fetched_by TIER: what a worker with nothing but these settings got from there
# for the whole image, which must be right.
next_worker() {
  [[ -z ${LOCAL_CACHE:-} ]] || stop_local_cache
  rm -f "$WORK/shm/arena"
  : >"$WORK/localcache.log"
  start_local_cache
  device=$(morsel attach -q --read-only tls:1)
  dd if="$device" bs=1M count=128 iflag=direct status=none | sha256sum \
    >"$WORK/sum" || fail "a read failed"
  [[ -s $WORK/right ]] || cp "$WORK/sum" "$WORK/right"
  cmp "$WORK/sum" "$WORK/right" || fail "other bytes"
  morsel detach "$device"
}
from_zone_alone() {
  next_worker
  [[ $(tier origin hits) == 0 && $(tier zone_cache hits) -gt 0 ]]
}

use_certificate ca worker
next_worker
fetched=$(tier origin hits)
# What the one before put last may have been lost with it.
until from_zone_alone; do :; done
[[ $(tier zone_cache hits) == "$fetched" ]] || fail "some chunks were not asked for"

# SIGHUP of the nodes: another certificate, which the workers take as well.
serial() {
  openssl s_client -connect "127.0.0.1:$NODE_PORT" -CAfile "$WORK/ca.pem" \
    -cert "$WORK/worker.pem" -key "$WORK/worker.key" </dev/null 2>/dev/null |
    openssl x509 -noout -serial
}
old=$(serial)
certificate ca node node-2
kill -HUP "$NODE_PID"
wait_until grep -q "certificates read anew" "$WORK/node3.log"
new=$(serial)
[[ -n $new && $new != "$old" ]] || fail "the node shows the old certificate"
echo "no certificate" >"$WORK/node.pem"
kill -HUP "$NODE_PID"
wait_until grep -q "the old certificates stay" "$WORK/node3.log"
expect_text "$WORK/node3.log" node.pem
[[ $(serial) == "$new" ]] || fail "the node has lost its certificate"
from_zone_alone || fail "not all came from the zone after SIGHUP"

# Certificates that do not fit: the worker's own, and that of its authority.
use_certificate ca wrong
next_worker
[[ $(tier zone_cache hits) == 0 && $(tier origin hits) == "$fetched" ]] ||
  fail "a stranger's certificate served"
expect_text "$WORK/localcache.log" "check the certificates of both sides"
use_certificate stranger worker
next_worker
[[ $(tier zone_cache hits) == 0 && $(tier origin hits) == "$fetched" ]] ||
  fail "a node of a stranger was believed"
expect_text "$WORK/localcache.log" "certificate verify failed"
# One that cannot be read at all ends the daemon, and the message says which.
stop_local_cache
MORSEL_ZONE_CACHE_TLS_CERT=$WORK/none.pem \
  expect_exit 1 "$MORSEL_BIN/morsel-localcache"
expect_text "$WORK/err" "none.pem"
