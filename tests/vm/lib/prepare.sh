# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Fills the cache: user lands, kernels, the tree that modules are built in, and newer QEMUs.
#
#   roots/NAME/root.squashfs          user land ("base", "install")
#   roots/NAME/busybox                for the initramfs
#   kernels/K/{vmlinuz,release,...}   kernel, modules, headers, initramfs
#   toolchain/SUITE/tree              compiler and headers, entered by chroot
#   toolchain/debug/tree              the same for debug kernels, see debug.sh
#   build/K/SOURCE                    our module, see module.sh
#   qemu/SUITE/tree                   QEMU and its libraries

# To be raised when the way something is built changes, so that old caches are
# rebuilt instead of half understood.
readonly ROOT_FORMAT=2 KERNEL_FORMAT=5 QEMU_FORMAT=1

# What the initramfs loads before there is a root file system. virtio_blk and
# virtio_console are left alone on purpose: tests load and unload them, and
# /dev/vda is theirs.
readonly INITRD_MODULES=(virtio_pci nvme squashfs loop overlay 9pnet_virtio 9p)

# Drivers for hardware that no test has. Leaving them out makes the modules
# four times smaller and depmod four times faster.
readonly PRUNED_MODULES=(
	drivers/accel drivers/comedi drivers/gpu/drm/amd drivers/gpu/drm/i915
	drivers/gpu/drm/nouveau drivers/gpu/drm/radeon drivers/gpu/drm/xe
	drivers/hwmon drivers/iio drivers/infiniband drivers/isdn
	drivers/media/common drivers/media/dvb-frontends drivers/media/i2c
	drivers/media/pci drivers/media/rc drivers/media/tuners drivers/media/usb
	drivers/mmc/host drivers/net/ethernet drivers/net/phy drivers/net/usb
	drivers/net/wireless drivers/platform drivers/scsi/bfa drivers/scsi/lpfc
	drivers/scsi/qla2xxx drivers/staging drivers/usb/serial sound/pci sound/soc
)

# The suites that may have a kernel release, the more stable one first.
suites_of_kernel() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*) echo forky sid ;;
	esac
}

root_packages() {
	case $1 in
	base) list_packages "$VM_DIR/guest/packages.base" ;;
	install) list_packages "$VM_DIR/guest/packages.base" "$VM_DIR/guest/packages.install" ;;
	toolchain) list_packages "$VM_DIR/guest/packages.toolchain" ;;
	debug) list_packages "$DEBUG_CONFIGS/packages" ;;
	*) usage_error "unknown root '$1': base and install exist" ;;
	esac
}

# root_key NAME SUITE
root_key() {
	local packages

	packages=$(root_packages "$1") || exit
	printf '%s %s %s\n' "$ROOT_FORMAT" "$2" "$(LC_ALL=C sort -u <<<"$packages" | hash_of)"
}

# Writes a Debian tree as a tar file: bootstrap NAME SUITE TARFILE LOGFILE.
bootstrap() {
	local name=$1 suite=$2 tar=$3 log=$4 option filter sources options=()

	need_programs mmdebstrap apt-get
	if ((EUID != 0)); then
		need_programs newuidmap
		grep -q "^$(id -un):" /etc/subuid 2>/dev/null ||
			die "$(id -un) has no range in /etc/subuid; as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
	fi
	sources=$(source_lines "$suite") || exit
	# Not as a file: without root, mmdebstrap reads it as a user who cannot enter the home directory.
	while IFS= read -r option; do
		options+=(--aptopt="$option")
	done < <(apt_transport_options)
	filter=(--dpkgopt='path-exclude=/usr/share/doc/*'
		--dpkgopt='path-exclude=/usr/share/locale/*'
		--dpkgopt='path-exclude=/usr/share/man/*')
	# Half a gigabyte, and /tmp may be memory; whom it runs as without root cannot write to the cache.
	TMPDIR=${TMPDIR:-/var/tmp} mmdebstrap --variant=essential --format=tar --architectures=amd64 \
		"${options[@]}" "${filter[@]}" \
		--include="$(root_packages "$name" | sort -u | paste -sd,)" \
		"$suite" "$tar" - <<<"$sources" >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; die "mmdebstrap failed; the whole log: $log"; }
}

