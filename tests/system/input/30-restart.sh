#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The back-end is killed with keys down, and another takes over; what happened in between is what
# the driver has then, and no key is stuck. The driver is unbound and bound again, too.
. "$SYSTEM/input/input-lib.sh"

plug kbd keyboard
start_input kbd --evdev="${NODE[kbd]}"
attach kbd input
node=$(dev kbd)
for ((round = 0; round < $(pick 6 60); round++)); do
	tell kbd "event $EV_KEY $KEY_A 1"
	wait_down "$node" "key $KEY_A"
	kill_server kbd
	# A goes up, or stays down; B goes down, or does not.
	a="key $KEY_A" b=""
	((round % 2)) || { tell kbd "event $EV_KEY $KEY_A 0" && a=""; }
	((round % 3)) || { tell kbd "event $EV_KEY $KEY_B 1" && b="key $KEY_B"; }
	wait_state kbd waiting
	[[ $(down "$node") == "key $KEY_A" ]] || fail "the driver has heard of '$(down "$node")'"
	start_input kbd --evdev="${NODE[kbd]}"
	wait_down "$node" "$a${a:+${b:+,}}$b"
	tell kbd "event $EV_KEY $KEY_A 0 $EV_KEY $KEY_B 0"
	wait_down "$node" ""
done
stream kbd "$node" 4000

# A driver that comes back finds the key that is down.
tell kbd "event $EV_KEY $KEY_A 1"
wait_down "$node" "key $KEY_A"
virtio=$(basename "$(realpath "$CLASS/kbd"/virtio*)")
echo "$virtio" >/sys/bus/virtio/drivers/virtio_input/unbind
echo "$virtio" >/sys/bus/virtio/drivers/virtio_input/bind
node=/dev/input/$(basename "/sys/bus/virtio/devices/$virtio"/input/*/event*)
wait_down "$node" "key $KEY_A"
evtool compare "${NODE[kbd]}" "$node" || fail "not the same device"
tell kbd "event $EV_KEY $KEY_A 0"
wait_down "$node" ""
detach kbd
stop_server kbd
unplug kbd
