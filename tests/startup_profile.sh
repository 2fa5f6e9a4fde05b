#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `morsel record` keeps with an image what its start reads, and the next start has
# that loaded ahead: never more, also of a profile that somebody made up.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq

morsel convert -q "$(image base)" start:1 >/dev/null

# start [COMMAND...]: a run with a cold cache; its statistics are in $WORK/stats.
start() {
  morsel run --stats-file "$WORK/stats" start:1 -- "${@:-true}" >"$WORK/out"
}
prefetched() { jq .prefetched "$WORK/stats"; }
profile() { morsel inspect --json start:1 | jq .startup_chunks; }

start echo ready
[[ $(prefetched) == 0 ]] || fail "something was loaded ahead of a first start"
loaded=$(jq .chunks_loaded "$WORK/stats")
[[ $(profile) == 0 ]] || fail "there is a profile before one is recorded"

# A command that fails, or is none, leaves no profile; its exit code is passed on.
expect_exit 3 "$MORSEL_BIN/morsel" record start:1 -- sh -c 'exit 3'
expect_text "$WORK/err" "nothing is recorded"
expect_exit 127 "$MORSEL_BIN/morsel" record start:1 -- no-such-command
expect_exit 1 "$MORSEL_BIN/morsel" record --for 0 start:1 -- true
expect_exit 3 "$MORSEL_BIN/morsel" record none:1 -- true
[[ $(profile) == 0 ]] || fail "a command that failed was recorded"

morsel record start:1 -- echo ready >"$WORK/out"
expect_text "$WORK/out" "ready"
expect_text "$WORK/out" "start:1: recorded $loaded chunks"
[[ $(profile) == "$loaded" ]] || fail "$(profile) of $loaded chunks are kept"
morsel inspect start:1 >"$WORK/out"
expect_text "$WORK/out" "startup       $loaded chunks"

start echo ready
expect_text "$WORK/out" "ready"
ahead=$(prefetched)
((ahead > 0 && ahead <= loaded)) || fail "$ahead of $loaded were loaded ahead"
[[ $(jq .chunks_loaded "$WORK/stats") == "$loaded" ]] ||
  fail "the profile has other chunks than a start reads"
# The same image under another name, and a limit of nothing.
morsel tag start:1 other:1
morsel run --stats-file "$WORK/stats" other:1 -- true
(($(prefetched) > 0)) || fail "another name has no profile"
MORSEL_AGENT_PREFETCH_BYTES=0 start
[[ $(prefetched) == 0 ]] || fail "more was loaded ahead than may be"

# Another image under the name keeps the part of the profile that it has.
morsel convert -q "$(image python)" other:1 >/dev/null
kept=$(morsel inspect --json other:1 | jq .startup_chunks)
((kept > 0 && kept <= loaded)) || fail "$kept of $loaded chunks were taken over"
[[ $(profile) == "$loaded" ]] || fail "the first image lost its profile"

# What runs for ever is recorded for a while; a shell that is process 1 does not
# hear SIGTERM, so this one listens.
morsel record --json --for 1 start:1 -- \
  sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >"$WORK/out"
((loaded <= $(jq .startup_chunks "$WORK/out"))) || fail "a server has no profile"

# Who can write to the origin can make a start load no more than the image has.
id=$(morsel inspect -q start:1)
record=$MORSEL_STATE_DIR/origin/manifests/$id.json
jq '.startup_chunks = [4294967295, 1, 1, 1, 77777, 0, 0]' "$record" >"$WORK/edited"
cp "$WORK/edited" "$record"
start echo ready
expect_text "$WORK/out" "ready"
(($(prefetched) <= 2)) || fail "$(prefetched) chunks were loaded ahead of 2"
jq '.startup_chunks = [-1]' "$record" >"$WORK/edited"
cp "$WORK/edited" "$record"
expect_exit 125 "$MORSEL_BIN/morsel" run start:1 -- true
expect_text "$WORK/err" "startup_chunks"
jq '.startup_chunks = [0]' "$record" >"$WORK/edited"
cp "$WORK/edited" "$record"

morsel record --forget start:1
[[ $(profile) == 0 ]] || fail "the profile was not forgotten"
start
[[ $(prefetched) == 0 ]] || fail "a forgotten profile is loaded"
