#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An input device, a terminal and ports for a virtual machine, by the same programs. This takes a
# newer QEMU: vhost-user-input-pci without KVM (QEMU 9), and vhost-user-test-device-pci, the device of any
# type, which is not for everybody's use before QEMU 10.2.
# limit: 900
set -euo pipefail
. "$(dirname "$0")/qemu-lib.sh"
readonly SUITE=forky

# A thousand packets, in rounds that the guest asks for by an LED: an evdev reader that is late
# loses events, so no more than what the kernel keeps for it is on its way.
{
	cat <<-'EOT'
	name "Scripted device"
	id 0x06 0x1234 0x0002 0x0003
	property INPUT_PROP_POINTER
	bits EV_KEY KEY_A BTN_LEFT
	bits EV_REL REL_X
	bits EV_LED LED_COMPOSE
	abs ABS_X -10 1000 0 5 40
	loop 25
	EOT
	for led in 1 0; do
		echo "expect EV_LED LED_COMPOSE $led"
		printf 'event EV_REL REL_X %d\nsync\n' {1..20}
	done
	printf 'end\nevent EV_KEY KEY_A 1\nsync\nevent EV_KEY KEY_A 0\nsync\n'
} >"$T/script"
start input "$repo/build/devices/input/vloop-input" --script="$T/script"

start terminal "$repo/build/devices/console/vloop-console" --pty --link="$T/terminal"

: >"$T/later"
start ports "$repo/build/devices/console/vloop-console" --port="name=data,unix=$T/data.port" \
	--ports="$T/later" --max-ports=2
mkdir -p "$out/devices"
head -c 1M /dev/urandom >"$out/devices/data"
python3 "$(dirname "$0")/console_user.py" "$T" "${pids[-1]}" "$out/devices/data" >"$out/user.log" 2>&1 &
user=$!
pids+=("$user")

machine devices devices-in-guest.sh --qemu-suite "$SUITE" \
	--qemu -device --qemu vhost-user-input-pci,chardev=input \
	--qemu -device --qemu vhost-user-test-device-pci,virtio-id=3,num_vqs=2,config_size=12,chardev=terminal \
	--qemu -device --qemu vhost-user-test-device-pci,virtio-id=3,num_vqs=6,config_size=12,chardev=ports
wait "$user" || fail "the user of the consoles ended with $?"
unset 'pids[-1]'
rm "$out/devices/data"
all_alive
