#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds real OCI images from Debian packages, and prints the layout's path.
#
#   tests/images/build.sh [NAME...]      names: base python node git perl
#                                        iputils flask (all, if none is given)
#
# Every image but `base` is three true layers: base (minbase), packages, app.
# They lie in one OCI layout, $CACHE/oci:NAME, so that they share the base's
# blobs as images in a registry do. CACHE is $MORSEL_TEST_CACHE, by default
# ~/.cache/morsel-test. What is there already is not built again. A build that
# is killed leaves no half image: each is made in a scratch layout of its own,
# and its tag is written last.
#
# Needs root, mmdebstrap, umoci, skopeo and the host's apt sources.
set -euo pipefail

readonly ALL=(base python node git perl iputils flask)
CACHE=${MORSEL_TEST_CACHE:-$HOME/.cache/morsel-test}
SUITE=bookworm
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=

say() { printf 'images: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# The packages of an image, beyond the base.
packages_of() {
  case $1 in
    python) echo python3 python3-numpy ;;
    node) echo nodejs ;;
    git) echo git ;;
    perl) echo perl ;;
    iputils) echo iputils-ping libcap2-bin ;;
    flask) echo python3 python3-flask ;;
    *) die "no image is called '$1'; there are: ${ALL[*]}" ;;
  esac
}

# What a container of the image runs if it is not told otherwise.
command_of() {
  case $1 in
    python | flask) echo /usr/bin/python3 /srv/app/main.py ;;
    *) echo /bin/sh /srv/app/main.sh ;;
  esac
}

have() { umoci stat --image "$CACHE/oci:$1" >/dev/null 2>&1; }

# Unmounts everything below the scratch folder, deepest first.
release_mounts() {
  local target
  while read -r target; do
    umount -l "$target" || true
  done < <(awk -v below="$1/" 'index($5, below) == 1 { print $5 }' \
    /proc/self/mountinfo | sort -r)
}

clean_up() {
  [[ -n $WORK ]] || return 0
  release_mounts "$WORK"
  # Without the mounts gone, removal would reach into the host's /dev.
  if grep -q " $WORK/" /proc/self/mountinfo; then
    die "$WORK still has mounts; remove it by hand"
  fi
  rm -rf --one-file-system "$WORK"
}