root_ready() {
	is_published "$CACHE/roots/$1" "$(root_key "$1" "$USERLAND_SUITE")"
}

ensure_root() {
	root_packages "$1" >/dev/null
	root_ready "$1" || with_lock prepare build_root "$1"
}

build_root() {
	local name=$1 work started=$SECONDS

	! root_ready "$name" || return 0
	need_programs sqfstar
	new_work_dir "root-$name"
	work=$WORK_DIR
	say "building the $name user land (Debian $USERLAND_SUITE)"
	bootstrap "$name" "$USERLAND_SUITE" "$work/root.tar" "$work/log"
	tar -xOf "$work/root.tar" ./usr/bin/busybox >"$work/busybox"
	chmod 755 "$work/busybox"
	# Not compressed: an emulated CPU is slower than any disk.
	sqfstar -quiet -no-progress -noI -noD -noF -noX "$work/root.squashfs" \
		<"$work/root.tar" >>"$work/log" 2>&1 ||
		{ tail -n 20 "$work/log" >&2; die "sqfstar failed"; }
	rm -f "$work/root.tar"
	publish "$work" "$CACHE/roots/$name" "$(root_key "$name" "$USERLAND_SUITE")"
	say "user land $name: $(du -h "$CACHE/roots/$name/root.squashfs" | cut -f1) in $((SECONDS - started)) s"
}

kernel_dir() {
	printf '%s\n' "$CACHE/kernels/$1"
}

kernel_key() {
	printf '%s %s\n' "$KERNEL_FORMAT" \
		"$(printf '%s\n' "${INITRD_MODULES[@]}" "${PRUNED_MODULES[@]}" | hash_of)"
}

kernel_ready() {
	is_published "$(kernel_dir "$1")" "$(kernel_key)"
}

ensure_kernel() {
	is_debug_kernel "$1" || [[ $1 =~ ^[0-9]+\.[0-9]+$ ]] ||
		usage_error "no such kernel: '$1' (${ALL_KERNELS[*]}, ${DEBUG_KERNELS[*]})"
	# The initramfs takes busybox from the user land.
	ensure_root base
	if is_debug_kernel "$1"; then
		debug_kernel_ready "$1" || with_lock debug build_debug_kernel "$1"
	else
		kernel_ready "$1" || with_lock prepare build_kernel "$1"
	fi
}

