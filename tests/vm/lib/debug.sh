# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Debug kernels: Debian's linux-source with the sanitizers and checkers of tests/debug/*.config,
# as User Mode Linux ("uml") and for QEMU ("debug"). They take the place of a package in
# kernels/K; the tree that modules for them are built in is toolchain/debug.

readonly DEBUG_RELEASE=7.2 DEBUG_FORMAT=1
readonly DEBUG_CONFIGS=$REPO/tests/debug

# As in Debian's kernels: resize2fs(8) writes to the disk of a mounted file system.
# shellcheck disable=SC2034 # run.sh uses it
readonly DEBUG_ARGUMENTS="bdev_allow_write_mounted=1"

# What no debug kernel compiles; a third of the source's files.
readonly DEBUG_LEFT_OUT=('*.rst' '*.dts' '*.dtsi' '*/tools/testing/*' '*/drivers/gpu/drm/*.[chS]'
	'*/drivers/media/*.[chS]' '*/drivers/net/ethernet/*.[chS]' '*/drivers/net/wireless/*.[chS]'
	'*/drivers/staging/*.[chS]' '*/drivers/infiniband/*.[chS]' '*/sound/*.[chS]'
	'*/arch/'{alpha,arc,arm,arm64,csky,hexagon,loongarch,m68k,microblaze,mips,nios2,openrisc}'/*.[chS]'
	'*/arch/'{parisc,powerpc,riscv,s390,sh,sparc,xtensa}'/*.[chS]')

is_debug_kernel() {
	[[ $1 == uml || $1 == debug ]]
}

# The kernel's name for the architecture, and what "make" is to build of it.
debug_arch() {
	if [[ $1 == uml ]]; then echo um; else echo x86_64; fi
}

debug_image() {
	if [[ $1 == uml ]]; then echo linux; else echo arch/x86/boot/bzImage; fi
}

# The options that are asked for; all others are off, or have their default.
debug_config() {
	sed '/^#/d; /^$/d' "$DEBUG_CONFIGS/common.config" "$DEBUG_CONFIGS/$1.config"
}

debug_kernel_key() {
	local packages

	packages=$(root_packages debug) || exit
	printf '%s %s %s\n' "$DEBUG_FORMAT" "$DEBUG_RELEASE" \
		"$({ debug_config "$1" && printf '%s\n' "$packages"; } | hash_of)"
}

# Where the kernel was built, as seen in the toolchain's tree.
debug_source() {
	printf '/usr/src/linux-%s\n' "$1"
}

debug_kernel_ready() {
	local key

	key=$(debug_kernel_key "$1") || exit
	is_published "$(kernel_dir "$1")" "$key" &&
		is_published "$(toolchain_dir "$1")/tree$(debug_source "$1")" "$key"
}

# Takes some ten minutes of two CPUs.
build_debug_kernel() {
	local kernel=$1 tree source key work log started=$SECONDS

	! debug_kernel_ready "$kernel" || return 0
	need_programs apt-get dpkg-deb depmod mksquashfs cpio xz
	toolchain_ready debug || with_lock prepare build_toolchain debug
	tree=$(toolchain_dir "$kernel")/tree
	key=$(debug_kernel_key "$kernel")
	new_work_dir "kernel-$kernel"
	work=$WORK_DIR
	source=/build/linux-$kernel log=$CACHE/debug-$kernel.log

	# What asks apt has that lock.
	with_lock prepare fetch_debug_source "$work"
	dpkg-deb -f "$work"/linux-source-*.deb Version >"$work/package-version"
	remove_tree "$tree$source"
	unpack_source "$work" "$tree$source"
	debug_config "$kernel" >"$tree$source/asked.config"
	say "building the debug kernel '$kernel' (output: $log)"
	debug_make "$kernel" "$tree" "$source" KCONFIG_ALLCONFIG=asked.config allnoconfig >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "the debug kernel '$kernel' cannot be configured"; }
	check_config "$tree$source"
	build_with_progress "$kernel" "$tree" "$source" "$log"
	take_debug_kernel "$kernel" "$tree" "$source" "$work" >>"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "the debug kernel '$kernel' cannot be installed"; }
	build_initrd "$(<"$work/release")" "$work"

	prune_source "$tree$source"
	publish "$tree$source" "$tree$(debug_source "$kernel")" "$key"
	publish "$work" "$(kernel_dir "$kernel")" "$key"
	rm -f "$log"
	say "debug kernel $kernel ($(<"$(kernel_dir "$kernel")/release")) in $((SECONDS - started)) s"
}

