#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Does "vm run" tell the truth: output, exit status, complaints of the kernel,
# panics, time limits. TAP output; takes about two minutes.

set -u

here=$(dirname "$(realpath "$0")")
kernel=${1:-6.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0 failed=0

# result WHAT: one test from the exit status of the command before.
result() {
	local status=$?

	count=$((count + 1))
	if ((status == 0)); then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		failed=$((failed + 1))
		sed 's/^/# out: /' "$work/out"
		sed 's/^/# err: /' "$work/err"
	fi
}

# skip WHAT WHY
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# Leaves output, errors and status in "out", "err" and "status".
vm_run() {
	"$here/vm" run --kernel "$kernel" "$@" >"$work/out" 2>"$work/err"
	status=$?
}

# A module that breaks on request.
mkdir "$work/vmbreak"
echo 'obj-m := vmbreak.o' >"$work/vmbreak/Kbuild"
cat >"$work/vmbreak/vmbreak.c" <<'EOF'
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/processor.h>
static bool warn;
module_param(warn, bool, 0444);
static bool oops;
module_param(oops, bool, 0444);
static bool trap;
module_param(trap, bool, 0444);
static bool spin;
module_param(spin, bool, 0444);
static int __init vmbreak_init(void)
{
	int *volatile nowhere = NULL;

	WARN_ON(warn);
	if (oops)
		*nowhere = 1;
	if (trap)
		asm volatile("int3");
	if (spin) {
		local_irq_disable();
		for (;;)
			cpu_relax();
	}
	return 0;
}
static void __exit vmbreak_exit(void)
{
}
module_init(vmbreak_init);
module_exit(vmbreak_exit);
MODULE_DESCRIPTION("complains when told to");
MODULE_LICENSE("Dual BSD/GPL");
EOF

echo 1..26

# The mirror is the archive with Debian itself, whatever comes before it.
mkdir -p "$work/apt/sources.list.d"
cat >"$work/apt/sources.list.d/a.sources" <<'EOF'
# Enabled: yes
Types: deb
URIs: http://vendor.example/apt
Suites: vendor-trixie
Components: main

Types: deb deb-src
URIs: http://off.example/debian
Suites: trixie
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: trixie

Types: deb
URIs: http://security.example/debian-security
Suites: trixie-security
Types: deb
EOF
cat >"$work/apt/sources.list.d/b.sources" <<'EOF'
Types: deb
URIs:
 http://one.example/debian
 http://two.example/debian
Suites: trixie-updates
 trixie
Components: main
EOF
# shellcheck disable=SC2016
mirror() {
	VLOOP_MIRROR='' bash -c '. "$0/lib/common.sh"; . "$0/lib/apt.sh"; debian_mirror "$1"' \
		"$here" "$work/apt" 2>"$work/err"
}
# is_mirror EXPECTED
is_mirror() {
	mirror >"$work/out" && [[ $(<"$work/out") == "$1" ]]
}
is_mirror 'http://one.example/debian|' &&
	echo 'deb [arch=amd64 trusted=no] https://line.example/debian trixie main' >"$work/apt/sources.list" &&
	is_mirror 'https://line.example/debian|trusted=no'
result "the mirror is found in apt's configuration"

# Others use the names of Debian's suites too, with keys of their own.
echo 'deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://vendor.example/debian trixie stable' \
	>"$work/apt/sources.list"
is_mirror 'http://one.example/debian|'
result "another vendor's archive is not taken for it"
cat >"$work/apt/sources.list.d/c.sources" <<'EOF'
Types: deb
URIs: http://signed.example/debian
Suites: trixie
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Check-Valid-Until: no

Types: deb
URIs: http://off.example/debian
Suites: trixie
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Enabled: false
EOF
is_mirror 'http://signed.example/debian|signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no'
result "what has Debian's key is"

# shellcheck disable=SC2016
security() {
	VLOOP_MIRROR=$1 bash -c '. "$0/lib/common.sh"; . "$0/lib/apt.sh"; security_mirror "$1"' \
		"$here" "$work/apt"
}
[[ $(security "") == 'http://security.example/debian-security|' && -z $(security http://m.example) ]]
result "and so is that of security updates"

"$here/vm" build-module "$kernel" "$work/vmbreak" >"$work/out" 2>"$work/err"
[[ $? == 0 && -f $(<"$work/out") ]]
result "build-module prints where the module is"

# shellcheck disable=SC2016
vm_run --out "$work/results" --env 'GREETING=a b  c' -- bash -c '
	echo "$GREETING, $1"; echo to stderr >&2; echo again >/dev/stderr
	sleep 1000 & echo kept >/results/file; [[ -e tests/vm/vm ]] && exit 42' bash "it's \$me"
[[ $status == 42 ]]
result "exit status of the command"
[[ $(<"$work/out") == "a b  c, it's \$me" ]]
result "arguments, environment and standard output"
# The first run on a machine also says that it tries KVM.
[[ $(grep -v '^vm: ' "$work/err") == $'to stderr\nagain' ]]
result "standard error"
[[ $(<"$work/results/file") == kept ]]
result "files in /results stay"
grep -q 'Linux version' "$work/results/dmesg.txt"
result "dmesg.txt is saved"
khz=$(python3 "$here/tsc_khz.py")
if grep -q kvm-clock "$work/results/dmesg.txt" || [[ ! $khz ]]; then
	skip "the guest's clock runs as fast as ours" "it is KVM's, or the rate of the host's counter is not known"
else
	awk -v khz="$khz" '
		/tsc: Detected/ { off = $(NF - 2) * 1000 - khz; ok = off * off < khz * khz / 10000 }
		END { exit !ok }' "$work/results/dmesg.txt"
	result "the guest's clock runs as fast as ours"
fi

vm_run -- sh -c 'touch /src/selftest-was-here'
[[ $status != 0 && ! -e $here/../../selftest-was-here ]]
result "the source tree is read-only"

vm_run --module-from "$work/vmbreak" -- sh -c 'modprobe vmbreak && rmmod vmbreak && modprobe virtio_blk'
[[ $status == 0 ]]
result "modprobe finds our module and the kernel's"

vm_run --module-from "$work/vmbreak" -- modprobe vmbreak warn=1
[[ $status == 99 ]] && grep -q 'WARNING: ' "$work/err"
result "a warning of the kernel fails a command that passed"

vm_run --no-dmesg-check --module-from "$work/vmbreak" -- modprobe vmbreak warn=1
[[ $status == 0 ]]
result "--no-dmesg-check"

vm_run --module-from "$work/vmbreak" -- sh -c 'modprobe vmbreak oops=1; true'
[[ $status == 99 ]] && grep -q 'Oops' "$work/err"
result "an oops"

# As when the emulator runs a breakpoint that the kernel took away.
vm_run --accel tcg --append oops=panic --module-from "$work/vmbreak" -- modprobe vmbreak trap=1
[[ $status == 97 ]] && grep -q 'int3' "$work/err"
result "a fault of the emulator has a status of its own"

# Output takes a moment to get out: what is written right before the end may not.
vm_run --timeout 300 -- sh -c 'echo about to die; sleep 1; echo c >/proc/sysrq-trigger'
[[ $status == 98 && $(<"$work/out") == 'about to die' ]] &&
	grep -q 'Kernel panic' "$work/err"
result "a panic ends the run at once and is shown"

vm_run --timeout 3 -- sh -c 'echo begin; exec sleep 12345'
[[ $status == 124 && $(<"$work/out") == begin ]] && grep -q 'sleep 12345' "$work/err"
result "a command that takes too long, with the processes at that time"

vm_run --cpus 1 --silence 20 --timeout 300 --module-from "$work/vmbreak" -- \
	sh -c 'echo begin; modprobe vmbreak spin=1'
[[ $status == 124 && $(<"$work/out") == begin ]] && grep -q 'no output for 20 s' "$work/err" &&
	grep -q 'RIP: .*vmbreak_init' "$work/err"
result "a machine that stands still, with where it is"

vm_run --counted -- sh -c 'nproc; exit 3'
[[ $status == 3 && $(<"$work/out") == 1 ]]
result "--counted"

# run_plan_of NAME...: what the runner of tests makes of the machine that "$work/machine" plays.
run_plan_of() {
	rm -rf "$work/plan.d"
	mkdir "$work/plan.d"
	printf '%s\n' "$@" >"$work/plan.d/plan"
	# shellcheck disable=SC2016
	bash -c '. "$0/lib/common.sh"; . "$0/../runner.sh"; plan_name() { echo "$1"; }
		run_plan "$1/plan.d" "x " sh "$1/machine"; report_sum' "$here" "$work" >"$work/out" 2>"$work/err"
}

# A machine that the emulator brings down in "b", that dies of "c" the next time, and runs what is
# left the third time.
cat >"$work/machine" <<'EOF'
cd "$(dirname "$0")/plan.d" && touch dmesg.txt
echo x >>boots
case $(wc -l <boots) in
1) echo "@start a"; echo "@ok 1 s"; echo "@start b"; printf "cut o"; exit 97 ;;
2) [ "$(head -n 1 plan)" = b ] && echo "@start b" && echo "@ok 1 s"; echo "@start c"; exit 98 ;;
3) [ "$(cat plan)" = d ] && echo "@start d" && echo "@skip why" ;;
esac
EOF
run_plan_of a b c d
[[ $? == 1 ]] && diff - "$work/out" >>"$work/err" <<'EOF'
ok 1 - x a # 1 s
# cut o
# the emulator failed in x b; running it again
ok 2 - x b # 1 s
not ok 3 - x c # the machine died or hung in this test
ok 4 - x d # SKIP why
# failed: x c
2 passed, 1 failed, 1 skipped
EOF
result "tests go on in a new machine where one died"

cat >"$work/machine" <<'EOF'
echo "@start a"; echo "@ok 1 s"; exit 98
EOF
run_plan_of a
[[ $? == 1 ]] && diff - "$work/out" >>"$work/err" <<'EOF'
ok 1 - x a # 1 s
not ok 2 - x a # the machine died or hung after it (status 98)
# failed: x a
1 passed, 1 failed, 0 skipped
EOF
result "a machine that dies behind its last test"

# Some of the kernel's complaints are a test's.
cat >"$work/machine" <<'EOF'
printf '%s\n' 'WARNING: boot' 'hostile: ready' 'hostile: begin 1' 'WARNING: in a test' \
	'hostile: end 1' 'WARNING: behind it' >"$(dirname "$0")/plan.d/console.txt"
echo "@start a"; echo "@ok 1 s"
EOF
run_plan_of a
[[ $? == 1 ]] && diff - "$work/out" >>"$work/err" <<'EOF'
ok 1 - x a # 1 s
not ok 2 - x between tests # the kernel complained, by a at the latest
# hostile: ready
# hostile: end 1
# WARNING: behind it
# failed: x between tests
1 passed, 1 failed, 0 skipped
EOF
result "a kernel that complains between tests"

"$here/vm" run --kernel 7.999 -- true >"$work/out" 2>"$work/err"
[[ $? == 96 ]] && grep -q 'the archive has moved on' "$work/err"
result "a kernel that the archive does not have"

"$here/vm" run --no-such-option >"$work/out" 2>"$work/err"
[[ $? == 2 ]]
result "wrong usage"

exit "$((failed > 0))"