build_kernel() {
	local kernel=$1 suite image="" work release started=$SECONDS

	! kernel_ready "$kernel" || return 0
	need_programs apt-get dpkg-deb depmod modprobe mksquashfs cpio xz
	for suite in $(suites_of_kernel "$kernel"); do
		refresh_suite "$suite"
		image=$(newest_image_package "$suite" "$kernel")
		[[ $image ]] && break
	done
	[[ $image ]] ||
		gone "no kernel $kernel for amd64 in $(suites_of_kernel "$kernel" | paste -sd' ')"
	release=${image#linux-image-}
	new_work_dir "kernel-$kernel"
	work=$WORK_DIR
	say "fetching kernel $release from $suite"
	fetch_kernel "$suite" "$release" "$work"
	say "unpacking kernel $release"
	unpack_kernel "$release" "$work"
	build_initrd "$release" "$work" "${INITRD_MODULES[@]}"
	printf '%s\n' "$release" >"$work/release"
	printf '%s\n' "$suite" >"$work/suite"
	publish "$work" "$(kernel_dir "$kernel")" "$(kernel_key)"
	say "kernel $kernel ($release) in $((SECONDS - started)) s"
}

# Newer releases split the image into several packages, so apt is asked which
# ones belong to it. The headers are fetched at the same time, because the
# archive may have replaced this very version when they are needed.
fetch_kernel() {
	local suite=$1 release=$2 work=$3 images headers

	images=$(packages_with "$suite" "linux-image-$release" \
		'^linux-(image|base|binary|modules)-[0-9]') ||
		die "apt cannot resolve linux-image-$release in $suite"
	headers=$(packages_with "$suite" "linux-headers-$release" \
		'^linux-(headers|kbuild)-[0-9]') ||
		die "apt cannot resolve linux-headers-$release in $suite"
	mkdir "$work/image-debs" "$work/header-debs"
	# shellcheck disable=SC2086
	(cd "$work/image-debs" && download_packages "$suite" $images)
	# shellcheck disable=SC2086
	(cd "$work/header-debs" && download_packages "$suite" $headers)
}

unpack_kernel() {
	local release=$1 work=$2 deb dir modules

	mkdir "$work/image" "$work/headers" "$work/modules"
	for deb in "$work"/image-debs/*.deb; do
		dpkg-deb -x "$deb" "$work/image"
	done
	dpkg-deb -f "$work"/image-debs/linux-image-*.deb Version >"$work/package-version"
	# Packages from before the merged /usr put the modules into /lib.
	modules=$work/image/usr/lib/modules/$release
	[[ -d $modules ]] || modules=$work/image/lib/modules/$release
	[[ -d $modules/kernel ]] || die "no modules in the packages of $release"
	if [[ -e $modules/vmlinuz ]]; then
		mv "$modules/vmlinuz" "$work/vmlinuz"
	else
		mv "$work/image/boot/vmlinuz-$release" "$work/vmlinuz"
	fi
	[[ -e $modules/config ]] || mv "$work/image/boot/config-$release" "$modules/config"
	mkdir -p "$work/modules/lib/modules"
	mv "$modules" "$work/modules/lib/modules/"
	modules=$work/modules/lib/modules/$release
	rm -f "$modules/build" "$modules/source"
	for dir in "${PRUNED_MODULES[@]}"; do
		rm -rf "${modules:?}/kernel/$dir"
	done
	find "$modules" -name '*.ko.xz' -print0 |
		xargs -0r -n 64 -P "$(nproc)" xz -d
	depmod -b "$work/modules" "$release"
	mksquashfs "$modules" "$work/modules.squashfs" -quiet -no-progress \
		-noI -noD -noF -noX -all-root >/dev/null
	for deb in "$work"/header-debs/*.deb; do
		dpkg-deb -x "$deb" "$work/headers"
	done
	# Only a link to the headers, and a directory /lib would hide the guest's
	# link of that name. The initramfs makes the link.
	rm -rf "$work/headers/lib" "$work/headers/usr/lib/modules"
	mksquashfs "$work/headers" "$work/headers.squashfs" -quiet -no-progress \
		-noI -noD -noF -noX -all-root >/dev/null
	rm -rf "$work/image" "$work/image-debs" "$work/headers"
}

# build_initrd RELEASE WORK MODULE...: busybox and the modules. The script /init is not in
# here: "vm run" adds the one of the source tree, so a change to it never needs a new cache.
build_initrd() {
	local release=$1 work=$2 tree=$2/initrd name path

	shift 2
	mkdir -p "$tree"/{bin,dev,proc,sys,mnt,modules}
	cp "$CACHE/roots/base/busybox" "$tree/bin/busybox"
	ln -s busybox "$tree/bin/sh"
	for name; do
		modprobe -S "$release" -d "$work/modules" --show-depends "$name" ||
			die "kernel $release has no module $name"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/insmod.list"
	while read -r path; do
		cp "$path" "$tree/modules/"
		printf '%s\n' "${path##*/}"
	done <"$work/insmod.list" >"$tree/modules/order"
	(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0 >"$work/initrd.img")
	rm -rf "$tree" "$work/insmod.list"
}

# The tree's name. The kernel's own suite has the compiler and the pahole that it was built
# with: an older compiler lacks attributes that the headers were configured for. bookworm is the
# exception, one tree less and the compiler makes no difference. Debug kernels have their own.
toolchain_suite() {
	local suite

	is_debug_kernel "$1" && echo debug && return
	suite=$(<"$(kernel_dir "$1")/suite")
	[[ $suite != bookworm ]] || suite=trixie
	printf '%s\n' "$suite"
}

toolchain_dir() {
	printf '%s\n' "$CACHE/toolchain/$(toolchain_suite "$1")"
}