# The suite that has the source, where the toolchain's compiler is from as well.
debug_suite() {
	local suite

	for suite in $(suites_of_kernel "$DEBUG_RELEASE"); do
		refresh_suite "$suite" >&2
		if apt_in "$suite" apt-cache pkgnames "linux-source-$DEBUG_RELEASE" | grep -q .; then
			printf '%s\n' "$suite"
			return
		fi
	done
	gone "no linux-source-$DEBUG_RELEASE in $(suites_of_kernel "$DEBUG_RELEASE")"
}

# Into the directory WORK, with the suite that it is from.
fetch_debug_source() {
	local work=$1 suite

	suite=$(debug_suite)
	printf '%s\n' "$suite" >"$work/suite"
	say "fetching linux-source-$DEBUG_RELEASE from $suite"
	(cd "$work" && download_packages "$suite" "linux-source-$DEBUG_RELEASE")
}

# unpack_source WORK DIR: the package in WORK, removed afterwards.
unpack_source() {
	local pattern excluded=()

	for pattern in "${DEBUG_LEFT_OUT[@]}"; do
		excluded+=(--exclude="$pattern")
	done
	mkdir -p "$2"
	dpkg-deb --fsys-tarfile "$1"/linux-source-*.deb |
		tar -xO "./usr/src/linux-source-$DEBUG_RELEASE.tar.xz" | xz -dc -T0 |
		tar -x -C "$2" --strip-components=1 --no-same-owner "${excluded[@]}" ||
		die "cannot unpack linux-source-$DEBUG_RELEASE"
	rm -f "$1"/linux-source-*.deb
}

# debug_make KERNEL TREE SOURCE ARGUMENT...
debug_make() {
	local kernel=$1 tree=$2 source=$3

	shift 3
	in_toolchain "$tree" nice make -C "$source" ARCH="$(debug_arch "$kernel")" \
		KBUILD_BUILD_USER=debug KBUILD_BUILD_HOST=virtio-loopback "$@"
}

# Kconfig drops what it cannot have without a word: a debug kernel that checks less than it
# promises would be worse than none.
check_config() {
	local line name value have missing=()

	while IFS= read -r line; do
		name=${line%%=*} value=${line#*=}
		have=$(sed -n "s/^$name=//p" "$1/.config")
		[[ ${have:-n} == "$value" ]] || missing+=("$line")
	done <"$1/asked.config"
	((${#missing[@]} == 0)) ||
		die "this kernel does not take what tests/debug/*.config asks for: ${missing[*]}"
}

# One line a minute: how many files are compiled by now.
build_with_progress() {
	local kernel=$1 tree=$2 source=$3 log=$4 pid started=$SECONDS last=$SECONDS

	debug_make "$kernel" "$tree" "$source" -j "${VM_MAKE_JOBS:-$(nproc)}" \
		"$(basename "$(debug_image "$kernel")")" modules >>"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		((SECONDS - last < 60)) || {
			last=$SECONDS
			say "$(grep -c '^  \(CC\|AS\) ' "$log") files compiled in $((SECONDS - started)) s"
		}
	done
	wait "$pid" || {
		tail -n 30 "$log" >&2
		die "the debug kernel '$kernel' does not build; the whole log: $log"
	}
}

# What "vm run" needs of it, into WORK.
take_debug_kernel() {
	local kernel=$1 tree=$2 source=$3 work=$4 release modules

	debug_make "$kernel" "$tree" "$source" -s INSTALL_MOD_PATH=mods DEPMOD=true modules_install
	release=$(<"$tree$source/include/config/kernel.release")
	printf '%s\n' "$release" >"$work/release"
	cp "$tree$source/$(debug_image "$kernel")" "$work/vmlinuz"
	mkdir -p "$work/modules/lib/modules"
	mv "$tree$source/mods/lib/modules/$release" "$work/modules/lib/modules/"
	rm -rf "$tree$source/mods"
	modules=$work/modules/lib/modules/$release
	rm -f "$modules/build" "$modules/source"
	depmod -b "$work/modules" "$release"
	mksquashfs "$modules" "$work/modules.squashfs" -quiet -no-progress \
		-noI -noD -noF -noX -all-root
}

# Modules of others need headers, makefiles and what was built to build with.
prune_source() {
	find "$1" \( -path "$1/scripts" -o -path "$1/tools" \) -prune -o -type f \
		\( -name '*.[coSa]' -o -name '*.ko' -o -name '*.mod' -o -name '*.cmd' -o -name bzImage \
		-o -name 'vmlinux*' ! -name vmlinux.symvers -o -name linux -o -name System.map \) -print0 |
		xargs -0r rm -f
}
