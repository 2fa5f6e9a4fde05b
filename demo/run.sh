#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./dev demo [IMAGE] [--origin s3] [--keep] [-- COMMAND...]
#
# Converts an image, runs a program in it on demand with cold caches, and prints
# what that took, beside unpacking the same image and running the same program.
# IMAGE is a name of tests/images/build.sh (default: python, three layers, about
# 300 MB) or anything that skopeo can copy: docker://debian:12, oci:DIR:TAG,
# docker-archive:FILE. State lies in build/demo, and is removed at the end
# unless --keep is given. With `--origin s3` the image is kept in a bucket of a
# Ceph RGW that is started for the demo and ended with it.
set -euo pipefail

: "${MORSEL_BIN:?the folder of the release programs; ./dev demo sets it}"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STATE=$HERE/build/demo
NAME=demo/image:latest
KEEP=
ORIGIN=
SOURCE=python
COMMAND=()

say() { printf '\n== %s\n' "$*"; }

die() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}

morsel() { "$MORSEL_BIN/morsel" "$@"; }

clean_up() {
  local code=$?
  set +e
  runc delete -f "morsel-demo-$$" >/dev/null 2>&1
  if [[ -n $ORIGIN ]]; then
    # The service lives in memory: nothing of it can be kept.
    bash "$HERE/tests/rgw.sh" down "$STATE/rgw"
  fi
  if [[ -z $KEEP ]]; then
    # What a run that was interrupted has left: the agent, mounts, loop devices.
    [[ -x $MORSEL_BIN/morsel ]] && morsel doctor -q >/dev/null 2>&1
    if grep -q " $STATE/" /proc/self/mountinfo; then
      echo "demo: $STATE has mounts left; see 'morsel doctor'" >&2
    else
      rm -rf --one-file-system "$STATE"
    fi
  fi
  exit "$code"
}

read_arguments() {
  while (($#)); do
    case $1 in
      --keep) KEEP=1 ;;
      --origin)
        [[ ${2:-} == s3 ]] || die "--origin takes s3"
        ORIGIN=s3
        shift
        ;;
      --)
        shift
        COMMAND=("$@")
        return
        ;;
      -*) die "unknown option $1; see the head of demo/run.sh" ;;
      *) SOURCE=$1 ;;
    esac
    shift
  done
}

# Sets LAYOUT and TAG to an OCI layout that holds the image.
fetch_image() {
  local words=()
  case $SOURCE in
    *:*)
      say "fetching $SOURCE"
      # A registry on this machine may speak plain HTTP, as for Docker.
      [[ $SOURCE =~ ^docker://(localhost|127\.)[^/]*/ ]] &&
        words+=(--src-tls-verify=false)
      skopeo copy --quiet "${words[@]}" "$SOURCE" "oci:$STATE/oci:image"
      LAYOUT=$STATE/oci TAG=image
      ((${#COMMAND[@]})) || COMMAND=(cat /etc/os-release)
      ;;
    *)
      say "building the image $SOURCE from Debian packages (cached)"
      LAYOUT=$("$HERE/tests/images/build.sh" "$SOURCE") TAG=$SOURCE
      case $SOURCE in
        python | flask) set_command python3 /srv/app/main.py ;;
        base) set_command cat /etc/os-release ;;
        *) set_command sh /srv/app/main.sh ;;
      esac
      ;;
  esac
}

start_s3() {
  say "starting Ceph RGW, an S3 service"
  bash "$HERE/tests/rgw.sh" up "$STATE/rgw"
  set -a
  # shellcheck disable=SC1091
  . "$STATE/rgw/env"
  set +a
  export MORSEL_ORIGIN=s3://$MORSEL_TEST_BUCKET/demo
  echo "origin: $MORSEL_ORIGIN at $MORSEL_S3_ENDPOINT"
}

