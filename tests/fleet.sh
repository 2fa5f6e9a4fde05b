#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Eight containers of real images at once on one local cache before five nodes of
# the zone cache: each reads files past the page cache and holds them to their
# checksums, round after round, while a node is killed and comes back empty, one
# answers 50 ms late, one returns garbage, one has stored garbage, one is added
# and one is taken out. No container sees an error, the origin is never asked
# again, and garbage is counted and healed. Then the same containers on five
# plain memcached servers.
#
# FLEET=long reads far more, of seven images in the place of one, and does all of
# it on memcached too.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq python3 memcached

CONTAINERS=8
IMAGES=(base)
SAMPLE_BYTES=$((4 << 20))
if [[ ${FLEET:-short} == long ]]; then
  IMAGES=(base python git perl node iputils flask)
  SAMPLE_BYTES=$((1 << 40))
fi

# list_of IMAGE SEED: checksums of files of 128 KiB to 1 MiB, of the sample's size.
list_of() {
  (
    cd "$WORK/$1" || exit
    find . -xdev -type f -size +127k -size -1025k -printf '%s %P\n' | LC_ALL=C sort |
      shuf --random-source=<(yes "$2") |
      awk -v most="$SAMPLE_BYTES" 'sum + $1 <= most { sum += $1; print $2 }' |
      xargs sha256sum
  )
}

for image in "${IMAGES[@]}"; do
  morsel convert -q "$(image "$image")" "fleet-$image:1" >/dev/null
  mkdir "$WORK/$image"
  morsel mount -q --read-only "fleet-$image:1" "$WORK/$image" >/dev/null
done
for ((i = 0; i < CONTAINERS; i++)); do
  mkdir "$WORK/check$i"
  list_of "${IMAGES[i % ${#IMAGES[@]}]}" "$i" >"$WORK/check$i/list"
  (($(wc -l <"$WORK/check$i/list") > 3)) || fail "hardly any file to read"
  cat >"$WORK/check$i/rounds" <<'END'
while read -r word && [ "$word" = round ]; do
  while read -r sum file; do
    got=$(dd if="/$file" bs=1M iflag=direct 2>/dev/null | sha256sum)
    [ "${got%% *}" = "$sum" ] || { echo "$file is wrong"; exit 1; }
  done </check/list
  echo right
done
END
done
for image in "${IMAGES[@]}"; do morsel umount "$WORK/$image" >/dev/null; done

# The servers: each has a port and a process under its number; a proxy stands
# before the fourth and the fifth.
PORTS=() PIDS=()
start_server() {
  local kind=$1 i=$2 file=$WORK/$1$2.port
  if [[ $kind == node ]]; then
    rm -f "$WORK/node$i.fifo"
    # A port that is given again makes it the same node.
    start_node "$WORK/node$i" --zone_node.memory_bytes 256MiB \
      ${PORTS[i]:+--zone_node.listen "127.0.0.1:${PORTS[i]}"}
    PORTS[i]=$NODE_PORT PIDS[i]=$NODE_PID
    return
  fi
  rm -f "$file"
  MEMCACHED_PORT_FILENAME=$file start memcached -l 127.0.0.1 \
    -p "${PORTS[i]:--1}" -U 0 -u root -m 256 -t 2 -I 1m
  PIDS[i]=$!
  wait_until grep -qs TCP "$file"
  PORTS[i]=$(sed -n 's/.*TCP.*: //p' "$file" | head -n 1)
}

# start_proxy NUMBER NAME: before that server.
declare -A PROXY_PORTS=() SAY=() HEAR=()
start_proxy() {
  local i=$1 say hear
  mkfifo "$WORK/$2.say" "$WORK/$2.hear"
  exec {say}<>"$WORK/$2.say" {hear}<>"$WORK/$2.hear"
  python3 -B "$TESTS/fault_proxy.py" "127.0.0.1:${PORTS[i]}" \
    <&"$say" >&"$hear" &
  STARTED+=($!)
  SAY[$2]=$say HEAR[$2]=$hear
  read -r -t 60 -u "$hear" PROXY_PORTS["$2"] || fail "no proxy"
}

# order NAME COMMAND...: holds once this returns.
order() {
  local answer name=$1
  shift
  echo "$*" >&"${SAY[$name]}"
  read -r -t 60 -u "${HEAR[$name]}" answer || fail "the proxy is gone"
}

# use_nodes PORT...: the static list, reloaded.
use_nodes() {
  local before
  printf '[zone_cache]\nnodes = "%s"\ntimeout = 30\nput_queue = 4096\n' \
    "$(printf '127.0.0.1:%s,' "$@" | sed 's/,$//')" >"$MORSEL_CONFIG"
  [[ -n ${LOCAL_CACHE:-} ]] || return 0
  before=$(grep -c "settings reloaded" "$WORK/localcache.log" || true)
  kill -HUP "$LOCAL_CACHE"
  has_reloaded() {
    (($(grep -c "settings reloaded" "$WORK/localcache.log") > before))
  }
  wait_until has_reloaded
}

zone() { morsel stat --json | jq -e ".local_cache.zone_cache.$1"; }

