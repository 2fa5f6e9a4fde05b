#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The device outlives its agent on the oldest kernel that is supported, Debian
# 12's own 6.1, in a virtual machine: writes of 1 MiB are read back while child,
# guard and twin are killed. No hardware support is needed, but patience.
. "$(dirname "$0")/lib.sh"
requires root qemu-system-x86_64 busybox ldd
KILLS=${KILLS:-12}
kernel=$("$TESTS/images/kernel.sh" 2>"$WORK/kernel.log") ||
  skip "there is no kernel to be had: $(tail -n 1 "$WORK/kernel.log")"

# An image and its key, and the programs with their libraries.
morsel convert -q "$(image nasty)" dev:vm >/dev/null
root=$WORK/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,run,state}
cp -r "$MORSEL_STATE_DIR"/. "$root/state"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$kernel"/*.ko "$root"
for program in morsel morsel-agent morsel-localcache; do
  strip -o "$root/bin/$program" "$MORSEL_BIN/$program" ||
    cp "$MORSEL_BIN/$program" "$root/bin/$program"
  while read -r library; do
    mkdir -p "$root/$(dirname "$library")"
    cp -Ln "$library" "$root/$library"
  done < <(ldd "$MORSEL_BIN/$program" | grep -o '/[^ ]*')
done

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=755 run /run
mkdir /run/state
cp -r /state/. /run/state
insmod /loop.ko
insmod /fuse.ko
ip link set lo up 2>/dev/null
export MORSEL_STATE_DIR=/run/state MORSEL_RUN_DIR=/run/morsel
end() {
  echo "RESULT $*"
  sync
  poweroff -f
}
uname -r
# Nobody is in a hurry here.
device=$(morsel attach -q dev:vm) || end "attach failed"
folder=${device%/fuse/disk}
echo attached
pid_of() {
  tr -d ' \n"{}' <"$folder/agent.json" |
    sed -n "s/.*$1:pid:\([0-9]*\).*/\1/p"
}
# Writes blocks of 1 MiB, each with its round in it, and reads them back.
write_and_read() {
  round=0
  until [ -e /run/enough ]; do
    round=$((round + 1))
    yes "round $round of the blocks" | head -c 1048576 >/run/block
    for place in 100 101 102 103; do
      dd if=/run/block of="$device" bs=1M seek=$place count=1 conv=notrunc \
        2>/run/dd || { cat /run/dd; return 1; }
    done
    for place in 103 102 101 100; do
      dd if="$device" bs=1M skip=$place count=1 2>/run/dd >/run/back ||
        { cat /run/dd; return 1; }
      cmp /run/block /run/back || return 1
    done
  done
  echo "ROUNDS $round"
}
write_and_read &
writer=$!
kill=0
while [ $kill -lt KILLS ]; do
  kill=$((kill + 1))
  case $((kill % 3)) in
    0) role=guard ;;
    1) role=child ;;
    2) role=twin ;;
  esac
  victim=$(pid_of $role)
  [ "$victim" -gt 0 ] || end "no $role"
  kill -9 "$victim"
  echo "killed $role $victim"
  wait=0
  while now=$(pid_of $role); [ "${now:-0}" = 0 ] || [ "$now" = "$victim" ]; do
    wait=$((wait + 1))
    [ $wait -lt 3000 ] || end "no new $role"
    usleep 20000
  done
done
touch /run/enough
wait $writer || end "the writer failed"
cat "$folder/agent.log"
morsel detach "$device" || end "detach failed"
end good
INIT
sed -i "s/-lt KILLS/-lt $KILLS/" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) \
  >"$WORK/initrd.gz"

timeout 500 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 \
  -kernel "$kernel/vmlinuz" -initrd "$WORK/initrd.gz" \
  -append "console=ttyS0 quiet panic=-1 rdinit=/init" -nodefaults -no-user-config \
  -no-reboot -display none -serial stdio >"$WORK/console" 2>&1 </dev/null || true
grep -a "^6\.1" "$WORK/console" || fail "no kernel: $(tail -n 20 "$WORK/console")"
grep -aE "^(ROUNDS|RESULT)" "$WORK/console" || true
grep -aq "RESULT good" "$WORK/console" ||
  fail "$(tail -n 40 "$WORK/console")"