toolchain_key() {
	if [[ $1 == debug ]]; then
		root_key debug "$DEBUG_RELEASE"
	else
		root_key toolchain "$1"
	fi
}

toolchain_ready() {
	is_published "$CACHE/toolchain/$1" "$(toolchain_key "$1")"
}

ensure_toolchain() {
	local kernel=$1 suite

	ensure_kernel "$kernel"
	suite=$(toolchain_suite "$kernel")
	toolchain_ready "$suite" || with_lock prepare build_toolchain "$suite"
	is_debug_kernel "$kernel" || [[ -e $(headers_mark "$kernel") ]] ||
		with_lock prepare add_headers "$kernel"
}

build_toolchain() {
	local name=$1 suite=$1 packages=toolchain what=modules work started=$SECONDS

	! toolchain_ready "$name" || return 0
	if [[ $name == debug ]]; then
		suite=$(debug_suite) packages=debug what="debug kernels"
	fi
	new_work_dir "toolchain-$name"
	work=$WORK_DIR
	say "building the tree to compile $what in (Debian $suite)"
	bootstrap "$packages" "$suite" "$work/root.tar" "$work/log"
	mkdir "$work/tree"
	tar -xf "$work/root.tar" -C "$work/tree" --no-same-owner --exclude='./dev/*'
	mkdir -p "$work/tree/build" "$work/tree/dev" "$work/tree/proc"
	rm -f "$work/root.tar"
	publish "$work" "$CACHE/toolchain/$name" "$(toolchain_key "$name")"
	say "toolchain in $((SECONDS - started)) s"
}

headers_mark() {
	printf '%s\n' "$(toolchain_dir "$1")/headers-$(<"$(kernel_dir "$1")/release")"
}

add_headers() {
	local kernel=$1 tree mark deb

	tree=$(toolchain_dir "$kernel")/tree
	mark=$(headers_mark "$kernel")
	[[ ! -e $mark ]] || return 0
	say "unpacking the headers of kernel $kernel"
	for deb in "$(kernel_dir "$kernel")"/header-debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x -C "$tree" --no-same-owner --keep-directory-symlink
	done
	: >"$mark"
}

qemu_ready() {
	is_published "$CACHE/qemu/$1" "$QEMU_FORMAT"
}

ensure_qemu() {
	qemu_ready "$1" || with_lock prepare build_qemu "$1"
}

# Of what installing it would bring: the programs, their libraries, and the firmware that a machine
# without a display and a network card boots with.
build_qemu() {
	local suite=$1 packages work deb started=$SECONDS
	local -a qemu

	! qemu_ready "$suite" || return 0
	need_programs apt-get dpkg-deb
	refresh_suite "$suite"
	packages=$(packages_with "$suite" qemu-system-x86 '^(lib|zlib1g$|seabios$|qemu-system-)') ||
		die "apt cannot resolve qemu-system-x86 in $suite"
	new_work_dir "qemu-$suite"
	work=$WORK_DIR
	say "fetching QEMU from $suite"
	mkdir "$work/debs" "$work/tree"
	# shellcheck disable=SC2086
	(cd "$work/debs" && download_packages "$suite" $packages)
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$work/tree"
	done
	rm -rf "$work/debs"
	use_qemu_of "$work/tree"
	"${qemu[@]}" --version >"$work/version" 2>"$work/log" ||
		{ tail -n 20 "$work/log" >&2; die "QEMU of $suite does not start on this machine"; }
	publish "$work" "$CACHE/qemu/$suite" "$QEMU_FORMAT"
	say "$(head -n 1 "$CACHE/qemu/$suite/version") in $((SECONDS - started)) s"
}

# use_qemu_of TREE: fills the array "qemu". The tree's own loader and libraries: the machine's may be
# older, and no directory has to be the root.
use_qemu_of() {
	local tree=$1 lib=$1/usr/lib/x86_64-linux-gnu

	qemu=(env "QEMU_MODULE_DIR=$lib/qemu" "$lib/ld-linux-x86-64.so.2" --inhibit-cache
		--library-path "$lib" "$tree/usr/bin/qemu-system-x86_64"
		-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
}
