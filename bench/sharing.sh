#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sharing: unique bytes stored for a base and the images built on it, metadata
# included, against one copy of each distinct file, rounded to 4 KiB.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
read -ra images <<<"${BENCH_SHARING:-base python git perl}"

# Regular files of every layer, by content, rounded to pages.
ideal_bytes() {
  local image
  for image in "${images[@]}"; do
    umoci unpack --image "$IMAGES/oci:$image" "$WORK/$image" >/dev/null
    find "$WORK/$image/rootfs" -xdev -type f -print0 |
      xargs -0 sha256sum --zero | tr '\0' '\n' | cut -c1-64 >"$WORK/$image.sums"
    find "$WORK/$image/rootfs" -xdev -type f -printf '%s\n' >"$WORK/$image.sizes"
    paste "$WORK/$image.sums" "$WORK/$image.sizes"
    rm -rf "${WORK:?}/$image"
  done | sort -u -k1,1 |
    awk '{ sum += int(($2 + 4095) / 4096) * 4096 } END { printf "%d", sum }'
}

for image in "${images[@]}"; do
  morsel convert --json "oci:$IMAGES/oci:$image" "share:$image" >"$WORK/$image.json"
  row "$image: new of stored" "$(jq -r \
    '"\(.new_bytes / 1048576 * 10 | round / 10) of \(.stored_bytes / 1048576 * 10 | round / 10) MiB, \(.new_chunk_count) of \(.chunk_count) chunks"' \
    "$WORK/$image.json")"
done
stored=$(find "$MORSEL_STATE_DIR/origin" -path '*/chunks/*' -type f -printf '%s\n' |
  awk '{ sum += $1; n++ } END { printf "%d %d", sum, n }')
read -r bytes count <<<"$stored"
ideal=$(ideal_bytes)
row "unique bytes stored, ${#images[@]} images" "$((bytes / 1048576)) MiB"
row "ideal: each distinct file once" "$((ideal / 1048576)) MiB; stored is $(ratio "$bytes" "$ideal") x that"
row "mean chunk" "$((bytes / count / 1024)) KiB"
