# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Starts the guest (QEMU, or User Mode Linux), follows its output, and decides how
# the run ended. The variables opt_* and "command" are set by parse_run_options() in vm.

# shellcheck disable=SC2154

# Seconds from the machine's start to the command's start, and from the end of the
# allowed time to the moment the guest has to be gone.
readonly BOOT_LIMIT=300
readonly BOOT_TRIES=3
readonly GRACE=20

# What the kernel says when something is wrong with it. Lines that say this on
# a healthy machine are taken out first; each object that kmemleak suspects comes with a line of its own.
readonly SPLAT_HARMLESS='Spectre V2 : WARNING: Unprivileged eBPF|kmemleak: (Kernel memory leak detector|Automatic memory scanning|Cannot allocate a scan area|[0-9]+ new suspected memory leaks)'
readonly SPLAT='\bBUG[: ]|WARNING: |Oops|Call Trace:|KASAN: |UBSAN: |KCSAN: |KFENCE: |kernel BUG at|general protection|invalid opcode|(possible|inconsistent) (recursive|circular|irq) lock|INFO: lockdep is turned off|(soft|hard) (lockup|LOCKUP)|blocked for more than|rcu.*detected.* stall|(list_add|list_del) corruption|refcount_t: |Bad page state|Kernel panic|kmemleak: |trying to register non-static key|DEBUG_LOCKS_WARN|unable to handle|vm-init: '

# QEMU's option syntax doubles commas in values.
qemu_value() {
	printf '%s' "${1//,/,,}"
}

# A KVM device file that opens proves nothing: a guest has to boot under it.
# The answer holds until the machine is booted again.
kvm_works() {
	local kernel=$1 mark=$CACHE/kvm-probe boot_id log

	[[ -w /dev/kvm ]] || return
	boot_id=$(</proc/sys/kernel/random/boot_id)
	if [[ ! -f $mark || $(cut -d' ' -f1 "$mark") != "$boot_id" ]]; then
		say "trying whether a guest boots under KVM"
		log=$RUN/probe.log
		# In a group, or the shell would tell of an emulator that aborts.
		{
			timeout -k 1 10 "${qemu[@]}" -machine q35 -accel kvm -cpu host -m 512M \
				-nodefaults -no-user-config -display none -no-reboot \
				-kernel "$(kernel_dir "$kernel")/vmlinuz" -initrd "$RUN/initrd.img" \
				-append "console=ttyS0 panic=-1 vm.probe" -serial "file:$log" \
				</dev/null || true
		} >"$RUN/probe.err" 2>&1
		if grep -qs vm-probe-ok "$log"; then
			echo "$boot_id yes" >"$mark"
		else
			echo "$boot_id no" >"$mark"
		fi
	fi
	[[ $(cut -d' ' -f2 "$mark") == yes ]]
}

choose_accelerator() {
	case $opt_accel in
	auto) if kvm_works "$opt_kernel"; then opt_accel=kvm; else opt_accel=tcg; fi ;;
	kvm) kvm_works "$opt_kernel" || die "no guest boots under KVM on this machine" ;;
	esac
}

