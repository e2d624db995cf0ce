#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two adapters want one name: one gets it, the other says that it is in use.
. "$SYSTEM/lib.sh"

make_disk a.img 8M
make_disk b.img 8M
for ((i = 0; i < $(pick 5 30); i++)); do
	start_qsd a a.img
	start_qsd b b.img
	for who in a b; do
		: >$who.out
		vloop attach blk $who.sock --name same >$who.out 2>$who.err &
		ADAPTER[$who]=$!
	done
	wait_until "$SLOW" attached a
	wait_until "$SLOW" attached b
	winner=a loser=b
	[[ -s a.out ]] || winner=b loser=a
	[[ -s $winner.out && ! -s $loser.out ]] || fail "not one winner: $(cat a.out b.out)"
	status=0
	ends "${ADAPTER[$loser]}" loser || status=$?
	((status == 7)) || fail "the loser ended with $status: $(cat $loser.err)"
	grep -q "'same' is in use" $loser.err || fail "the loser says: $(cat $loser.err)"
	dd if="$(dev $winner)" of=/dev/null bs=64k count=4 iflag=direct 2>dd.log
	vloop detach same
	ends "${ADAPTER[$winner]}" winner
	stop_server a
	stop_server b
done
