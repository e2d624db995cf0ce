# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the kernel module against a cached kernel, in a copy of its sources
# inside the toolchain tree. The source tree is only read.

# Files that are sources, for find.
readonly NOT_BUILT=(! -name '*.o' ! -name '*.ko' ! -name '*.cmd' ! -name '*.mod'
	! -name '*.mod.c' ! -name 'Module.symvers' ! -name 'modules.order')

# module_dir KERNEL SRCDIR: one per source directory, so that several trees can
# share the cache.
module_dir() {
	printf '%s/build/%s/%s-%s\n' "$CACHE" "$1" "${2##*/}" "$(hash_of <<<"$2" | cut -c1-6)"
}

# in_toolchain TREE COMMAND...: runs a command in a toolchain's tree. Without
# root a user namespace makes chroot possible.
in_toolchain() {
	local tree=$1 namespace=(--mount)

	shift
	need_programs unshare
	set -- env -i PATH=/usr/sbin:/usr/bin HOME=/build LANG=C.UTF-8 "$@"
	((EUID == 0)) || namespace+=(--map-root-user)
	# objtool wants /proc, make and the compiler want /dev/null.
	# shellcheck disable=SC2016
	unshare "${namespace[@]}" -- sh -c '
		mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"
	' "$tree" "$@"
}

# Where make finds the kernel, in the toolchain's tree.
kernel_headers() {
	if is_debug_kernel "$1"; then
		debug_source "$1"
	else
		printf '/usr/src/linux-headers-%s\n' "$(<"$(kernel_dir "$1")/release")"
	fi
}

# What the module is made of: its sources, the headers beside them, the way it
# is built and the kernel.
module_key() {
	local source=$1 kernel=$2
	local trees=("${source##*/}")

	(
		cd "$(dirname "$source")" || exit
		[[ ! -d include ]] || trees+=(include)
		cat "$(kernel_dir "$kernel")"/{release,.key} "$(toolchain_dir "$kernel")/.key"
		printf '%s\n' "$source" "${VM_MAKE_ARGS:-}"
		find "${trees[@]}" -type f "${NOT_BUILT[@]}" -print0 |
			LC_ALL=C sort -z | xargs -0r sha256sum
	) | hash_of
}

build_module() {
	local kernel=$1 source=$2

	[[ -d $source ]] || usage_error "no such directory: $source"
	source=$(realpath "$source")
	[[ -e $source/Kbuild || -e $source/Makefile ]] ||
		die "$source has neither Kbuild nor Makefile"
	ensure_toolchain "$kernel"
	with_lock "build-$kernel" build_module_locked "$kernel" "$source"
	find "$(module_dir "$kernel" "$source")" -maxdepth 1 -name '*.ko'
}

build_module_locked() {
	local kernel=$1 source=$2 final key release tree work copy dir started=$SECONDS
	local -a arguments extra=()

	key=$(module_key "$source" "$kernel")
	final=$(module_dir "$kernel" "$source")
	! is_published "$final" "$key" || return 0
	release=$(<"$(kernel_dir "$kernel")/release")
	say "building ${source##*/} for $release"

	tree=$(toolchain_dir "$kernel")/tree
	copy=$tree/build/$kernel
	remove_tree "$copy"
	mkdir -p "$copy"
	cp -a "$source" "$copy/"
	# What somebody built in the source tree, for another kernel maybe.
	find "$copy" -type f ! \( "${NOT_BUILT[@]}" \) -delete
	dir=$(dirname "$source")/include
	[[ -d $dir ]] && cp -a "$dir" "$copy/"
	read -ra arguments <<<"${VM_MAKE_ARGS:-}"
	# What tests need besides: kprobes, which User Mode Linux has not, and KUnit. An installed module's
	# sources are without tests.
	! is_debug_kernel "$kernel" || extra=(ARCH="$(debug_arch "$kernel")" VLB_KUNIT=m)
	[[ $kernel == uml || ! -d $source/kunit ]] || extra+=(VLB_LATE=m)
	in_toolchain "$tree" make -s -j "$(nproc)" -C "$(kernel_headers "$kernel")" \
		M="/build/$kernel/${source##*/}" CC=gcc HOSTCC=gcc \
		CONFIG_DEBUG_INFO_BTF_MODULES= "${extra[@]}" "${arguments[@]}" modules >&2 ||
		die "the module does not build for $release"

	new_work_dir "build-$kernel"
	work=$WORK_DIR
	find "$copy" -name '*.ko' -exec cp {} "$work/" \;
	compgen -G "$work/*.ko" >/dev/null || die "no .ko came out of $source"
	index_modules "$kernel" "$release" "$work"
	publish "$work" "$final" "$key"
	# Of trees that are gone, or were temporary.
	find "$CACHE/build/$kernel" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
	say "built in $((SECONDS - started)) s"
}

# modprobe in the guest finds the new modules by the kernel's own index with
# ours added. Made here because depmod takes long on an emulated CPU.
index_modules() {
	local kernel=$1 release=$2 work=$3 tree=$3/tree own=$3/lib/modules/$2

	mkdir -p "$tree/lib/modules" "$own/extra"
	cp -al "$(kernel_dir "$kernel")/modules/lib/modules/$release" "$tree/lib/modules/"
	mkdir -p "$tree/lib/modules/$release/extra"
	cp "$work"/*.ko "$tree/lib/modules/$release/extra/"
	rm -f "$tree/lib/modules/$release"/modules.{dep,alias,symbols,softdep,devname,weakdep}{,.bin}
	depmod -b "$tree" "$release"
	cp "$tree/lib/modules/$release"/modules.{dep,alias,symbols}{,.bin} \
		"$tree/lib/modules/$release/modules.softdep" "$own/"
	cp "$work"/*.ko "$own/extra/"
	rm -rf "$tree"
}