# The cached initramfs and the scripts of this source tree, as a second cpio.
assemble_initrd() {
	local tree=$RUN/initrd

	mkdir "$tree"
	cp "$VM_DIR/guest/init" "$VM_DIR/guest/stage2" "$tree/"
	chmod 755 "$tree/init" "$tree/stage2"
	cp "$(kernel_dir "$opt_kernel")/initrd.img" "$RUN/initrd.img"
	(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >>"$RUN/initrd.img"
}

write_guest_files() {
	local assignment size

	{
		printf 'vm_mode=%q vm_udev=%q vm_systemd=%q\n' "$1" "$opt_udev" "$opt_systemd"
		[[ -d $RUN/extra ]] && printf 'vm_module=1\n'
		[[ $opt_kernel != uml ]] || printf 'vm_uml=1\n'
		# Virtual time runs ahead of real time in a counted run.
		[[ $opt_counted || $1 != command ]] || printf 'vm_watchdog=%q\n' "$opt_timeout"
		if [[ $1 == shell ]] && size=$(stty size) && [[ $size != "0 0" ]]; then
			printf 'vm_rows=%q vm_cols=%q TERM=%q\n' "${size% *}" "${size#* }" "${TERM:-linux}"
		fi
	} >"$RUN/ctl/config"
	{
		for assignment in "${opt_env[@]}"; do
			printf 'export %s=%q\n' "${assignment%%=*}" "${assignment#*=}"
		done
		((${#command[@]} == 0)) || printf 'exec'
		((${#command[@]} == 0)) || printf ' %q' "${command[@]}"
		printf '\n'
	} >"$RUN/ctl/command"
	: >"$RUN/ctl/stdout"
	: >"$RUN/ctl/stderr"
}

add_image() {
	machine+=(-drive "if=none,id=image$1,format=raw,readonly=on,file=$(qemu_value "$2")"
		-device "nvme,drive=image$1,serial=image$1")
}

add_share() {
	machine+=(-fsdev "local,id=$1,path=$(qemu_value "$2"),security_model=none,multidevs=remap${3:-}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# Fills the array "machine" for User Mode Linux: a process that has the images as files and the
# directories below RUN/share. It has one CPU (tests/debug/uml.config). Its processes are kept by
# seccomp, which is faster than ptrace.
uml_command() {
	[[ ! ${opt_qemu[*]} && ! $opt_qemu_suite && ! $opt_counted && $opt_root == base ]] ||
		usage_error "--qemu, --qemu-suite, --counted and --root are not for --kernel uml"
	mkdir "$RUN/share"
	ln -s "$RUN/ctl" "$RUN/share/ctl"
	ln -s "$REPO" "$RUN/share/src"
	ln -s "$opt_out" "$RUN/share/results"
	[[ ! -d $RUN/extra ]] || ln -s "$RUN/extra" "$RUN/share/extra"
	# A session of its own: on a panic it signals its whole process group. The images are read-only
	# and not locked ("rc"): other machines use them at the same time.
	machine=(setsid "$(kernel_dir uml)/vmlinuz" "mem=$opt_mem" seccomp=on
		"uml_dir=$RUN" "hostfs=$RUN/share" "initrd=$RUN/initrd.img"
		"ubd0rc=$CACHE/roots/base/root.squashfs"
		"ubd1rc=$(kernel_dir uml)/modules.squashfs"
		con=null ssl=null "ssl0=null,fd:2" console=ttyS0 loglevel=7 log_buf_len=4M
		printk.devkmsg=on panic=-1 vm.uml "${opt_append[@]}")
}

# The rate of the TSC, on the kernel command line. Where CPUs of the host are short the kernel measures
# it wrongly; then its clock runs up to eight times as fast as ours, and every limit is over too early.
tsc_argument() {
	local khz

	khz=$(python3 "$VM_DIR/tsc_khz.py" 2>/dev/null) || return 0
	[[ -z $khz ]] || printf ' tsc_early_khz=%s' "$khz"
}

# Fills the array "machine" for QEMU. Nehalem, because an emulated "rep movsb" is slow and
# newer CPU models make the guest use it for every copy; rdrand has random numbers ready from the
# start, so that getrandom() neither waits nor has the kernel patch itself half a minute later.
qemu_command() {
	local kernel_args

	machine=("${qemu[@]}" -machine q35 -m "$opt_mem" -nodefaults -no-user-config
		-display none -no-reboot)
	kernel_args="console=ttyS0 loglevel=7 log_buf_len=4M printk.devkmsg=on panic=-1 nokaslr random.trust_cpu=on"
	# See ask_where().
	machine+=(-chardev "pipe,id=monitor,path=$RUN/monitor" -mon chardev=monitor)
	kernel_args+=" unknown_nmi_panic panic_print=64"
	if [[ $opt_counted ]]; then
		machine+=(-accel "tcg,thread=single,tb-size=512" -icount "shift=0,sleep=off" -smp 1 -cpu Nehalem)
	elif [[ $opt_accel == kvm ]]; then
		machine+=(-accel kvm -smp "$opt_cpus" -cpu host)
	else
		machine+=(-accel "tcg,thread=multi,tb-size=512" -smp "$opt_cpus" -cpu "Nehalem,+rdrand")
		kernel_args+=$(tsc_argument)
	fi
	[[ $opt_accel == kvm ]] ||
		kernel_args+=" mitigations=off nopti no_timer_check tsc=reliable"

	add_image 0 "$CACHE/roots/$opt_root/root.squashfs"
	add_image 1 "$(kernel_dir "$opt_kernel")/modules.squashfs"
	if [[ $opt_root == install ]]; then
		add_image 2 "$(kernel_dir "$opt_kernel")/headers.squashfs"
		kernel_args+=" vm.headers"
	fi
	add_share ctl "$RUN/ctl"
	add_share src "$REPO" ,readonly=on
	add_share results "$opt_out"
	[[ ! -d $RUN/extra ]] || add_share extra "$RUN/extra" ,readonly=on

	machine+=(-kernel "$(kernel_dir "$opt_kernel")/vmlinuz" -initrd "$RUN/initrd.img"
		-append "$kernel_args ${opt_append[*]}" "${opt_qemu[@]}")
}

# A copy, because another run may build the module anew meanwhile.
take_module() {
	touch "$1"
	cp -al "$1" "$RUN/extra"
}

# Of runs that were killed. One that lives holds its lock, and so does its machine.
remove_dead_runs() {
	local dir

	for dir in "$CACHE"/tmp/run.*; do
		[[ ! -e $dir/lock ]] || ! flock -n "$dir/lock" true || rm -rf "$dir"
	done
}

prepare_run() {
	local built lock

	[[ $opt_kernel == uml || $opt_qemu_suite ]] || need_programs qemu-system-x86_64
	need_programs cpio
	! is_debug_kernel "$opt_kernel" || opt_append+=("$DEBUG_ARGUMENTS")
	ensure_kernel "$opt_kernel"
	ensure_root "$opt_root"
	if [[ $opt_qemu_suite ]]; then
		ensure_qemu "$opt_qemu_suite"
		use_qemu_of "$CACHE/qemu/$opt_qemu_suite/tree"
	fi
	[[ ! $opt_module ]] || build_module "$opt_kernel" "$opt_module" >/dev/null
	built=$(module_dir "$opt_kernel" "$(realpath -m "${opt_module:-$REPO/kernel}")")
	mkdir -p "$CACHE/tmp"
	remove_dead_runs
	RUN=$(mktemp -d "$CACHE/tmp/run.XXXXXX")
	trap 'cleanup_run' EXIT
	# Held before it has the name that others look for.
	exec {lock}>"$RUN/lock.new"
	flock "$lock"
	mv "$RUN/lock.new" "$RUN/lock"
	mkdir "$RUN/ctl"
	mkfifo "$RUN/monitor.in" "$RUN/monitor.out"
	# The install user land starts without it, unless it is asked for.
	[[ $opt_root != install || $opt_module ]] || built=""
	[[ ! -d $built ]] || with_lock "build-$opt_kernel" take_module "$built"
	if [[ $opt_out ]]; then
		mkdir -p "$opt_out" || die "cannot create $opt_out"
		opt_out=$(realpath "$opt_out")
	else
		opt_out=$RUN/results
		mkdir "$opt_out"
	fi
	assemble_initrd
	[[ $opt_kernel == uml ]] || choose_accelerator
}

cleanup_run() {
	local pid

	trap '' INT TERM HUP
	for pid in "${MACHINE_PID:-}" "${TAIL_PIDS[@]}"; do
		[[ ! $pid ]] || kill -9 "$pid" 2>/dev/null || true
	done
	[[ ! $RUN ]] || rm -rf "$RUN"
}

# A guest that says nothing any more: where are its CPUs? An NMI reaches them also with interrupts off; the
# kernel panics, and prints where each was.
ask_where() {
	local i

	[[ -p $RUN/monitor.in ]] || return 0
	# For both: to open it for writing alone would wait for a reader, which may just have died.
	echo nmi 1<>"$RUN/monitor.in"
	for ((i = 0; i < 100; i++)); do
		kill -0 "$MACHINE_PID" 2>/dev/null || return 0
		sleep 0.1
	done
}

# Waits for QEMU; 1 if its time is over first.
wait_for_guest() {
	local started=$SECONDS limit=$((SECONDS + BOOT_LIMIT)) command_seen="" end_seen=""
	local said=0 said_at=$SECONDS looked=0 size

	while kill -0 "$MACHINE_PID" 2>/dev/null; do
		if [[ ! $command_seen && -e $RUN/ctl/started ]]; then
			command_seen=1 said_at=$SECONDS
			limit=$((SECONDS + opt_timeout + GRACE))
			[[ ! $opt_verbose ]] || say "command started after $((SECONDS - started)) s"
		fi
		# All is told; User Mode Linux does not always get through its power-off.
		if [[ $opt_kernel == uml && ! $end_seen && -e $RUN/ctl/status ]]; then
			end_seen=1
			limit=$((SECONDS + GRACE))
		fi
		if [[ $opt_silence && $command_seen ]] && ((SECONDS != looked)); then
			looked=$SECONDS
			size=$(stat -c %s "$RUN/ctl/stdout")
			((size == said)) || { said=$size && said_at=$SECONDS; }
			((SECONDS < said_at + opt_silence)) || { silent=1 && return 1; }
		fi
		((SECONDS < limit)) || return 1
		sleep 0.05
	done
}

# dmesg as the guest left it, else what came over the serial line. It is looked through where it was
# written: what cannot be saved must not pass for a kernel without complaints.
save_logs() {
	take_logs "$RUN/logs" || die "cannot write the kernel's log to $RUN/logs"
	cp "$RUN"/logs/* "$opt_out/" || die "cannot save the kernel's log in $opt_out"
}

take_logs() {
	mkdir -p "$1" && tr -d '\r' <"$RUN/console" >"$1/console.txt" || return
	cp "$1/console.txt" "$1/dmesg.txt" || return
	[[ ! -s $RUN/ctl/dmesg ]] || cp "$RUN/ctl/dmesg" "$1/dmesg.txt" || return
	[[ ! -s $RUN/ctl/processes ]] || cp "$RUN/ctl/processes" "$1/processes.txt"
}

# A kernel log without what is no complaint. User Mode Linux has one of its own while it boots, about
# its console.
filtered_log() {
	if [[ $opt_kernel == uml ]] && grep -q 'vm: the boot is over' "$1"; then
		sed '1,/vm: the boot is over/d' "$1"
	else
		cat "$1"
	fi | grep -vE "$SPLAT_HARMLESS"
}

print_splat() {
	local file

	# The console too: it alone has what happened while powering off.
	for file in "$RUN/logs/dmesg.txt" "$RUN/logs/console.txt"; do
		if filtered_log "$file" | grep -E "$SPLAT" >"$RUN/splat"; then
			say "the kernel complained:"
			filtered_log "$file" | grep -E -m 3 -B 3 -A 40 "$SPLAT" | head -n 120 >&2
			return 0
		fi
	done
	return 1
}

print_tail() {
	say "the end of the kernel log:"
	tail -n "$1" "$opt_out/dmesg.txt" >&2
	[[ ! -s $opt_out/processes.txt ]] || {
		say "processes:"
		grep -v ' \[' "$opt_out/processes.txt" >&2
	}
}

# One boot, until the machine has ended; 1 if that took too long.
run_guest() {
	local in_time=0 pid

	: >"$RUN/console"
	if [[ $opt_kernel == uml ]]; then
		# A pipe, since User Mode Linux takes no file for a serial line.
		"${machine[@]}" </dev/null >"$RUN/machine.log" 2> >(exec cat >>"$RUN/console") &
		MACHINE_PID=$!
		# It ends by abort(3) even when it powers off, which is not worth a message.
		disown "$MACHINE_PID"
	else
		"${machine[@]}" </dev/null >"$RUN/machine.log" 2>&1 &
		MACHINE_PID=$!
	fi
	tail -n +1 -s 0.1 -f --pid="$MACHINE_PID" "$RUN/ctl/stdout" &
	TAIL_PIDS+=("$!")
	tail -n +1 -s 0.1 -f --pid="$MACHINE_PID" "$RUN/ctl/stderr" >&2 &
	TAIL_PIDS+=("$!")

	wait_for_guest || in_time=1
	((in_time == 0)) || ask_where
	((in_time == 0)) || kill -9 "$MACHINE_PID" 2>/dev/null
	wait "$MACHINE_PID" 2>/dev/null || true
	for pid in "${TAIL_PIDS[@]}"; do
		wait "$pid" || true
	done
	MACHINE_PID="" TAIL_PIDS=()
	save_logs
	return "$in_time"
}

# The kernel patches its own code while other CPUs run it: it puts a breakpoint (int3) there first.
# On a loaded host, software emulation now and then runs the breakpoint after the kernel took it
# away, which no real CPU does, and the kernel dies of it. Nothing of ours sets breakpoints.
emulator_failed() {
	[[ $opt_kernel != uml && $opt_accel == tcg ]] && grep -q 'int3: 0000 \[#1\]' "$RUN/console"
}

run_command() {
	local in_time tries=$BOOT_TRIES status silent=""
	local -a machine qemu=(qemu-system-x86_64)

	prepare_run
	write_guest_files command
	if [[ $opt_kernel == uml ]]; then
		uml_command
	else
		qemu_command
		machine+=(-serial "file:$RUN/console")
	fi
	[[ ! $opt_verbose ]] || say "${machine[*]}"
	while :; do
		in_time=1
		run_guest || in_time=""
		# Nothing of ours has run yet.
		if [[ -e $RUN/ctl/started || ! -s $RUN/console ]] || ((--tries == 0)); then
			break
		fi
		say "the guest did not get through its boot; trying again"
	done

	[[ -s $RUN/console || ! -s $RUN/machine.log ]] || {
		cat "$RUN/machine.log" >&2
		die "the machine did not start"
	}
	if [[ -e $RUN/ctl/timeout || (! $in_time && ! -e $RUN/ctl/status) ]]; then
		print_tail 60
		if [[ $silent ]]; then
			say "no output for $opt_silence s"
		elif [[ -e $RUN/ctl/started ]]; then
			say "no end after $opt_timeout s"
		else
			say "no end of the boot after $BOOT_LIMIT s"
		fi
		return "$EXIT_TIMEOUT"
	fi
	if [[ ! -e $RUN/ctl/status ]]; then
		print_splat || print_tail 40
		say "the guest stopped before the command ended"
		! emulator_failed || return "$EXIT_EMULATOR"
		return "$EXIT_DIED"
	fi
	if [[ ! $in_time && $opt_kernel != uml ]]; then
		print_tail 40
		say "the command ended, but the guest did not power off"
		return "$EXIT_DIED"
	fi
	status=$(<"$RUN/ctl/status")
	if [[ ! $opt_no_dmesg_check ]] && print_splat; then
		say "the command's exit status was $status"
		return "$EXIT_SPLAT"
	fi
	return "$status"
}

run_shell() {
	local -a machine qemu=(qemu-system-x86_64)

	[[ -t 0 && -t 1 ]] || usage_error "vm shell needs a terminal; use vm run"
	[[ $opt_kernel != uml ]] || usage_error "vm shell is for kernels in QEMU; use vm run"
	prepare_run
	write_guest_files shell
	qemu_command
	# Ctrl-C belongs to the guest; the end of the shell is the end of the guest.
	machine+=(-serial "file:$RUN/console" -chardev "stdio,id=tty,signal=off" -serial chardev:tty)
	say "booting; leave with exit or Ctrl-D, /src is the source tree, /results is ${opt_out}"
	local terminal status=0
	terminal=$(stty -g)
	"${machine[@]}" || status=$?
	stty "$terminal"
	save_logs
	print_splat || true
	[[ -e $RUN/ctl/started ]] || print_tail 40
	return "$status"
}
