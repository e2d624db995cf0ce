#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A mouse, a keyboard and a tablet: the kernel has each once more, with the same name, numbers,
# codes and axes; every event arrives once, in order, in its packet; LEDs go the other way.
# limit: 400
# limit-long: 900
. "$SYSTEM/input/input-lib.sh"
requires evtest

for kind in mouse keyboard tablet; do
	plug $kind $kind
	start_input $kind --evdev="${NODE[$kind]}"
	attach $kind input
	[[ $(dev $kind) == /dev/input/event* && -c $(dev $kind) ]] ||
		fail "attach printed '$(dev $kind)'"
	evtool compare "${NODE[$kind]}" "$(dev $kind)" || fail "$kind: not the same device"
done

# In words, before and after the kernel has it.
says() {
	local text

	for text in 'Test mouse' 'bus 0x0003, vendor 0x1234, product 0x0001'; do
		grep -q "$text" "$1" || fail "no '$text' in: $(cat "$1")"
	done
}
start_input words --evdev="${NODE[mouse]}"
vloop probe "$T/words.sock" input >probe.txt
says probe.txt
vloop show mouse >show.txt
says show.txt
vloop list | grep -q "keyboard .* $(dev keyboard) .*Test keyboard" ||
	fail "vloop list does not have it: $(vloop list)"
stop_server words

for kind in mouse keyboard; do
	stream $kind "$(dev $kind)" "$(pick 40000 400000)"
done

# A reader that is not ours.
timeout "$SLOW" stdbuf -oL evtest "$(dev mouse)" >evtest.out 2>&1 &
reader=$!
wait_until "$SLOW" grep -q 'interrupt to exit' evtest.out || fail "evtest: $(cat evtest.out)"
tell mouse "event $EV_REL 0 5 $EV_REL 1 -7"
wait_until "$SLOW" grep -q 'code 1 (REL_Y), value -7' evtest.out || fail "evtest: $(tail evtest.out)"
grep -q 'code 0 (REL_X), value 5' evtest.out || fail "evtest: $(tail evtest.out)"
kill $reader

# LEDs, from the new node to the source; and a key beside them.
evtool led "$(dev keyboard)" $LED_COMPOSE 1
wait_until "$SLOW" told keyboard "^led $LED_COMPOSE 1" || fail "the source's LED is not on"
tell keyboard "event $EV_KEY $KEY_A 1"
wait_down "$(dev keyboard)" "key $KEY_A,led $LED_COMPOSE"
is_down "${NODE[keyboard]}" "key $KEY_A,led $LED_COMPOSE" || fail "the source has other LEDs"
evtool led "$(dev keyboard)" $LED_COMPOSE 0
wait_until "$SLOW" told keyboard "^led $LED_COMPOSE 0" || fail "the source's LED is not off"
tell keyboard "event $EV_KEY $KEY_A 0"
wait_down "$(dev keyboard)" ""
(($(grep -c '^led' "$T/keyboard.told") == 2)) || fail "LEDs were set more than twice"

# Axes: what they were when the driver came, and what becomes of them.
has_value() {
	[[ $(evtool value "$1" "$2") == "$3" ]]
}
wait_until "$SLOW" has_value "$(dev tablet)" $ABS_X 7 || fail "the axis does not begin at 7"
tell tablet "event $EV_ABS $ABS_X 4000 $EV_ABS $ABS_Y -50 $EV_SW 1 1"
wait_until "$SLOW" has_value "$(dev tablet)" $ABS_Y -50 || fail "the axis does not move"
has_value "$(dev tablet)" $ABS_X 4000 || fail "half of a packet"

# The back-end sleeps while more happens than the kernel keeps for it: the state is right after.
kill -STOP "${SERVER[keyboard]}"
tell keyboard "event $EV_KEY $KEY_A 1"
for ((i = 0; i < 200; i++)); do
	tell keyboard "event $EV_KEY $KEY_B $((i % 2))"
done
tell keyboard "event $EV_KEY $KEY_A 0"
wait_down "${NODE[keyboard]}" "key $KEY_B"
kill -CONT "${SERVER[keyboard]}"
wait_down "$(dev keyboard)" "key $KEY_B"
grep -q 'the kernel dropped events' "$T/keyboard.log" || fail "nothing was dropped: no test"
tell keyboard "event $EV_KEY $KEY_B 0"
wait_down "$(dev keyboard)" ""
stream keyboard "$(dev keyboard)" 2000

for kind in mouse keyboard tablet; do
	detach $kind
	stop_server $kind
	unplug $kind
done
