# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the black-box tests share. A test is a bash file tests/NAME.sh that
# shows one behaviour; its name says which:
#
#   . "$(dirname "$0")/lib.sh"
#   requires root fuse loop
#   morsel convert "$(image base)" base -q
#   expect_exit 3 morsel inspect nothing
#
# Everything that a test makes lies below $WORK, and is gone when it ends,
# however it ends: processes that work there, mounts, loop devices, files.
# Exit code 77 is "skipped", with the reason on the last line.
set -euo pipefail

: "${MORSEL_BIN:?the folder of the programs; ctest sets it}"
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/morsel-test-XXXXXX")
export MORSEL_STATE_DIR=$WORK/state MORSEL_RUN_DIR=$WORK/run
# A user's own settings are none of the test's.
export MORSEL_CONFIG=$WORK/config.toml
: >"$MORSEL_CONFIG"
STARTED=()

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

skip() {
  printf 'SKIPPED: %s\n' "$*"
  exit 77
}

# requires WHAT...: skips the test where something is missing. `root`, `fuse`,
# `loop` and `mount` are abilities; any other word is a program.
requires() {
  local what
  for what in "$@"; do
    case $what in
      root) ((EUID == 0)) || skip "needs root" ;;
      fuse) [[ -w /dev/fuse ]] || skip "needs /dev/fuse" ;;
      loop) [[ -w /dev/loop-control ]] || skip "needs loop devices" ;;
      *) command -v "$what" >/dev/null || skip "needs the program $what" ;;
    esac
  done
}

morsel() { "$MORSEL_BIN/morsel" "$@"; }

# start COMMAND...: in the background; ended with the test. Its id is in $!.
start() {
  "$@" &
  STARTED+=($!)
}

# start_node LOG [SETTING VALUE...]: a node of the zone cache on a port of its
# own: NODE_PORT and NODE_PID.
start_node() {
  local log=$1 said
  shift
  mkfifo "$log.fifo"
  exec {said}<>"$log.fifo"
  start "$MORSEL_BIN/morsel-zonecache" --zone_node.listen 127.0.0.1:0 "$@" \
    1>&"$said" 2>"$log.log"
  # shellcheck disable=SC2034  # for the test
  NODE_PID=$!
  read -r -t 60 -u "$said" NODE_PORT || fail "no node: $(cat "$log.log")"
  NODE_PORT=${NODE_PORT##*:}
}

# expect_exit CODE COMMAND...: its output is in $WORK/out and $WORK/err.
expect_exit() {
  local expected=$1 code=0
  shift
  "$@" >"$WORK/out" 2>"$WORK/err" || code=$?
  ((code == expected)) ||
    fail "'$*' gave $code, not $expected: $(tail -n 3 "$WORK/err")"
}

# expect_text FILE TEXT: the file has this text somewhere.
expect_text() {
  grep -qF -- "$2" "$1" || fail "no '$2' in $1: $(head -c 1000 "$1")"
}

# field JSON_FILE JQ_EXPRESSION: a value, or a failure if it is not there.
field() { jq -er "$2" "$1" || fail "no $2 in $1"; }

# image NAME: a real image as `oci:DIR:TAG`, built from Debian packages and
# cached; skips where there are no packages to be had. `nasty` and its variants
# (nasty-zstd, nasty-plain) are made on the spot.
image() {
  case $1 in
    nasty) nasty_image gzip ;;
    nasty-*) nasty_image "${1#nasty-}" ;;
    *) printf 'oci:%s:%s\n' "$(debian_layout "$1")" "$1" ;;
  esac
}

nasty_image() {
  local layout=$WORK/images/nasty-$1
  [[ -d $layout ]] ||
    python3 "$TESTS/images/nasty.py" build "$layout" --compress "$1" >&2 ||
    fail "nasty.py failed"
  printf 'oci:%s:nasty\n' "$layout"
}

