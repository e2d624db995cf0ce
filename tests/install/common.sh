# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tests of what is installed share; to be sourced.

man_pages() {
	printf '%s\n' 1/vloop 1/vloop-attach 1/vloop-rng 1/vloop-blk 1/vloop-null 1/vloop-input \
		1/vloop-console 4/virtio-loopback 3/libvloop 1/vloop-run 5/vloop.conf
}

# in_tree ARGUMENT...: make, as by hand, whatever this run was started with.
in_tree() {
	# shellcheck disable=SC2154 # tree: of who sources this
	env -u MAKEFLAGS -u MAKEOVERRIDES -u DESTDIR make -C "$tree" PREFIX=/usr/local "$@"
}
