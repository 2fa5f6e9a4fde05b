#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All caches are empty and many containers start at once: the origin gets no more
# requests at a time than it may, and each chunk is fetched once; past the limit
# of starts the rest is refused with the message, and who was admitted finishes.
# The same with an origin that takes ten times as long: it ends by itself, and a
# container that ran before reads on without an error.
#
# STARTS=50 LIMIT=16 is the full size.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq

STARTS=${STARTS:-12}
LIMIT=${LIMIT:-4}
REQUESTS=3

morsel convert -q "$(image base)" start:1 >/dev/null
mkdir "$WORK/gate"
mkfifo "$WORK/gate/fifo"
exec {GATE}<>"$WORK/gate/fifo"

# empty_cache MAX_STARTING [TRIAL]
empty_cache() {
  [[ -z ${LOCAL_CACHE:-} ]] || stop_local_cache
  rm -f "$WORK/shm/arena"
  printf '[local_cache]\nmax_starting = %d\norigin_trial = "%s"\n' \
    "$1" "${2:-}" >"$MORSEL_CONFIG"
  start_local_cache MEMORY_BYTES=256MiB ORIGIN_REQUESTS=$REQUESTS
}

# flood COMMAND...: STARTS containers at once; their pids in PIDS.
flood() {
  local i
  PIDS=()
  rm -f "$WORK"/flood.*
  for ((i = 0; i < STARTS; i++)); do
    "$MORSEL_BIN/morsel" run -v "$WORK/gate:/gate" start:1 -- "$@" \
      >"$WORK/flood.$i" 2>"$WORK/flood.$i.err" &
    PIDS+=($!)
    STARTED+=($!)
  done
}

all_finish() {
  local i
  for ((i = 0; i < STARTS; i++)); do
    wait "${PIDS[i]}" || fail "start $i: $(cat "$WORK/flood.$i.err")"
  done
}

# One flight for all who wait, and never too many at once.
is_calm() {
  local fetched chunks peak
  fetched=$(tier origin hits)
  chunks=$(morsel stat --json | jq .local_cache.arena_chunks)
  peak=$(morsel stat --json | jq .local_cache.origin_in_flight_peak)
  [[ $fetched == "$chunks" ]] || fail "$fetched fetches for $chunks chunks"
  ((peak <= REQUESTS)) || fail "$peak requests to the origin at once"
  [[ $(tier origin errors) == 0 ]] || fail "an origin request failed"
  echo "$1: $fetched chunks, each once; at most $peak of $REQUESTS requests"
}

# A container that runs before the flood and reads files past the page cache all
# the while, until it is told to end.
start_reader() {
  rm -f "$WORK/gate/enough"
  "$MORSEL_BIN/morsel" run -v "$WORK/gate:/gate" start:1 -- sh -c '
    until [ -e /gate/enough ]; do
      find /usr/bin /usr/lib -xdev -type f -size +127k | while read -r file; do
        dd if="$file" bs=1M iflag=direct 2>/dev/null | cmp - "$file" || exit 1
        echo "$file"
        [ ! -e /gate/enough ] || break
      done || exit 1
    done' >"$WORK/reader" 2>"$WORK/reader.err" &
  READER=$!
  STARTED+=($!)
  wait_until test -s "$WORK/reader"
}

end_reader() {
  local before
  # It reads on, now that the others are through.
  before=$(wc -l <"$WORK/reader")
  reads_on() {
    kill -0 "$READER" 2>/dev/null || fail "the reader: $(cat "$WORK/reader.err")"
    (($(wc -l <"$WORK/reader") > before))
  }
  wait_until reads_on
  : >"$WORK/gate/enough"
  wait "$READER" || fail "the reader: $(cat "$WORK/reader.err")"
}

empty_cache $((STARTS + 14))
flood true
all_finish
is_calm "$STARTS starts"

# Who is admitted holds its place until all have been decided on.
empty_cache "$LIMIT"
begun=$SECONDS
flood sh -c 'echo ready; read -r x </gate/fifo'
are_decided() {
  local ready refused
  ready=$(cat "$WORK"/flood.*[0-9] | wc -l)
  refused=$(grep -l "refused for load" "$WORK"/flood.*.err | wc -l)
  ((ready + refused == STARTS))
}
wait_until are_decided
refused=0
# A place in the fifo for each; what nobody needs is left there.
for ((i = 0; i < STARTS; i++)); do echo >&"$GATE"; done
for ((i = 0; i < STARTS; i++)); do
  code=0
  wait "${PIDS[i]}" || code=$?
  if [[ -s $WORK/flood.$i ]]; then
    ((code == 0)) || fail "start $i ended with $code: $(cat "$WORK/flood.$i.err")"
    continue
  fi
  ((code == 125)) || fail "start $i ended with $code: $(cat "$WORK/flood.$i.err")"
  expect_text "$WORK/flood.$i.err" "refused for load: $LIMIT devices are starting"
  refused=$((refused + 1))
done
# A device is no longer starting once it is 30 s old, and makes place.
((refused == STARTS - LIMIT || (refused > 0 && SECONDS - begun >= 25))) ||
  fail "$refused of $STARTS were refused at a limit of $LIMIT"
[[ $(morsel stat --json | jq .local_cache.refused_starts) == "$refused" ]] ||
  fail "refusals are not counted"
is_calm "$STARTS starts, $refused refused"

# Slow from here on: ten times what a fetch has taken.
usual=$(morsel stat --json |
  jq '.local_cache.tiers[] | select(.tier == "origin").latency.p50_us')
empty_cache $((STARTS + 14))
start_reader
printf '[local_cache]\nmax_starting = 0\norigin_trial = "delay=%d"\n' \
  $((usual * 10 / 1000 + 1)) >"$MORSEL_CONFIG"
kill -HUP "$LOCAL_CACHE"
flood true
all_finish
end_reader
is_calm "$STARTS starts, origin slower by $((usual * 10 / 1000 + 1)) ms"
