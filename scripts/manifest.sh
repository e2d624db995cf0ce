# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is installed: a list of files and directories, so that uninstalling
# takes away just that. To be sourced after lib.sh.

# shellcheck disable=SC2034 # for who sources this
DKMS_NAME=virtio-loopback
ROOT=${DESTDIR:+$(realpath -m -- "$DESTDIR")}
ROOT=${ROOT%/}
STATE=$ROOT/var/lib/virtio-loopback
MANIFEST=$STATE/manifest

# Lines of the manifest: "version V", "file PATH", "dir PATH". Paths are those
# of the final machine, without DESTDIR.
manifest() {
	sed -n "s/^$1 //p" "$MANIFEST"
}

need_root() {
	((EUID == 0)) || die "$1 changes this machine; run it as root"
}

# On a machine that runs, as opposed to a directory that a package is made from.
live() {
	[[ ! $ROOT ]]
}

refresh_machine() {
	live || return 0
	ldconfig
	if [[ -d /run/udev ]]; then
		udevadm control --reload || true
	fi
	if [[ -d /run/systemd/system ]]; then
		systemctl daemon-reload || true
	fi
}