debian_layout() {
  "$TESTS/images/build.sh" "$1" 2>"$WORK/images.log" || {
    tail -n 5 "$WORK/images.log" >&2
    fail "the image $1 cannot be built"
  }
}

# s3 [own]: an origin of its own in a real S3 service: exports AWS_*, MORSEL_S3_*
# and MORSEL_ORIGIN. `own` starts a service for this test alone (in $WORK/rgw),
# that it may stop; else that of ctest is used, if there is one.
s3() {
  local code=0 settings=${MORSEL_TEST_RGW:-}
  if [[ ${1:-} == own || -z $settings ]]; then
    bash "$TESTS/rgw.sh" up "$WORK/rgw" >&2 || code=$?
    ((code != 77)) || skip "needs radosgw, ceph-mon and ceph-osd"
    ((code == 0)) || fail "the S3 service does not start"
    settings=$WORK/rgw/env
  fi
  set -a
  # shellcheck disable=SC1090
  . "$settings"
  set +a
  MORSEL_ORIGIN=s3://$MORSEL_TEST_BUCKET/$(basename "$WORK")
  export MORSEL_ORIGIN
}

# through_proxy: from here on all requests to the S3 service of `s3` go by a proxy
# that counts them, and makes the faults that `proxy COMMAND...` orders
# (tests/s3_proxy.py; it prints what was asked for).
through_proxy() {
  local port
  mkfifo "$WORK/proxy.in" "$WORK/proxy.out"
  exec {PROXY_IN}<>"$WORK/proxy.in" {PROXY_OUT}<>"$WORK/proxy.out"
  python3 "$TESTS/s3_proxy.py" "$MORSEL_S3_ENDPOINT" \
    <&"$PROXY_IN" >&"$PROXY_OUT" 2>"$WORK/proxy.log" &
  STARTED+=($!)
  read -r -t 60 -u "$PROXY_OUT" port || fail "no proxy: $(cat "$WORK/proxy.log")"
  export MORSEL_S3_ENDPOINT=http://127.0.0.1:$port
}

proxy() {
  local answer
  printf '%s\n' "$*" >&"$PROXY_IN"
  read -r -t 60 -u "$PROXY_OUT" answer || fail "the proxy does not answer: $*"
  [[ $answer == ok ]] || printf '%s\n' "$answer"
}

# origin_of_test: where TEST_ORIGIN is s3, the origin lies in S3, behind the
# proxy; else in a folder. What follows works on both.
origin_of_test() {
  [[ ${TEST_ORIGIN:-} != s3 ]] || {
    s3
    through_proxy
  }
}

# objects list|get|put|copy|delete KEY...: what who can write to the origin may
# do (tests/objects.py).
objects() { python3 "$TESTS/objects.py" "$@"; }

# age_root ROOT: its state was last written two hours ago.
age_root() {
  if [[ ${TEST_ORIGIN:-} == s3 ]]; then
    proxy age "roots/$1/state.json" 7200
  else
    touch -d '2 hours ago' "$MORSEL_STATE_DIR/origin/roots/$1/state.json"
  fi
}

# wait_until COMMAND...: tried again and again; the minute that it gives up
# after is a guard against a hang, and no measure.
wait_until() {
  local i
  for ((i = 0; i < 1200; i++)); do
    ! "$@" || return 0
    read -rt 0.05 <> <(:) || true
  done
  fail "waited in vain for: $*"
}

# is_gone PID: it runs no more, whether or not its parent has noticed.
is_gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

# fio_rounds: writes to $device and verifies that, over and over, until the file
# $WORK/enough is there.
fio_rounds() {
  local round=0
  until [[ -e $WORK/enough ]]; do
    round=$((round + 1))
    timeout 300 fio --name=verify --filename="$device" --offset=2G --size=48M \
      --bs=1M --rw=randwrite --ioengine=libaio --direct=1 --iodepth=8 \
      --verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 \
      --randseed=$round --output="$WORK/fio" || return 1
  done
}

