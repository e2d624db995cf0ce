# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Messages, paths, locks and host checks shared by the parts of "vm".

# The other parts use the constants.
# shellcheck disable=SC2034

# Exit codes of our own. They follow timeout(1) and env(1) where those have one.
readonly EXIT_USAGE=2
readonly EXIT_GONE=96      # the archive does not have such a kernel any more
readonly EXIT_EMULATOR=97  # the guest stopped by a fault of the emulator, see run_command()
readonly EXIT_DIED=98      # the guest stopped without telling an exit status
readonly EXIT_SPLAT=99     # the command may have passed, the kernel complained
readonly EXIT_TIMEOUT=124
readonly EXIT_RUNNER=125   # the runner itself failed, the command never ran

# depmod, modprobe, chroot: not in the PATH of ordinary Debian users.
PATH=$PATH:/usr/sbin:/sbin

readonly ALL_KERNELS=(6.1 6.12 7.2) DEBUG_KERNELS=(uml debug)
readonly DEFAULT_KERNEL=6.12
readonly USERLAND_SUITE=trixie

say() {
	printf 'vm: %s\n' "$*" >&2
}

die() {
	say "error: $*"
	exit "$EXIT_RUNNER"
}

# No fault of this tree: runners skip what it was for.
gone() {
	say "$*: the archive has moved on"
	exit "$EXIT_GONE"
}

usage_error() {
	say "$* (see vm --help)"
	exit "$EXIT_USAGE"
}

# Some containers and services have no HOME.
if [[ ! ${VLOOP_CACHE:-${XDG_CACHE_HOME:-${HOME:-}}} ]]; then
	HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || true
	[[ $HOME ]] || die "there is no home directory for the cache; name a directory with VLOOP_CACHE"
fi
CACHE=$(realpath -m -- "${VLOOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/virtio-loopback}")
readonly CACHE

# The names in a package list, comments removed.
list_packages() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@"
}

# Maps a program that is missing to the Debian package that has it.
package_of() {
	case $1 in
	apt-get | apt-cache | apt-config) echo apt ;;
	depmod | modprobe) echo kmod ;;
	dpkg-deb) echo dpkg ;;
	flock | unshare) echo util-linux ;;
	mksquashfs | sqfstar) echo squashfs-tools ;;
	newuidmap) echo uidmap ;;
	qemu-system-x86_64) echo qemu-system-x86 ;;
	xz) echo xz-utils ;;
	*) echo "$1" ;;
	esac
}

# Dies with the one line that installs what is missing.
need_programs() {
	local program missing=()

	for program; do
		command -v "$program" >/dev/null || missing+=("$(package_of "$program")")
	done
	((${#missing[@]} == 0)) ||
		die "missing on this machine; as root: apt-get install --no-install-recommends ${missing[*]}"
}

# Runs a function under a lock of the cache: with_lock NAME FUNCTION [ARG...].
with_lock() {
	local name=$1 fd

	shift
	mkdir -p "$CACHE" || die "cannot create the cache directory $CACHE"
	while :; do
		exec {fd}>>"$CACHE/$name.lock"
		if ! flock -n "$fd"; then
			say "waiting for another run that holds $CACHE/$name.lock"
			flock "$fd"
		fi
		# Or "vm clean" has removed it meanwhile, and somebody else may have another.
		[[ ! $CACHE/$name.lock -ef /proc/self/fd/$fd ]] || break
		exec {fd}>&-
	done
	# Not followed by "|| ...": that would switch off "set -e" in there.
	"$@"
	exec {fd}>&-
}

# A fresh directory for work in progress, in WORK_DIR: on the same file system as its final place, and
# gone when a signal ends this script. The caller holds the lock.
WORK_DIR=""
new_work_dir() {
	WORK_DIR=$CACHE/tmp/$1
	remove_tree "$WORK_DIR"
	mkdir -p "$WORK_DIR"
}

end_by_signal() {
	# Somebody who asks twice would keep it from being done.
	trap '' INT TERM HUP
	[[ ! $WORK_DIR ]] || remove_tree "$WORK_DIR"
	exit "$1"
}

remove_tree() {
	[[ ! -e $1 ]] && return
	chmod -R u+w "$1" 2>/dev/null || true
	rm -rf "$1"
}

# Moves finished work into place and marks it with the key it was built from.
publish() {
	local work=$1 final=$2 key=$3

	printf '%s\n' "$key" >"$work/.key"
	remove_tree "$final"
	mkdir -p "$(dirname "$final")"
	mv "$work" "$final"
}

is_published() {
	[[ -f $1/.key && $(<"$1/.key") == "$2" ]]
}

hash_of() {
	sha256sum | cut -c1-16
}
