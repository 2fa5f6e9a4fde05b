#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Salts by popularity (origin/popular.h): dedup that is kept, and the largest
# share of images that any one object takes down, for 1, 4 and 16 variants.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
read -ra images <<<"${BENCH_SALTS:-base python git perl}"

for image in "${images[@]}"; do
  morsel convert -q "oci:$IMAGES/oci:$image" "salts:$image" >/dev/null
done
for percent in 100 50 1; do
  echo "popular: chunks in at least $percent % of the images"
  "$BENCH_BIN/salts" "$MORSEL_STATE_DIR/origin" "${BENCH_REPOSITORIES:-200}" \
    "$percent"
done
