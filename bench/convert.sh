#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Convert against `umoci unpack` and `mkfs.ext4 -d` of the same image, both with
# cold caches and files synced: time, and the converter's peak memory. Each
# convert is into a new origin, so everything is hashed, sealed and stored.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
IMAGE=${BENCH_IMAGE:-python}
ROUNDS=3

umoci_and_mkfs() {
  rm -rf "$WORK/bundle" "$WORK/fs.img"
  umoci unpack --image "$IMAGES/oci:$IMAGE" "$WORK/bundle"
  mkfs.ext4 -q -d "$WORK/bundle/rootfs" "$WORK/fs.img" 4G
  sync "$WORK/fs.img"
}

# Prints the peak memory of the command's processes, in KiB.
peak_kib() {
  python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}

new_origin() {
  rm -rf "$MORSEL_STATE_DIR"
  mkdir "$MORSEL_STATE_DIR"
}

convert() { "$MORSEL_BIN/morsel" convert --json "oci:$IMAGES/oci:$IMAGE" "$1"; }

theirs=() ours=()
for ((i = 0; i < ROUNDS; i++)); do
  drop_caches
  theirs+=("$(milliseconds umoci_and_mkfs)")
  new_origin
  drop_caches
  ours+=("$(milliseconds convert bench:convert)")
done
entries=$(find "$WORK/bundle/rootfs" -xdev | wc -l)
a=$(median "${theirs[@]}")
b=$(median "${ours[@]}")
row "umoci unpack + mkfs.ext4 -d, $IMAGE (median of $ROUNDS)" "$a ms"
row "morsel convert, $IMAGE (median of $ROUNDS)" "$b ms"
row "how much faster" "$(held "$(ratio "$a" "$b")" at-least 3 x)"
row "morsel convert again, nothing new" "$(milliseconds convert bench:again) ms"
new_origin
peak=$(peak_kib "$MORSEL_BIN/morsel" convert -q "oci:$IMAGES/oci:$IMAGE" \
  bench:memory)
row "morsel convert, peak memory, $entries entries" \
  "$(held "$((peak / 1024))" at-most $((256 + entries * 250 / 1048576)) MiB)"
