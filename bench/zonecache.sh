#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The zone cache: GET and SET of 128 KiB against memcached with the same client,
# and chunks from five nodes, 4-of-5 against 4-of-4, with none, one slow (by
# 50 ms) and one dead. SECONDS_EACH (5) is how long each line runs.
. "$(dirname "$0")/lib.sh"

each=${SECONDS_EACH:-5}
ports=()

node() { zone_node --zone_node.memory_bytes 512MiB; }

# It sets ADDRESS.
memcached_server() {
  local out=$WORK/memcached-$RANDOM$RANDOM pid
  MEMCACHED_PORT_FILENAME=$out memcached -l 127.0.0.1 -p -1 -U 0 -u root \
    -m 512 -t 4 &
  pid=$!
  at_exit "kill $pid"
  until grep -qs INET "$out"; do
    kill -0 "$pid" || die "no memcached"
  done
  ADDRESS=127.0.0.1:$(sed -n 's/TCP INET: //p' "$out")
}

# figure WORDS...: a line of the program; FIELDS by jq.
figure() {
  LINE=$("$BENCH_BIN/zonecache" "$@")
  row "  $*" "$(jq -r '"\(.mb_per_s) MB/s, p50 \(.p50_us) us, p99 \(.p99_us)" +
    " us, p99.9 \(.p999_us) us, \(.hits) of \(.operations) hit"' <<<"$LINE")"
}

erasure=$("$BENCH_BIN/erasure") || die "$erasure"
row "erasure code" "$erasure"

node
ours=$ADDRESS
memcached_server
theirs=$ADDRESS
for verb in get set; do
  for threads in 1 4; do
    figure "$verb" "$ours" "$each" "$threads"
    node_p50=$(jq .p50_us <<<"$LINE") node_rate=$(jq .mb_per_s <<<"$LINE")
    figure "$verb" "$theirs" "$each" "$threads"
    row "$verb, $threads threads: p50 against memcached" \
      "$(held "$(ratio "$node_p50" "$(jq .p50_us <<<"$LINE")")" at-most 1.00 x)"
    row "$verb, $threads threads: MB/s against memcached" \
      "$(held "$(ratio "$node_rate" "$(jq .mb_per_s <<<"$LINE")")" \
        at-least 1.00 x)"
  done
done

for _ in 1 2 3 4 5; do
  node
  ports+=("$ADDRESS")
done
all=$(IFS=,; echo "${ports[*]}")
figure chunks 4 1 "$each" 1 "$all"
row "zone cache hit, p50" \
  "$(held "$(jq '.p50_us / 1000' <<<"$LINE")" at-most 1.5 ms)"
figure chunks 4 0 "$each" 1 "$all" none
limit=$(jq .p99_us <<<"$LINE")
for fault in none slow:2:50 dead:2; do
  figure chunks 4 1 "$each" 1 "$all" "$fault"
  row "4-of-5, $fault: p99 against 4-of-4, all well" \
    "$(held "$(ratio "$(jq .p99_us <<<"$LINE")" "$limit")" at-most 1.00 x)"
  [[ $(jq .hits <<<"$LINE") == $(jq .operations <<<"$LINE") ]] ||
    row "hit rate" "MISSED: not everything was a hit"
done
figure chunks 4 0 "$each" 1 "$all" slow:2:50
