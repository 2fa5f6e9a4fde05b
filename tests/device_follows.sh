#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Attached devices follow their images to another root, though no tag names
# these any more: the root that they were attached from is deleted, their local
# caches are killed, and every byte is read right. A device that is left in an
# expired root stops all deletion by an alarm, though it reads nothing.
# TEST_ORIGIN=s3: with the origin in S3.
. "$(dirname "$0")/lib.sh"
requires root fuse python3 jq

export MORSEL_GC_MIN_RETIRED=0 MORSEL_WORKER=w7
origin_of_test
# Small, so that little of what was read stays in the caches.
export MORSEL_LOCAL_CACHE_MEMORY_BYTES=4MiB

# sum_of DEVICE IMAGE: of every chunk of the image, past the page cache.
sum_of() {
  python3 - "$1" "$WORK/$2.chunks" <<'END'
import hashlib, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
buffer = mmap.mmap(-1, 1 << 19)
digest = hashlib.sha256()
for index in open(sys.argv[2]):
    assert os.preadv(fd, [buffer], int(index) << 19) == 1 << 19
    digest.update(buffer)
print(digest.hexdigest())
END
}

# Both images again, by all devices.
check_devices() {
  local device
  for device in "${big[@]}"; do
    [[ $(sum_of "$device" big) == "$big_sum" ]] || fail "$1: $device differs"
  done
  for device in "${small[@]}"; do
    [[ $(sum_of "$device" small) == "$small_sum" ]] || fail "$1: $device differs"
  done
}

# By now every device is read from here: the root of an image, or "gone".
root_of() { objects get "manifests/$1.json" | jq -r '.root // "gone"'; }

state_of() { morsel gc status --json | jq -r ".roots[] | select(.root == \"$1\").state"; }

lease_count() { objects list leases/ | wc -l; }
has_leases() { (($(lease_count) == $1)); }

kill_caches() {
  local device
  for device in "${big[0]}" "${small[0]}"; do
    kill -KILL "$(jq .cache.pid "${device%/fuse/disk}/agent.json")"
  done
  stop_local_cache KILL
  start_local_cache
}

python3 "$TESTS/images/index.py" "$WORK/index"
morsel convert -q "$(image nasty)" moved:1 >/dev/null
morsel convert -q "oci:$WORK/index:both" named:1 >/dev/null
big_id=$(morsel inspect moved:1 --json | jq -r .manifest_id)
small_id=$(morsel inspect named:1 --json | jq -r .manifest_id)
morsel inspect moved:1 --chunks --json | jq -r '.chunks[].index' >"$WORK/big.chunks"
morsel inspect named:1 --chunks --json | jq -r '.chunks[].index' >"$WORK/small.chunks"
# Their logs stay, for whoever reads of a failure.
device=$(morsel attach -q --read-only moved:1)
ln "${device%/fuse/disk}/agent.log" "$WORK/first.log"
big_sum=$(sum_of "$device" big)
morsel detach "$device"
device=$(morsel attach -q --read-only named:1)
ln "${device%/fuse/disk}/agent.log" "$WORK/second.log"
small_sum=$(sum_of "$device" small)
morsel detach "$device"
# The device is gone, and so is its lease.
has_leases 0 || fail "leases of detached devices: $(objects list leases/)"

# With caches of their own, and with a shared one.
big=("$(morsel attach -q moved:1)")
small=("$(morsel attach -q --read-only "named@$small_id")")
start_local_cache
big+=("$(morsel attach -q --read-only moved:1)")
small+=("$(morsel attach -q "named@$small_id")")
wait_until has_leases 4
if [[ ${TEST_ORIGIN:-} != s3 ]]; then
  owners=$(cd "$MORSEL_STATE_DIR/origin" && stat -c %u leases roots)
  [[ $owners == $'64642\n0' ]] || fail "the local cache owns what it should not"
fi

morsel tag named:1 moved:1 -q
morsel rm named:1 -q >/dev/null
morsel rm moved:1 -q >/dev/null
first=$(morsel roots -q)
second=$(morsel roots new -q)
morsel roots retire "$first" -q >/dev/null
morsel gc run -q
[[ $(root_of "$big_id")/$(root_of "$small_id") == "$second/$second" ]] ||
  fail "an attached image was not moved"
morsel gc run -q
age_root "$first"
morsel gc run -q
[[ $(objects list "roots/$first/") == "roots/$first/state.json" ]] ||
  fail "the first root is not deleted: $(state_of "$first")"

# Caches that were told of the first root alone, and others.
check_devices "before a kill"
kill_caches
check_devices "after a kill"
morsel gc check -q
for log in "${big[0]%/fuse/disk}/agent.log" "$WORK/localcache.log"; do
  expect_text "$log" "an image is followed to another root"
done

# A root that expires with images in it, as only a broken collector leaves it:
# caches that begin anew renew their leases, and that is a read.
third=$(morsel roots new -q)
morsel roots retire "$second" -q >/dev/null
objects get "roots/$second/state.json" >"$WORK/state.json"
jq -c '.state = "expired" | .history += [{state: "expired", at: .history[-1].at}]' \
  "$WORK/state.json" | objects put "roots/$second/state.json"
kill_caches
alarm_count() { objects list alarms/ | wc -l; }
has_alarms() { (($(alarm_count) == $1)); }
wait_until has_alarms 4
expect_exit 5 morsel gc status
expect_text "$WORK/out" "read by a device of w7"
for log in "${big[0]%/fuse/disk}/agent.log" "$WORK/localcache.log"; do
  expect_text "$log" "a read of an expired root: the alarm stops all deletion"
done
age_root "$second"
expect_exit 5 morsel gc run
[[ -n $(objects list "roots/$second/chunks/") ]] ||
  fail "deleted in spite of an alarm"
morsel gc resume -q
[[ $(root_of "$big_id")/$(root_of "$small_id") == "$third/$third" ]] ||
  fail "the collector left an image in an expired root"
morsel gc run -q
[[ $(state_of "$second") == deleted ]] || fail "the second root is not deleted"
check_devices "after an alarm"

for device in "${big[@]}" "${small[@]}"; do morsel detach "$device"; done
# Those of the shared cache end a moment later, or by themselves.
(($(lease_count) <= 2)) || fail "$(lease_count) leases are left"
