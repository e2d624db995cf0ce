#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The source is unplugged with a key down, and plugged in again, elsewhere; another device takes its
# place for a while. What is grabbed stays grabbed.
. "$SYSTEM/input/input-lib.sh"

# link NAME: as udev does it.
link() {
	mkdir -p "$T/by-id"
	ln -s "${NODE[$1]}" "$T/by-id/new"
	mv "$T/by-id/new" "$T/by-id/kbd"
}

unlink_all() {
	rm -r "$T/by-id"
}

log_has() {
	grep -q "$1" "$T/kbd.log"
}

plug a keyboard
link a
start_input kbd --evdev="$T/by-id/kbd" --grab
attach kbd input
node=$(dev kbd)
evtool led "$node" $LED_COMPOSE 1
wait_until "$SLOW" told a "^led $LED_COMPOSE 1" || fail "the source's LED is not on"
for ((round = 0; round < $(pick 3 20); round++)); do
	tell a "event $EV_KEY $KEY_A 1 $EV_KEY $KEY_B 1"
	wait_down "$node" "key $KEY_A,key $KEY_B,led $LED_COMPOSE"
	# The directory goes first, the device first, or only the device.
	((round % 3)) || unlink_all
	unplug a
	((round % 3 != 1)) || unlink_all
	wait_down "$node" "led $LED_COMPOSE"
	if ((round == 1)); then
		plug m mouse
		link m
		wait_until "$SLOW" log_has 'another device is there' || fail "a mouse is taken for it"
		unplug m
	fi
	plug other mouse
	plug a keyboard
	link a
	wait_until "$SLOW" told a "^led $LED_COMPOSE 1" ||
		fail "the LED is not on again: the source was told $(paste -sd, "$T/a.told")"
	tell a "event $EV_KEY $KEY_B 1"
	wait_down "$node" "key $KEY_B,led $LED_COMPOSE"
	tell a "event $EV_KEY $KEY_B 0"
	wait_down "$node" "led $LED_COMPOSE"
	unplug other
done
stream a "$node" 4000 kbd

# Only we have its events: the grab is busy for everybody else, and free when the driver goes.
expect 1 vloop-input --socket-path="$T/second.sock" --evdev="${NODE[a]}" --grab 2>second.log
grep -q 'another program has grabbed it' second.log || fail "$(cat second.log)"
detach kbd
start_input third --evdev="${NODE[a]}" --grab
stop_server third
stop_server kbd
unplug a
