# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the kernel module against a cached kernel, in a copy of its sources
# inside the toolchain tree. The source tree is only read.

module_dir() {
	printf '%s\n' "$CACHE/build/$1"
}

# Runs a command in the toolchain tree. Without root a user namespace makes
# chroot possible; its /dev is then the host's, as nodes cannot be created.
in_toolchain() {
	local tree=$CACHE/toolchain/tree

	need_programs unshare
	# shellcheck disable=SC2016
	set -- env -i PATH=/usr/sbin:/usr/bin HOME=/build LANG=C.UTF-8 "$@"
	# shellcheck disable=SC2016
	unshare --mount $( ((EUID == 0)) || echo --map-root-user) -- \
		sh -c 'mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$tree" "$@"
}

# What the module is made of: its sources, the headers beside them, the way it
# is built and the kernel.
module_key() {
	local source=$1 kernel=$2 parent

	parent=$(dirname "$source")
	{
		cat "$(kernel_dir "$kernel")/release" "$CACHE/toolchain/.key"
		printf '%s\n' "$source" "${VM_MAKE_ARGS:-}"
		cd "$parent" && find "${source##*/}" include -type f \
			! -name '*.o' ! -name '*.ko' ! -name '*.cmd' ! -name '*.mod' ! -name '*.mod.c' \
			-print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r sha256sum
	} | hash_of
}

build_module() {
	local kernel=$1 source=$2

	source=$(realpath -e "$source") || usage_error "no such directory: $2"
	[[ -e $source/Kbuild || -e $source/Makefile ]] ||
		die "$source has neither Kbuild nor Makefile"
	ensure_toolchain "$kernel"
	with_lock "build-$kernel" build_module_locked "$kernel" "$source"
	find "$(module_dir "$kernel")" -maxdepth 1 -name '*.ko'
}

build_module_locked() {
	local kernel=$1 source=$2 key release work copy dir started=$SECONDS
	local -a arguments

	key=$(module_key "$source" "$kernel")
	is_published "$(module_dir "$kernel")" "$key" && return
	release=$(<"$(kernel_dir "$kernel")/release")
	say "building ${source##*/} for $release"

	copy=$CACHE/toolchain/tree/build/$kernel
	remove_tree "$copy"
	mkdir -p "$copy"
	cp -a "$source" "$copy/"
	find "$copy" \( -name '*.o' -o -name '*.ko' -o -name '*.cmd' -o -name '*.mod' \
		-o -name '*.mod.c' \) -delete
	dir=$(dirname "$source")/include
	[[ -d $dir ]] && cp -a "$dir" "$copy/"
	read -ra arguments <<<"${VM_MAKE_ARGS:-}"
	in_toolchain make -s -j "$(nproc)" -C "/usr/src/linux-headers-$release" \
		M="/build/$kernel/${source##*/}" CC=gcc HOSTCC=gcc \
		CONFIG_DEBUG_INFO_BTF_MODULES= "${arguments[@]}" modules >&2 ||
		die "the module does not build for $release"

	work=$(new_work_dir "build-$kernel")
	find "$copy" -name '*.ko' -exec cp {} "$work/" \;
	compgen -G "$work/*.ko" >/dev/null || die "no .ko came out of $source"
	index_modules "$kernel" "$release" "$work"
	publish "$work" "$(module_dir "$kernel")" "$key"
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
