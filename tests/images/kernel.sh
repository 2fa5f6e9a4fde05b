#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints a folder with Debian's own kernel for virtual machines: `vmlinuz`, and
# the modules fuse.ko and loop.ko. Fetched once, by apt-get download, into
# $MORSEL_TEST_CACHE/kernel (by default ~/.cache/morsel-test/kernel).
set -euo pipefail
CACHE=${MORSEL_TEST_CACHE:-$HOME/.cache/morsel-test}/kernel
if [[ ! -e $CACHE/vmlinuz ]]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  cd "$scratch"
  package=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  apt-get download "$package" >&2
  dpkg-deb -x ./*.deb tree
  mkdir ready
  cp tree/boot/vmlinuz-* ready/vmlinuz
  find tree -name fuse.ko -exec cp {} ready/ \;
  find tree -name loop.ko -exec cp {} ready/ \;
  mkdir -p "$(dirname "$CACHE")"
  # Another test may have been faster.
  mv -T ready "$CACHE" 2>/dev/null || [[ -e $CACHE/vmlinuz ]]
fi
printf '%s\n' "$CACHE"
