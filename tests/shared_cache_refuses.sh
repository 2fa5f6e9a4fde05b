#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Past local_cache.max_starting a new device is refused: exit code 5, 125 under
# run, with a message that says why. Who is attached reads on; SIGHUP takes
# another limit.
. "$(dirname "$0")/lib.sh"
requires root fuse jq

morsel convert -q "$(image nasty)" refuse:1 >/dev/null
start_local_cache MAX_STARTING=2
first=$(morsel attach -q --read-only refuse:1)
morsel attach -q --read-only refuse:1 >/dev/null
expect_exit 5 morsel attach refuse:1
expect_text "$WORK/err" "refused for load: 2 devices are starting"
expect_exit 125 morsel run refuse:1 -- true
expect_text "$WORK/err" "refused for load"
expect_text "$WORK/localcache.log" "start refused"
dd if="$first" of=/dev/null bs=1M count=8 iflag=direct status=none ||
  fail "a device that is attached cannot be read"
[[ $(morsel stat --json | jq .local_cache.refused_starts) == 2 ]] ||
  fail "refusals are not counted"

# The environment cannot change under a running process; the file can.
stop_local_cache
unset MORSEL_LOCAL_CACHE_MAX_STARTING
printf '[local_cache]\nmax_starting = 2\n' >"$MORSEL_CONFIG"
start_local_cache
# Both devices are there again, however long that takes.
until [[ $(morsel stat --json | jq .local_cache.starting) == 2 ]]; do
  read -rt 0.05 <> <(:) || true
done
expect_exit 5 morsel attach refuse:1
printf '[local_cache]\nmax_starting = 3\n' >"$MORSEL_CONFIG"
kill -HUP "$LOCAL_CACHE"
until grep -q "settings reloaded" "$WORK/localcache.log"; do
  read -rt 0.05 <> <(:) || true
done
expect_exit 0 morsel attach -q --read-only refuse:1

# Without a daemon nothing starts, and the message says what to do.
stop_local_cache
expect_exit 5 morsel attach refuse:1
expect_text "$WORK/err" "start morsel-localcache"
