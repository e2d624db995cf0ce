#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# /dev/hwrng from vloop-rng: good numbers, also after the back-end was killed.
. "$SYSTEM/lib.sh"
requires rngtest

select_rng() {
	local name
	name=$(grep -o 'virtio_rng[^ ]*' /sys/class/misc/hw_random/rng_available | tail -n 1)
	echo "$name" >/sys/class/misc/hw_random/rng_current
}

# Of 100 good blocks, one in some hundred fails; several mean bad numbers.
check_numbers() {
	local before after bad

	before=$(counter r requests)
	timeout "$SLOW" rngtest -c "$(pick 40 400)" </dev/hwrng >rngtest.log 2>&1 || true
	bad=$(sed -n 's/.*FIPS 140-2 failures: //p' rngtest.log)
	after=$(counter r requests)
	[[ $bad ]] || fail "rngtest could not read: $(cat rngtest.log)"
	((bad <= $(pick 2 6))) || fail "$bad bad blocks"
	((after > before)) || fail "the numbers came from elsewhere"
}

start_rng r
attach r rng
select_rng
check_numbers
kill_server r
wait_state r waiting
start_rng r
wait_state r running
check_numbers
detach r
stop_server r
