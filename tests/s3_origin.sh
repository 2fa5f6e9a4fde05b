#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An origin in S3: convert, share, verify, tag and run, with the same chunks as
# in a folder; the local cache reads from it without rights and under seccomp,
# and holds a lease for as long as a device is attached.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq
s3

source=$(image nasty)
morsel convert --json "$source" app:1 >"$WORK/first.json"
morsel convert --json "$source" other:1 >"$WORK/second.json"
[[ $(field "$WORK/first.json" .new_chunk_count) -gt 0 ]] ||
  fail "nothing was stored"
[[ $(jq .new_chunk_count "$WORK/second.json") == 0 ]] ||
  fail "equal chunks were stored twice"
morsel verify app:1 >/dev/null
[[ $(morsel images -q | sort | paste -sd' ') == "app:1 other:1" ]] ||
  fail "images: $(morsel images -q)"
morsel tag app:1 third/name:2
expect_exit 3 morsel inspect nothing:1

# The same plaintext in a folder has the same sizes.
env -u MORSEL_ORIGIN "$MORSEL_BIN/morsel" convert --json "$source" app:1 \
  >"$WORK/folder.json"
for what in .stored_bytes .chunk_count .image_digest; do
  [[ $(jq "$what" "$WORK/folder.json") == $(jq "$what" "$WORK/first.json") ]] ||
    fail "$what differs between a folder and S3"
done

# Reads from the device, all of it, by way of the local cache.
has_leases() { (($(objects list leases/ | wc -l) == $1)); }
device=$(morsel attach -q third/name:2)
wait_until has_leases 1
mkdir "$WORK/mnt"
env -u MORSEL_ORIGIN "$MORSEL_BIN/morsel" inspect app:1 >/dev/null
mount -o ro "$device" "$WORK/mnt"
find "$WORK/mnt" -xdev -type f -exec cat {} + | sha256sum >"$WORK/sum"
umount "$WORK/mnt"
morsel detach "$device"
has_leases 0 || fail "a lease is left: $(objects list leases/)"
[[ -s $WORK/sum ]] || fail "nothing was read"

morsel convert -q "$(image base)" base >/dev/null
[[ $(morsel run --rm base -- cat /etc/debian_version) == 12* ]] ||
  fail "run from S3"
