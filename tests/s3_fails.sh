#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is wrong with an S3 origin is said, with the right exit code, and nothing
# is half published: no bucket, wrong secret, nobody there, and a service that
# stops under a running device, which waits and goes on, in the middle of a
# convert, and in the middle of a pass of the collector.
. "$(dirname "$0")/lib.sh"
requires root fuse loop jq
s3 own

source=$(image nasty)
morsel convert -q "$source" app:1 >/dev/null

expect_exit 1 morsel convert --origin s3://no-such-bucket "$source" app:2
expect_text "$WORK/err" "there is no bucket no-such-bucket"
expect_exit 1 env AWS_SECRET_ACCESS_KEY=wrong "$MORSEL_BIN/morsel" images
expect_text "$WORK/err" "secret access key"
expect_exit 1 env AWS_ACCESS_KEY_ID=nobody "$MORSEL_BIN/morsel" images
expect_text "$WORK/err" "does not know the access key"
expect_exit 1 env -u AWS_ACCESS_KEY_ID AWS_EC2_METADATA_DISABLED=true \
  HOME="$WORK" "$MORSEL_BIN/morsel" images
expect_text "$WORK/err" "there are no AWS credentials"
expect_exit 1 morsel images --origin 's3://bucket?style=odd'
expect_text "$WORK/err" "must be path, virtual or auto"

# However long the service takes to come back.
device=$(MORSEL_IO_TIMEOUT=600 morsel attach -q app:1)
chunk() { dd if="$device" of=/dev/null bs=1M iflag=direct status=none; }
bash "$TESTS/rgw.sh" stop "$WORK/rgw"
expect_exit 5 morsel convert "$source" app:2
expect_text "$WORK/err" "nobody answers"
expect_exit 5 morsel images
start dd if="$device" of="$WORK/read" bs=1M iflag=direct count=64 status=none
reader=$!
bash "$TESTS/rgw.sh" start "$WORK/rgw"
wait "$reader" || fail "a read did not survive the service's absence"
[[ $(stat -c %s "$WORK/read") == $((64 << 20)) ]] || fail "a short read"
chunk
morsel detach "$device"
expect_exit 3 morsel inspect app:2
morsel verify app:1 >/dev/null

# stops_under COMMAND...: when some chunks are stored, and before all are, the
# service ends.
through_proxy
some_stored() { (($(proxy count 'PUT .*/chunks/') > 3)); }
stops_under() {
  local code=0 pid
  proxy forget
  proxy fault hold=3 1 'PUT .*/chunks/'
  start "$MORSEL_BIN/morsel" "$@" 2>"$WORK/err"
  pid=$!
  wait_until some_stored
  bash "$TESTS/rgw.sh" stop "$WORK/rgw"
  proxy fault none
  wait "$pid" || code=$?
  bash "$TESTS/rgw.sh" start "$WORK/rgw"
  ((code == 5)) || fail "'$*' ended with $code: $(cat "$WORK/err")"
  morsel verify app:1 -q >/dev/null
}
stops_under convert --origin "$MORSEL_ORIGIN-2" "$source" app:3
expect_exit 3 morsel inspect --origin "$MORSEL_ORIGIN-2" app:3
morsel gc check --origin "$MORSEL_ORIGIN-2" -q
morsel convert --origin "$MORSEL_ORIGIN-2" --json "$source" app:3 >"$WORK/3.json"
(($(field "$WORK/3.json" .new_chunk_count) < $(field "$WORK/3.json" .chunk_count))) ||
  fail "what was stored is stored again"

export MORSEL_GC_MIN_RETIRED=0
old=$(morsel roots -q)
new=$(morsel roots new -q)
morsel roots retire "$old" -q >/dev/null
stops_under gc run
[[ $(morsel inspect app:1 --json | jq -r .root) == "$old" ]] || fail "half moved"
morsel gc run -q
[[ $(morsel inspect app:1 --json | jq -r .root) == "$new" ]] || fail "not moved"
morsel verify app:1 -q >/dev/null
morsel gc check -q
