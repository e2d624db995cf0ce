#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The part of "run" that installs from source, in a virtual machine with compiler and DKMS.

set -u
# shellcheck source=tests/install/guest-common.sh
. "$(dirname "$0")/guest-common.sh"

readonly TREE=/root/tree LOG=/results/make.log
readonly PLACES=(/usr /etc /opt /srv /var/lib /var/cache /boot /lib/modules)

# What is there, without what DKMS, depmod, man and ld.so keep for themselves.
files() {
	find "${PLACES[@]}" -xdev ! -path '/var/lib/dkms/mok.*' ! -path '/var/cache/*' \
		! -path '/var/lib/dkms/dkms_dbversion' -printf '%p %y\n' | sort
	find /lib/modules ! -name 'modules.*' -printf '%p %y\n' | sort
}

make_target() {
	(cd "$TREE" && make "$@") >>"$LOG" 2>&1 || { tail -n 40 "$LOG" && return 1; }
}

copy_tree() {
	mkdir -p "$TREE"
	(cd /src && tar -c --exclude=./build --exclude='./build-*' --exclude=./results \
		--exclude=./.git .) | tar -x -C "$TREE"
	find "$TREE/kernel" \( -name '*.o' -o -name '*.ko' -o -name '*.cmd' -o -name '*.mod*' \) -delete
}

says_headers() {
	local output build

	build=/lib/modules/$(uname -r)/build
	mv "$build" "$build.away"
	output=$(cd "$TREE" && make install 2>&1)
	mv "$build.away" "$build"
	[[ $output == *"linux-headers-$(uname -r)"* ]] || { echo "$output" && return 1; }
}

says_prefix() {
	local output

	output=$(cd "$TREE" && make install PREFIX=/opt/vloop 2>&1)
	[[ $output == *"PREFIX has to be"* ]] || { echo "$output" && return 1; }
}

stays() {
	! (cd "$TREE" && make uninstall) || { echo "uninstalled below a device" && return 1; }
}

finds_man_pages() {
	local page

	for page in $(man_pages); do
		man -w "${page%/*}" "${page#*/}" >/dev/null || return
	done
}

links_library() {
	printf '#include <vloop/vloop.h>\nint main(void) { return !vloop_version(); }\n' >/tmp/t.c
	# shellcheck disable=SC2046
	gcc -o /tmp/t /tmp/t.c $(pkg-config --cflags --libs libvloop) && /tmp/t
}

nothing_left() {
	diff /tmp/before <(files)
}

destdir() {
	make_target install DESTDIR=/tmp/dest PREFIX=/usr || return
	[[ -x /tmp/dest/usr/bin/vloop && -f $(echo /tmp/dest/usr/src/virtio-loopback-*/dkms.conf) ]] || return
	[[ ! -d /var/lib/dkms/virtio-loopback ]] || return
	make_target uninstall DESTDIR=/tmp/dest || return
	[[ -z $(find /tmp/dest ! -type d) ]]
}

# Another version in place of the one that is there.
upgrade() {
	local source=$TREE/kernel/main.c

	modprobe virtio_loopback || return
	echo '#error "for the test"' >>"$source"
	! make_target install || return
	modinfo virtio_loopback && vloop --version || return
	sed -i -e '$d' -e 's/MODULE_AUTHOR("/&Test, /' "$source"
	make_target install || return
	tail -n 1 "$LOG" | grep -F 'modprobe -r virtio_loopback' || return
	modprobe -r virtio_loopback && modprobe virtio_loopback && make_target install || return
	! tail -n 1 "$LOG" | grep -F 'modprobe -r virtio_loopback' || return
	modprobe -r virtio_loopback
}

forget_tree
: >"$LOG"
copy_tree
files >/tmp/before
check "missing headers are named" says_headers
check "a prefix that nobody looks in is refused" says_prefix
check "DESTDIR gets everything and touches nothing else" destdir
check "DESTDIR leaves nothing behind" nothing_left
check "make install" make_target install
check "vloop is found" vloop --version
check "the module is found" modinfo virtio_loopback
check "a device works, and keeps make uninstall away" works stays
check "man pages are found" finds_man_pages
check "the example is right, and the service is there" checks_example
check "a program can be linked with the library" links_library
check "make install again" make_target install
check "an upgrade that fails changes nothing, and one that works says how to load it" upgrade
check "make uninstall" make_target uninstall
check "nothing is left behind" nothing_left
check "make uninstall twice" make_target uninstall
