#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Convert against `umoci unpack` and `mkfs.ext4 -d` of the same image, both with
# cold caches: time, and the converter's peak memory. The first converts into a
# new origin, so everything is hashed, sealed and stored.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
IMAGE=${BENCH_IMAGE:-python}

umoci_and_mkfs() {
  rm -rf "$WORK/bundle" "$WORK/fs.img"
  umoci unpack --image "$IMAGES/oci:$IMAGE" "$WORK/bundle"
  mkfs.ext4 -q -d "$WORK/bundle/rootfs" "$WORK/fs.img" 2G
}

convert_anew() {
  rm -rf "$MORSEL_STATE_DIR"
  morsel convert -q "oci:$IMAGES/oci:$IMAGE" bench:convert
}

theirs=()
ours=()
for _ in 1 2 3; do
  drop_caches
  theirs+=("$(milliseconds umoci_and_mkfs)")
  drop_caches
  ours+=("$(milliseconds convert_anew)")
done
a=$(median "${theirs[@]}")
b=$(median "${ours[@]}")
row "umoci unpack + mkfs.ext4 -d, $IMAGE (median of 3)" "$a ms"
row "morsel convert, $IMAGE (median of 3)" "$b ms, $(ratio "$a" "$b") x faster"
rm -rf "$MORSEL_STATE_DIR"
peak=$({ /usr/bin/time -f %M "$MORSEL_BIN/morsel" convert -q \
  "oci:$IMAGES/oci:$IMAGE" bench:memory >/dev/null; } 2>&1)
row "morsel convert, peak memory" "$((peak / 1024)) MiB"
row "morsel convert again, nothing new" \
  "$(milliseconds morsel convert -q "oci:$IMAGES/oci:$IMAGE" bench:again) ms"
