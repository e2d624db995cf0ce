#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Takes away what install.sh recorded, and nothing else. For install.sh itself,
# KEEP_MODULE=loaded replaces a module that may be in use, and KEEP_MODULE=installed
# leaves the module to DKMS.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/manifest.sh"

if [[ ! -e $MANIFEST ]]; then
	say "Nothing is installed here ($MANIFEST does not exist)."
	exit 0
fi

remove_module() {
	local version=$1

	if [[ -d /sys/module/virtio_loopback && ${KEEP_MODULE:-} != loaded ]]; then
		modprobe -r virtio_loopback ||
			die "the module is in use; detach its devices first: vloop detach --all"
	fi
	[[ ! -d /var/lib/dkms/$DKMS_NAME/$version ]] ||
		step "removing the module" dkms remove -m "$DKMS_NAME" -v "$version" --all
	rmdir "/var/lib/dkms/$DKMS_NAME" 2>/dev/null || true
}

# Of what is enabled a link would stay that leads nowhere.
disable_services() {
	local unit

	[[ -d /run/systemd/system ]] || return 0
	for unit in /etc/systemd/system/*.wants/vloop{,-run}@*.service; do
		[[ ! -L $unit ]] || systemctl disable "${unit##*/}" || true
	done
}

if live; then
	need_root "make uninstall"
	[[ ${KEEP_MODULE:-} == installed ]] || remove_module "$(manifest version)"
	[[ ${KEEP_MODULE:-} ]] || disable_services
fi
manifest file | while read -r path; do
	rm -f -- "$ROOT$path"
done
directories=$(manifest dir | sort -r)
rm -f -- "$MANIFEST"
# One that has something of somebody else's by now stays, and so does one that is a link by now.
while read -r path; do
	[[ ! $path || ! -d $ROOT$path || -L $ROOT$path ]] || rmdir --ignore-fail-on-non-empty -- "$ROOT$path"
done <<<"$directories"
refresh_machine
say "Uninstalled."