# flip_bit FILE OFFSET: the lowest bit of this byte.
flip_bit() {
  python3 - "$1" "$2" <<'END'
import sys
with open(sys.argv[1], 'r+b') as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0] ^ 1
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte]))
END
}

drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

# start_local_cache [NAME=VALUE...]: the shared local cache of this test, with
# these settings as MORSEL_LOCAL_CACHE_NAME; all later commands use it. Again
# after stop_local_cache or a kill: the same arena. Its id is in LOCAL_CACHE,
# its log in $WORK/localcache.log.
start_local_cache() {
  local setting
  if ! mountpoint -q "$WORK/shm"; then
    mkdir -p "$WORK/shm"
    mount -t tmpfs none "$WORK/shm"
    # The daemon reads its settings again as another user.
    chmod 711 "$WORK"
  fi
  export MORSEL_LOCAL_CACHE_SOCKET=$WORK/localcache.sock
  export MORSEL_LOCAL_CACHE_ARENA=$WORK/shm/arena
  for setting in "$@"; do export "MORSEL_LOCAL_CACHE_${setting?}"; done
  "$MORSEL_BIN/morsel-localcache" >>"$WORK/localcache.log" 2>&1 &
  LOCAL_CACHE=$!
  STARTED+=("$LOCAL_CACHE")
  # An answer, not a time, says that it serves.
  until morsel stat --json 2>/dev/null | jq -e .local_cache >/dev/null; do
    kill -0 "$LOCAL_CACHE" 2>/dev/null ||
      fail "no local cache: $(tail -n 1 "$WORK/localcache.log")"
    read -rt 0.05 <> <(:) || true
  done
}

# stop_local_cache [SIGNAL]
stop_local_cache() {
  kill -"${1:-TERM}" "$LOCAL_CACHE"
  wait "$LOCAL_CACHE" || true
}

# tier TIER COUNTER: of the shared local cache.
tier() {
  morsel stat --json | jq -e --arg tier "$1" --arg counter "$2" \
    '.local_cache.tiers[] | select(.tier == $tier)[$counter]'
}

# The processes that have $WORK on their command line or in their environment:
# what the test started, and what those started in turn.
own_processes() {
  local pid
  for pid in /proc/[0-9]*; do
    [[ ${pid#/proc/} != "$$" && ${pid#/proc/} != "$BASHPID" ]] || continue
    if grep -qzF -- "$WORK" "$pid/cmdline" "$pid/environ" 2>/dev/null; then
      printf '%s\n' "${pid#/proc/}"
    fi
  done
}

release_mounts() {
  local target
  while read -r target; do
    umount -l "$(printf '%b' "$target")" || true
  done < <(awk -v below="$WORK/" 'index($5, below) == 1 { print $5 }' \
    /proc/self/mountinfo | sort -r)
}

release_loops() {
  local device
  ((EUID == 0)) || return 0
  while read -r device; do
    losetup -d "$device" || true
  done < <(losetup --noheadings --raw -O NAME,BACK-FILE |
    awk -v below="$WORK/" 'index($2, below) == 1 { print $1 }')
}

clean_up() {
  local code=$? pid
  set +e
  trap '' INT TERM HUP
  cd /
  ((code == 0 || code == 77)) || show_logs
  # Mounts first: a process that serves one is needed to flush it.
  release_mounts 2>/dev/null
  release_loops 2>/dev/null
  for pid in "${STARTED[@]}" $(own_processes); do
    kill -KILL "$pid" 2>/dev/null
  done
  wait 2>/dev/null
  release_mounts
  release_loops
  rm -rf --one-file-system "$WORK"
  exit "$code"
}

# The agents' logs, for whoever reads of the failure.
show_logs() {
  local log
  find "$WORK" -xdev -name '*.log' -size +0 2>/dev/null |
    while read -r log; do
      printf -- '--- %s\n' "${log#"$WORK/"}" >&2
      tail -n 20 "$log" >&2
    done
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
