#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a convert into S3 asks for when the image's chunks are all there already:
# no chunk is sent or asked for by itself, and the requests do not grow with the
# image beyond the listing of names. Prints the figures; IMAGE=base for those of
# docs/benchmarks.md.
. "$(dirname "$0")/lib.sh"
requires python3 jq
s3
through_proxy

# converts NAME: how many requests of which kind.
converts() {
  proxy forget
  morsel convert --json "$source" "$1" >"$WORK/report.json"
  requests=$(proxy count .)
  chunk_requests=$(proxy count '[A-Z]+ [^?]*/chunks/[^?]*$')
  printf '%s: %d chunks, %d new, %d requests: %d GET, %d of them lists, %d HEAD, %d PUT, %d of chunks\n' \
    "$1" "$(field "$WORK/report.json" .chunk_count)" \
    "$(field "$WORK/report.json" .new_chunk_count)" "$requests" \
    "$(proxy count 'GET ')" "$(proxy count 'GET .*list-type=2')" \
    "$(proxy count 'HEAD ')" "$(proxy count 'PUT ')" "$chunk_requests"
}

source=$(image "${IMAGE:-nasty}")
converts app:1
chunk_count=$(jq .chunk_count "$WORK/report.json")
((chunk_requests == chunk_count)) ||
  fail "$chunk_requests requests for $chunk_count chunks that are new"
# A listing has 1,000 names.
limit=$((30 + chunk_count / 1000))
for name in app:1 app:2 another/name:1; do
  converts "$name"
  (($(jq .new_chunk_count "$WORK/report.json") == 0)) || fail "$name: stored again"
  ((chunk_requests == 0)) || fail "$name: $chunk_requests requests for chunks"
  ((requests <= limit)) || fail "$name: $requests requests, not $limit"
done

# 72 bytes a chunk, and the configuration.
morsel inspect app:1 --json >"$WORK/image.json"
jq -r '"manifest: \(.manifest_bytes) bytes for \(.stored_bytes): \(.manifest_bytes / .stored_bytes * 100) %"' \
  "$WORK/image.json"
size=$((72 * chunk_count + 128 + 16 + $(morsel inspect app:1 --oci-config | wc -c)))
(($(jq .manifest_bytes "$WORK/image.json") <= size + 64)) ||
  fail "the manifest has $(jq .manifest_bytes "$WORK/image.json") bytes, not $size"