# The host's own archives, so that an offline mirror serves here too.
main_source() {
  local list
  for list in /etc/apt/sources.list.d/*.sources; do
    [[ -f $list ]] || continue
    awk '/^URIs:/ { uri = $2 } /^Suites:.*'"$SUITE"'( |$)/ { hit = 1 }
         hit && uri { print uri; exit }' "$list"
  done
  awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^(http|file|copy)/) {
         if ($(i + 1) == "'"$SUITE"'") print $i } }' \
    /etc/apt/sources.list 2>/dev/null || true
}

# A base root as a tar, made once.
make_base_tar() {
  local mirror
  [[ -f $CACHE/base.tar ]] && return
  mirror=$(main_source | head -n 1)
  say "base: mmdebstrap (about a minute)"
  mmdebstrap --quiet --variant=minbase --mode=root \
    --aptopt='APT::Sandbox::User "root"' --include=ca-certificates \
    "$SUITE" "$WORK/base.tar" "${mirror:-http://deb.debian.org/debian}" \
    >"$WORK/base.log" 2>&1 || {
    tail -n 20 "$WORK/base.log" >&2
    die "mmdebstrap failed"
  }
  mv "$WORK/base.tar" "$CACHE/base.tar"
}

unpack() { umoci unpack --image "$WORK/oci:$1" "$WORK/bundle" >/dev/null; }

repack() {
  umoci repack --image "$WORK/oci:$1" "$WORK/bundle" >/dev/null
  rm -rf --one-file-system "$WORK/bundle"
}

# Moves the finished image into the cache; skopeo writes its blobs first and
# its entry in the index last.
publish() {
  skopeo copy --quiet "oci:$WORK/oci:$1" "oci:$CACHE/oci:$1"
  rm -rf "$WORK/oci"
  say "$1: done"
}

build_base() {
  make_base_tar
  umoci init --layout "$WORK/oci"
  umoci new --image "$WORK/oci:base"
  unpack base
  tar -C "$WORK/bundle/rootfs" -xf "$CACHE/base.tar" --numeric-owner \
    --xattrs --xattrs-include='*' --exclude='./dev/*'
  repack base
  umoci config --image "$WORK/oci:base" --config.cmd /bin/bash \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  publish base
}

# Lets the packages' scripts run in the root as they would on a machine.
prepare_root() {
  local root=$1 mount
  for mount in proc sys dev; do
    mount --rbind "/$mount" "$root/$mount"
    mount --make-rslave "$root/$mount"
  done
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
  cp -f /etc/apt/sources.list.d/debian*.sources \
    "$root/etc/apt/sources.list.d/" 2>/dev/null || true
  if [[ -s /etc/apt/sources.list ]]; then
    cp -f /etc/apt/sources.list "$root/etc/apt/"
  elif [[ -n $(ls "$root/etc/apt/sources.list.d") ]]; then
    : >"$root/etc/apt/sources.list"
  fi
  # Proxies and the like; what concerns the host's docker does no harm.
  cp -f /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 0755 "$root/usr/sbin/policy-rc.d"
}

install_packages() {
  local name=$1 root=$WORK/bundle/rootfs
  prepare_root "$root"
  # shellcheck disable=SC2046  # a list of words
  if ! DEBIAN_FRONTEND=noninteractive chroot "$root" /bin/sh -ec '
      apt-get -o APT::Sandbox::User=root update -qq
      apt-get -o APT::Sandbox::User=root install -y -qq \
        --no-install-recommends "$@"
      apt-get clean
      rm -rf /var/lib/apt/lists/*' sh $(packages_of "$name") \
    >"$WORK/$name.log" 2>&1; then
    tail -n 20 "$WORK/$name.log" >&2
    die "$name: apt-get failed"
  fi
  rm -f "$root/usr/sbin/policy-rc.d"
  release_mounts "$WORK"
}

add_app() {
  local name=$1 app=$WORK/bundle/rootfs/srv/app
  mkdir -p "$app"
  printf '#!/bin/sh\necho "hello from %s"\n' "$name" >"$app/main.sh"
  cp "$HERE/app.py" "$app/main.py"
  chmod 0755 "$app/main.sh" "$app/main.py"
  # Data that compresses badly and that nothing reads, as real apps have.
  openssl enc -aes-128-ctr -nosalt -pass "pass:$name" -pbkdf2 \
    -in /dev/zero 2>/dev/null | head -c 3000000 >"$app/data.bin" || true
}

build_image() {
  local name=$1 words=() word
  say "$name: installing $(packages_of "$name")"
  skopeo copy --quiet "oci:$CACHE/oci:base" "oci:$WORK/oci:$name"
  unpack "$name"
  install_packages "$name"
  repack "$name"
  unpack "$name"
  add_app "$name"
  repack "$name"
  for word in $(command_of "$name"); do words+=(--config.cmd "$word"); done
  umoci config --image "$WORK/oci:$name" "${words[@]}" \
    --config.workingdir /srv/app --config.env "APP=$name" \
    --config.env PYTHONDONTWRITEBYTECODE=1
  publish "$name"
}

main() {
  local names=("$@") name left
  ((${#names[@]})) || names=("${ALL[@]}")
  for name in "${names[@]}"; do
    [[ $name == base ]] || packages_of "$name" >/dev/null
  done
  mkdir -p "$CACHE"
  # Two builds at once would do the same work twice.
  exec 9>"$CACHE/lock"
  flock 9
  for left in "$CACHE"/work-*; do
    WORK=$left
    [[ -d $left ]] && clean_up
  done
  WORK=$(mktemp -d "$CACHE/work-XXXXXX")
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  have base || build_base
  for name in "${names[@]}"; do
    have "$name" || build_image "$name"
  done
  printf '%s\n' "$CACHE/oci"
}

main "$@"
