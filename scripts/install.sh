#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs everything: the module's sources for DKMS, and what meson installs.
# With DESTDIR, files are only put there.

set -euo pipefail
umask 022
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/manifest.sh"

PREFIX=${PREFIX:-/usr/local}
PREFIX=${PREFIX%/}
VERSION=$(sed -nE "s/^  version: '([^']+)'.*/\1/p" "$REPO/meson.build")
RELEASE=$(uname -r)
readonly PREFIX VERSION RELEASE
[[ $PREFIX == /* ]] || die "PREFIX has to be an absolute path, not '$PREFIX'"

if live; then
	[[ $PREFIX == /usr || $PREFIX == /usr/local ]] ||
		die "PREFIX has to be /usr or /usr/local, not '$PREFIX': systemd, udev and the linker look nowhere else"
	need_root "make install"
	[[ -e /lib/modules/$RELEASE/build/Makefile ]] ||
		die "the headers of the running kernel are missing: apt-get install linux-headers-$RELEASE"
	"$REPO/scripts/packages" build install
else
	"$REPO/scripts/packages" build
fi

work=$(mktemp -d)
trap 'end_jobs; give_back; rm -rf "$work"' EXIT
stage=$work/stage
mkdir "$stage"

# Not build/: that is for the tests, and has another prefix.
build=$REPO/build-install
if [[ -f $build/build.ninja ]]; then
	step "configuring" meson configure "$build" -Dprefix="$PREFIX"
else
	step "configuring" meson setup "$build" "$REPO" --prefix="$PREFIX" -Dtests=disabled -Dwerror=false
fi
step "building user space" meson compile -C "$build"
DESTDIR=$stage step "collecting files" meson install -C "$build" --no-rebuild

source=/usr/src/$DKMS_NAME-$VERSION
mkdir -p "$stage$source/include/uapi/linux" "$stage/var/lib/virtio-loopback"
cp "$REPO"/kernel/{*.[ch],Kbuild,Makefile} "$stage$source/"
rm -f "$stage$source"/*.mod.c
cp "$REPO/include/uapi/linux/virtio_loopback.h" "$stage$source/include/uapi/linux/"
sed "s/@VERSION@/$VERSION/" "$REPO/packaging/dkms/dkms.conf.in" >"$stage$source/dkms.conf"

# The same sources were built for this kernel before: nothing to build.
module_is_current() {
	diff -qr "$stage$source" "$source" >/dev/null 2>&1 &&
		dkms status -m "$DKMS_NAME" -v "$VERSION" -k "$RELEASE" | grep -q ': installed'
}

# The module that runs is not the one that modprobe would load.
module_is_old() {
	[[ -d /sys/module/virtio_loopback ]] &&
		[[ $(cat /sys/module/virtio_loopback/srcversion) != $(modinfo -F srcversion virtio_loopback) ]]
}

# The list is complete before the first file is in place, so that an interrupted
# installation can be taken away as well.
keep=loaded
! live || ! module_is_current || keep=installed
if [[ -e $MANIFEST ]]; then
	# What is there stays when the new module does not build.
	if live && [[ $keep != installed ]]; then
		cp -r "$stage$source" "$work/module"
		step "trying to build the module for $RELEASE" make -C "$work/module" -j "$(nproc)" \
			KERNELDIR="/lib/modules/$RELEASE/build" modules
	fi
	say "  replacing version $(manifest version)"
	KEEP_MODULE=$keep "$REPO/scripts/uninstall.sh" >/dev/null
fi
list=$(
	cd "$stage"
	echo "version $VERSION"
	find . -mindepth 1 ! -type d -printf 'file /%P\n'
	# Only directories that were not there before go with the files.
	find . -mindepth 1 -type d -printf '%P\n' | while read -r dir; do
		[[ -d $ROOT/$dir ]] || echo "dir /$dir"
	done
)
mkdir -p "$STATE"
printf '%s\n' "$list" >"$MANIFEST"
chmod -R u=rwX,go=rX "$stage"
tar -C "$stage" --owner=root --group=root -c . | tar -C "${ROOT:-/}" --no-overwrite-dir --keep-directory-symlink -x

if live && [[ $keep != installed ]]; then
	step "building the module for $RELEASE" dkms install -m "$DKMS_NAME" -v "$VERSION" -k "$RELEASE"
fi
refresh_machine
say "Installed version $VERSION below ${ROOT}$PREFIX; \"make uninstall\" takes it away."
if live && module_is_old; then
	say "The old module is still loaded. Then: vloop detach --all && modprobe -r virtio_loopback && modprobe virtio_loopback"
elif live; then
	say "Try: modprobe virtio_loopback && vloop attach --help"
fi