set_command() { ((${#COMMAND[@]})) || COMMAND=("$@"); }

now_ms() { echo $(($(date +%s%N) / 1000000)); }

drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

# first_output COMMAND...: runs it with cold caches; its output is in
# $STATE/output, and FIRST_MS says when the first byte of it came.
first_output() {
  local begun pipe=$STATE/pipe code=0
  rm -f "$pipe"
  mkfifo "$pipe"
  drop_caches
  begun=$(now_ms)
  "$@" >"$pipe" </dev/null &
  {
    IFS= read -r -N 1 first || true
    FIRST_MS=$(($(now_ms) - begun))
    printf '%s' "$first"
    cat
  } <"$pipe" >"$STATE/output"
  wait $! || code=$?
  ((code == 0)) || die "'$*' ended with $code"
}

convert_image() {
  local begun
  say "converting"
  begun=$(now_ms)
  morsel convert "oci:$LAYOUT:$TAG" "$NAME" --json >"$STATE/convert.json"
  CONVERT_MS=$(($(now_ms) - begun))
}

run_on_demand() {
  say "running on demand: ${COMMAND[*]}"
  first_output morsel run --rm --stats-file "$STATE/stats.json" "$NAME" -- \
    "${COMMAND[@]}"
  MORSEL_MS=$FIRST_MS
  cat "$STATE/output"
}

# as_json WORD...: a list.
as_json() { jq -cn '$ARGS.positional' --args -- "$@"; }

unpack_and_run() {
  local bundle=$STATE/bundle
  umoci unpack --image "$LAYOUT:$TAG" "$bundle" >/dev/null
  jq --argjson words "$(as_json "${COMMAND[@]}")" \
    '.process.args = $words | .process.terminal = false
      | .linux.namespaces |= map(select(.type != "network"))' \
    <"$bundle/config.json" >"$STATE/config.json"
  mv "$STATE/config.json" "$bundle/config.json"
  runc run --bundle "$bundle" "morsel-demo-$$"
}

run_unpacked() {
  say "the same after unpacking the whole image (umoci, runc)"
  first_output unpack_and_run
  UNPACKED_MS=$FIRST_MS
  UNPACKED_BYTES=$(du -sxb "$STATE/bundle/rootfs" | cut -f1)
}

mib() { awk -v n="$1" 'BEGIN { printf "%.1f MiB", n / 1048576 }'; }

seconds() { awk -v n="$1" 'BEGIN { printf "%.2f s", n / 1000 }'; }

row() { printf '  %-34s %14s %14s\n' "$1" "$2" "${3:-}"; }

print_table() {
  local stored loaded
  stored=$(jq -e .stored_bytes "$STATE/convert.json")
  loaded=$(jq -e .bytes_loaded "$STATE/stats.json")
  say "$SOURCE: ${COMMAND[*]}"
  row "" "morsel" "unpack + run"
  row "image, unpacked" "" "$(mib "$UNPACKED_BYTES")"
  row "chunks" "$(jq .chunk_count "$STATE/convert.json")"
  row "stored" "$(mib "$stored")"
  row "time to convert (once)" "$(seconds "$CONVERT_MS")"
  row "time to attach" \
    "$(jq .attach_ms "$STATE/stats.json" | awk '{ printf "%.0f ms", $1 }')"
  row "time to first output, cold" "$(seconds "$MORSEL_MS")" \
    "$(seconds "$UNPACKED_MS")"
  row "loaded" "$(mib "$loaded")" "$(mib "$UNPACKED_BYTES")"
  row "share of the stored image" \
    "$(awk -v a="$loaded" -v b="$stored" \
      'BEGIN { printf "%.1f %%", b ? 100 * a / b : 0 }')" "100 %"
}

main() {
  read_arguments "$@"
  ((EUID == 0)) || die "needs root: for loop devices, mounts and runc"
  mkdir -p "$HERE/build"
  rm -rf --one-file-system "$STATE"
  mkdir -m 0700 "$STATE"
  export MORSEL_STATE_DIR=$STATE/state MORSEL_RUN_DIR=$STATE/run
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  [[ -z $ORIGIN ]] || start_s3
  fetch_image
  convert_image
  run_on_demand
  run_unpacked
  print_table
}

main "$@"
