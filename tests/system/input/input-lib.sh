# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Sources of input events: uinput devices, made by evtool.

. "$SYSTEM/lib.sh"
requires evtool
declare -A SOURCE=() NODE=()
# Codes, from <linux/input-event-codes.h>. The other LEDs of keyboards are the terminal's: it turns
# them off, on all keyboards, when another one is plugged in.
# shellcheck disable=SC2034 # for who sources this
EV_KEY=1 EV_REL=2 EV_ABS=3 EV_SW=5 KEY_A=30 KEY_B=48 LED_COMPOSE=3 ABS_X=0 ABS_Y=1

# Without udev, nobody else does.
modprobe -a uinput evdev

# plug NAME KIND: its node is ${NODE[NAME]}.
plug() {
	local name=$1

	: >"$T/$name.told"
	[[ -p $T/$name.cmd ]] || mkfifo "$T/$name.cmd"
	evtool source "$2" <>"$T/$name.cmd" >"$T/$name.told" 2>>"$T/$name.log" &
	SOURCE[$name]=$!
	wait_until "$SLOW" test -s "$T/$name.told" || fail "no source $name"
	NODE[$name]=$(head -n 1 "$T/$name.told")
	wait_until "$SLOW" test -c "${NODE[$name]}" || fail "no node ${NODE[$name]}"
}

# tell NAME COMMAND...
tell() {
	echo "${*:2}" >"$T/$1.cmd"
}

unplug() {
	tell "$1" quit
	ends "${SOURCE[$1]}" "source $1" || fail "source $1 ended with $?"
}

told() {
	grep -q "$2" "$T/$1.told"
}

# What the back-end NAME had to say about events that it did not get, or could not give.
lost() {
	grep -cE 'dropped events|events dropped' "$T/$1.log" || true
}

streams() {
	grep -c '^stream' "$T/$1.told" || true
}

streamed() {
	(($(streams "$1") > $2))
}

# stream NAME NODE EVENTS [VIA]: of the source NAME, through its back-end, to NODE.
stream() {
	local via=${4:-$1} count before result

	count=$(streams "$1") before=$(lost "$via")
	tell "$1" "stream $2 $3"
	# It gives up by itself when nothing comes any more.
	wait_until $((SLOW * 3)) streamed "$1" "$count" || fail "the stream of $1 has no end"
	result=$(grep '^stream' "$T/$1.told" | tail -n 1)
	note "$1: $result"
	[[ $result == 'stream ok'* ]] || fail "$1: $result"
	(($(lost "$via") == before)) || fail "the back-end speaks of loss: $(tail "$T/$via.log")"
}

# down NODE: keys that are down and LEDs that are on, in one line.
down() {
	evtool down "$1" | paste -sd,
}

is_down() {
	[[ $(down "$1") == "$2" ]]
}

# wait_down NODE LIST
wait_down() {
	wait_until "$SLOW" is_down "$1" "$2" || fail "$1 has '$(down "$1")' down and not '$2'"
}
