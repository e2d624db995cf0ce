# SPDX-License-Identifier: BSD-3-Clause
#
# The front door. User space is built by meson and the module by kernel/Makefile;
# what is here only puts things in order. "make help" lists it.

PREFIX ?= /usr/local
DESTDIR ?=
PARTS ?=
KERNEL ?= 6.12

.DEFAULT_GOAL := help
.PHONY: help build demo check check-long check-debug bench install uninstall shell clean

help: ## this list
	@echo 'virtio-loopback: vhost-user processes as devices of the local kernel'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PREFIX=$(PREFIX) and DESTDIR= are for install, KERNEL=$(KERNEL) is for shell.'
	@echo '  PARTS="unit lint" are for check and check-long: only these parts of it.'
	@echo '  VLOOP_CACHE=DIR is where virtual machine images are kept.'

demo: ## a stock vhost-user disk becomes a local /dev/vda, in a virtual machine
	@scripts/packages build vm
	@demo/demo.sh

check: ## all tests that fit into half an hour or so
	@scripts/packages build check vm
	@scripts/check.sh quick $(PARTS)

check-long: ## every test, some hours
	@scripts/packages build check vm
	@scripts/check.sh long $(PARTS)

check-debug: ## all system tests, KUnit, failing allocations in a debug kernel, built first
	@scripts/packages build check vm
	@scripts/check.sh debug

bench: ## measure, in a virtual machine, against the alternatives
	@scripts/packages build vm
	@scripts/build.sh
	@bench/run

build: ## user space only, into build/
	@scripts/packages build
	@scripts/build.sh

install uninstall: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install: ## module (DKMS), tools, library, man pages, udev rule, systemd unit: on this machine
	@scripts/install.sh

uninstall: ## take away what install put there
	@scripts/uninstall.sh

shell: ## a root shell in the virtual machine, with the module and the tools
	@scripts/packages build vm
	@scripts/build.sh
	@tests/vm/vm shell --module --kernel $(KERNEL)

clean: ## remove what was built here (images: tests/vm/vm clean)
	rm -rf build build-asan build-clang build-install results
