#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `morsel run` against containerd, which pulls, unpacks and then starts: both
# from the command to the first output, with nothing of the image on the worker
# and the page cache dropped. The registry is on loopback, plain HTTP. Once for
# a program that loads Python, once for one that reads little.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
IMAGE=${BENCH_IMAGE:-python}
ROUNDS=3
PORT=${BENCH_PORT:-5713}
REFERENCE=localhost:$PORT/bench:ready

# await COMMAND...: until it succeeds; a guard against waiting for ever.
await() {
  local i
  for ((i = 0; i < 400; i++)); do
    "$@" >/dev/null 2>&1 && return
    read -rt 0.05 <> <(:) || true
  done
  die "'$*' fails still after 20 s"
}

# True if something listens there.
answers() { : <>"/dev/tcp/localhost/$1"; }

start_registry() {
  cat >"$WORK/registry.yml" <<TEXT
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $WORK/registry}}
http: {addr: "localhost:$PORT"}
TEXT
  docker-registry serve "$WORK/registry.yml" >"$WORK/registry.log" 2>&1 &
  at_exit "kill $!"
  await answers "$PORT"
}

start_containerd() {
  mkdir "$WORK/c"
  cat >"$WORK/containerd.toml" <<TEXT
version = 2
root = "$WORK/c/root"
state = "$WORK/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$WORK/c/c.sock"
[ttrpc]
  address = "$WORK/c/t.sock"
TEXT
  containerd -c "$WORK/containerd.toml" >"$WORK/containerd.log" 2>&1 &
  at_exit "kill $!; wait $!; umount -l $WORK/c/state/*/*/*/rootfs"
  await ctr_here version
}

ctr_here() { ctr --address "$WORK/c/c.sock" -n bench "$@"; }

pull_and_run() {
  ctr_here image pull --plain-http "$REFERENCE" >"$WORK/pull.log" 2>&1
  ctr_here run --rm "$REFERENCE" "bench-$$" "$@"
}

forget_image() {
  ctr_here image rm --sync "$REFERENCE" >/dev/null
  ctr_here content ls -q | xargs -r ctr --address "$WORK/c/c.sock" -n bench \
    content rm >/dev/null 2>&1 || true
}

run_morsel() { "$MORSEL_BIN/morsel" run bench:ready -- "$@"; }

# compare LIMIT COMMAND...
compare() {
  local limit=$1 theirs=() ours=() i
  shift
  for ((i = 0; i < ROUNDS; i++)); do
    drop_caches
    theirs+=("$(first_output pull_and_run "$@")")
    forget_image
    drop_caches
    ours+=("$(first_output run_morsel "$@")")
  done
  row "containerd: pull, unpack, run $1 (median of $ROUNDS)" \
    "$(median "${theirs[@]}") ms"
  row "morsel run $1, cold (median of $ROUNDS)" "$(median "${ours[@]}") ms"
  row "how much faster" \
    "$(held "$(ratio "$(median "${theirs[@]}")" "$(median "${ours[@]}")")" \
      at-least "$limit" x)"
}

start_registry
start_containerd
quietly skopeo copy --dest-tls-verify=false "oci:$IMAGES/oci:$IMAGE" \
  "docker://$REFERENCE"
quietly morsel convert -q "oci:$IMAGES/oci:$IMAGE" bench:ready
compare 5 python3 -c 'print(1)'
compare 5 echo 1
