#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is wrong with an S3 origin is said, with the right exit code, and nothing
# is half published: no bucket, wrong secret, nobody there, and a service that
# stops under a running device, which waits and goes on.
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

device=$(morsel attach -q app:1)
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
