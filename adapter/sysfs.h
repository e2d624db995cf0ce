/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel shows of our devices, and where their drivers' own devices appear. */
#ifndef VLOOP_SYSFS_H
#define VLOOP_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"
#include "vloop.h"

#define SYSFS_TEXT 128

/* The root below which everything is looked up; "" but in tests. */
extern const char *sysfs_root;

/*
 * sysfs_read() - first line of a file given as a printf format, below the root.
 * sysfs_number() - a file with one number, decimal or 0x; @missing when it is not there.
 */
int sysfs_read(char *ret_text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t sysfs_number(uint64_t missing, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* sysfs_exists() - is there a device @name? */
bool sysfs_exists(const char *name);

/* sysfs_names() - names of all devices, sorted. Free the array and each of its members. */
int sysfs_names(char ***ret_names, size_t *ret_n);
void sysfs_names_free(char **names, size_t n);

/* sysfs_virtio() - "virtio3" of device @name; -ENOENT before it is registered */
int sysfs_virtio(const char *name, char *ret_virtio, size_t size);

/* sysfs_driver() - driver bound to @virtio; -ENOENT: none */
int sysfs_driver(const char *virtio, char *ret_driver, size_t size);

/*
 * sysfs_kernel_device() - what the driver made of @virtio, as a person would name it:
 * "/dev/vda", "card1", "can0". -ENOENT: not there (yet).
 */
int sysfs_kernel_device(const struct vloop_type *type, const char *virtio, char *ret_device,
			size_t size);

/*
 * sysfs_each_device() - call @fn with each of them, and its own name, "" where it has none; for
 * types that can have several
 */
void sysfs_each_device(const struct vloop_type *type, const char *virtio,
		       void (*fn)(void *user, const char *device, const char *name), void *user);

/*
 * sysfs_find() - the device whose name is @text, or whose kernel device is @text, with or
 * without "/dev/". 0, -ENOENT, -ENAMETOOLONG, -ENOTUNIQ: that is so of several, which share
 * /dev/hwrng, or -ENXIO: there is no module.
 */
int sysfs_find(const char *text, char *ret_name, size_t size);

/* Say that there is no module, or what sysfs_find() meant. Return: the exit code for it. */
enum vloop_exit sysfs_no_module(void);
enum vloop_exit sysfs_find_error(const char *text, int error);

/*
 * sysfs_in_use() - who uses the block device that @virtio became: a mount, swap or a
 * device on top of it, as seen from here. Never opens the device: it might be one that
 * this very process has to serve.
 */
bool sysfs_in_use(const struct vloop_type *type, const char *virtio, char *ret_user, size_t size);

#endif
