#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All figures of docs/benchmarks.md, one script a subject. `./dev bench NAME...`
# runs the named ones only. IMAGES is a folder with an OCI layout `oci`, made by
# tests/images/build.sh.
set -euo pipefail
here=$(dirname "$0")
scripts=("$@")
[[ ${#scripts[@]} -gt 0 ]] || scripts=(convert attach reads ready sharing)
for name in "${scripts[@]}"; do
  echo "== $name"
  "$here/$name.sh"
done