READERS=() TO=() FROM=()
start_containers() {
  local i to from
  for ((i = 0; i < CONTAINERS; i++)); do
    mkfifo "$WORK/to$i" "$WORK/from$i"
    exec {to}<>"$WORK/to$i" {from}<>"$WORK/from$i"
    "$MORSEL_BIN/morsel" run -i -v "$WORK/check$i:/check:ro" \
      "fleet-${IMAGES[i % ${#IMAGES[@]}]}:1" -- sh /check/rounds \
      <"$WORK/to$i" >"$WORK/from$i" 2>"$WORK/run$i.log" &
    READERS[i]=$! TO[i]=$to FROM[i]=$from
    STARTED+=($!)
  done
}

# round [COMMAND...]: all containers read their files once, and the command is
# run while they do.
round() {
  local i answer part
  for ((i = 0; i < CONTAINERS; i++)); do echo round >&"${TO[i]}"; done
  "$@"
  for ((i = 0; i < CONTAINERS; i++)); do
    part=
    until read -r -t 5 -u "${FROM[i]}" answer; do
      part+=$answer  # what came before the time was up
      kill -0 "${READERS[i]}" 2>/dev/null ||
        fail "container $i ended: $(cat "$WORK/run$i.log")"
    done
    [[ $part$answer == right ]] || fail "container $i: $part$answer"
  done
}

# all_from_zone COMMAND...: rounds until one has asked the origin for nothing.
# The first does, unless the machine is so busy that a node was late by seconds.
all_from_zone() {
  local fetched rounds=0
  while true; do
    fetched=$(tier origin hits)
    round "$@"
    set --
    rounds=$((rounds + 1))
    (($(tier origin hits) > fetched)) || break
    ((rounds < 10)) || fail "$PHASE: the origin is asked again and again"
  done
  echo "$KIND: $PHASE: right, all from the zone cache in round $rounds"
}

# settle: rounds until nothing is missing in the zone cache, and nothing bad.
settle() {
  local before rounds
  for ((rounds = 0; rounds < 30; rounds++)); do
    before=$(zone 'stripes_added + .local_cache.zone_cache.stripes_bad')
    fetched=$(tier origin hits)
    round
    [[ $(tier origin hits) == "$fetched" &&
      $(zone 'stripes_added + .local_cache.zone_cache.stripes_bad') == "$before" ]] ||
      continue
    [[ $(zone 'nodes | map(select(.down)) | length') == 0 ]] && return 0
  done
  fail "$PHASE: the zone cache is never whole"
}

kill_server() {
  kill -KILL "${PIDS[$1]}"
  wait "${PIDS[$1]}" || true
}

# rounds_on KIND: five servers of that kind and a sixth, through all faults.
rounds_on() {
  local i list bad repaired
  KIND=$1 PHASE="empty" CORRUPT=0
  [[ -z ${LOCAL_CACHE:-} ]] || CORRUPT=$(tier zone_cache corrupt)
  PORTS=() PIDS=()
  for i in 1 2 3 4 5 6; do start_server "$1" "$i"; done
  start_proxy 4 "late-$1"
  start_proxy 5 "garbage-$1"
  list=("${PORTS[@]:0:3}" "${PROXY_PORTS[late-$1]}" "${PROXY_PORTS[garbage-$1]}")
  use_nodes "${list[@]}"
  if [[ -z ${LOCAL_CACHE:-} ]]; then
    # Smaller than what is read, so that each round misses.
    start_local_cache MEMORY_BYTES=16MiB
    start_containers
  fi
  settle
  PHASE="a node is late"
  all_from_zone order "late-$1" delay 50
  order "late-$1" delay 0
  PHASE="a node returns garbage"
  bad=$(zone stripes_bad)
  all_from_zone order "garbage-$1" garbage answers
  (($(zone stripes_bad) > bad)) || fail "garbage was not counted"
  order "garbage-$1" garbage none
  PHASE="a node is killed"
  all_from_zone kill_server 5
  # All was rebuilt, since nothing bad was ever stored.
  [[ $(tier zone_cache corrupt) == "$CORRUPT" ]] ||
    fail "a chunk was not rebuilt"
  [[ $1 == node || ${FLEET:-short} == long ]] || return 0
  PHASE="it comes back and stores garbage"
  order "garbage-$1" garbage stores
  start_server "$1" 5
  until [[ $(zone 'nodes[4].down | not') == true ]]; do round; done
  round
  order "garbage-$1" garbage none
  bad=$(zone stripes_bad) repaired=$(zone stripes_repaired)
  all_from_zone
  (($(zone stripes_bad) > bad)) || fail "stored garbage was not counted"
  settle
  (($(zone stripes_repaired) > repaired)) || fail "garbage was not healed"
  PHASE="a node is added"
  all_from_zone use_nodes "${list[@]}" "${PORTS[6]}"
  settle
  PHASE="a node is taken out"
  all_from_zone use_nodes "${list[@]:0:1}" "${list[@]:2}" "${PORTS[6]}"
}

rounds_on node
rounds_on memcached

for to in "${TO[@]}"; do echo enough >&"$to"; done
for reader in "${READERS[@]}"; do
  wait "$reader" || fail "a container failed"
done
# A bad stripe that always came last was never looked at; with the node that was
# taken out that is one too many, and the chunk is healed from the origin.
corrupt=$(tier zone_cache corrupt)
(($(morsel stat --json | jq .local_cache.repairs) >= corrupt)) ||
  fail "a chunk was not healed"
echo "right; $corrupt chunks had two bad stripes and were healed"
