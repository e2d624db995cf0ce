/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a virtio device shows up once its driver has bound, and who uses it there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

#define BUS "/sys/bus/virtio/devices"
#define PORTS "/sys/kernel/debug/virtio-ports"
#define TERMINALS 16 /* MAX_NR_HVC_CONSOLES of drivers/tty/hvc */

static int find_pattern(const struct vloop_type *type, const char *virtio, char *ret_device,
			size_t size)
{
	int ret = -ENOENT;

	for (size_t i = 0; i < 2 && type->where[i] && ret; i++) {
		char pattern[PATH_MAX];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s" BUS "/%s/%s", sysfs_root, virtio,
			 type->where[i]);
		if (glob(pattern, 0, NULL, &found))
			continue;
		snprintf(ret_device, size, "%s%s", type->dev_prefix,
			 strrchr(found.gl_pathv[0], '/') + 1);
		globfree(&found);
		ret = 0;
	}
	return ret;
}

/*
 * The hwrng core numbers its virtio sources itself and does not say which virtio device is
 * which: with one of them there is no doubt, with several only the node is certain.
 */
static int find_rng(char *ret_device, size_t size)
{
	char available[512];
	char *word, *state = NULL;
	char first[64] = "";
	int n = 0;

	if (sysfs_read(available, sizeof(available), "/sys/class/misc/hw_random/rng_available"))
		return -ENOENT;
	for (word = strtok_r(available, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		if (strncmp(word, "virtio_rng", 10))
			continue;
		if (!n++)
			snprintf(first, sizeof(first), "%s", word);
	}
	if (!n)
		return -ENOENT;
	if (n == 1)
		snprintf(ret_device, size, "/dev/hwrng (%s)", first);
	else
		snprintf(ret_device, size, "/dev/hwrng");
	return 0;
}

/*
 * A port's file in debugfs comes last. Before, the port's node cannot be opened yet, and a console
 * has no terminal. Who cannot look there takes it for complete.
 */
static bool port_is_complete(const char *device)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" PORTS, sysfs_root);
	if (access(path, X_OK))
		return true;
	snprintf(path, sizeof(path), "%s" PORTS "/%s", sysfs_root, strrchr(device, '/') + 1);
	return !access(path, F_OK);
}

/* The driver's own number of a console, from 1; 0: the port is none, or debugfs cannot be read. */
static int console_number(const char *path)
{
	char line[SYSFS_TEXT];
	bool console = false;
	int number = 0;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "is_console: yes", 15))
			console = true;
		if (sscanf(line, "console_vtermno: %d", &number) == 1)
			break;
	}
	fclose(file);
	return console ? number : 0;
}

static bool terminal_exists(int index)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/dev/hvc%d", sysfs_root, index);
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* The one terminal that exists, or -1. */
static int only_terminal(void)
{
	int found = -1;

	for (int i = 0; i < TERMINALS; i++) {
		if (!terminal_exists(i))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

/*
 * No file says which terminal belongs to a port. hvc gives a console the lowest index that is free,
 * and so do newer drivers with their numbers, from 1. Linux 6.1's counts on: there index and number go
 * together only as long as no console was removed before a later one came. They do if no number is
 * missing, or if the terminal of the highest number exists: it got its index when all lower ones were
 * taken. Where it is not certain, the port's name stands.
 */
static void prefer_hvc(char *device, size_t size)
{
	char path[PATH_MAX];
	int own, most = 0, n = 0, index;
	glob_t found;

	snprintf(path, sizeof(path), "%s" PORTS "/%s", sysfs_root, strrchr(device, '/') + 1);
	own = console_number(path);
	snprintf(path, sizeof(path), "%s" PORTS "/*", sysfs_root);
	if (!own || glob(path, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int number = console_number(found.gl_pathv[i]);

		n += !!number;
		most = number > most ? number : most;
	}
	globfree(&found);
	if (n == most || terminal_exists(most - 1))
		index = own - 1;
	else
		index = n == 1 ? only_terminal() : -1;
	if (index >= 0)
		snprintf(device, size, "/dev/hvc%d", index);
}

int sysfs_kernel_device(const struct vloop_type *type, const char *virtio, char *ret_device,
			size_t size)
{
	char driver[SYSFS_TEXT];
	int ret;

	if (type->where[0]) {
		ret = find_pattern(type, virtio, ret_device, size);
		if (ret || type->id != 3)
			return ret;
		if (!port_is_complete(ret_device))
			return -ENOENT;
		prefer_hvc(ret_device, size);
		return 0;
	}
	if (sysfs_driver(virtio, driver, sizeof(driver)))
		return -ENOENT;
	switch (type->id) {
	case 4:
		return find_rng(ret_device, size);
	case 19:
		snprintf(ret_device, size, "/dev/vsock");
		return 0;
	default:
		snprintf(ret_device, size, "%s", virtio);
		return 0;
	}
}

void sysfs_each_device(const struct vloop_type *type, const char *virtio,
		       void (*fn)(void *user, const char *device, const char *name), void *user)
{
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s" BUS "/%s/%s", sysfs_root, virtio, type->where[0]);
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		char device[SYSFS_TEXT], name[SYSFS_TEXT];

		snprintf(device, sizeof(device), "%s%s", type->dev_prefix, strrchr(path, '/') + 1);
		if (type->id == 3)
			prefer_hvc(device, sizeof(device));
		if (sysfs_read(name, sizeof(name), "%s/name", path + strlen(sysfs_root)))
			name[0] = 0;
		/* From a peer: nothing that would move a terminal's cursor. */
		for (char *at = name; *at; at++)
			if (*at < ' ' || *at > '~')
				*at = '?';
		fn(user, device, name);
	}
	globfree(&found);
}

static bool is_node(const char *path, const char *disk)
{
	return !strncmp(path, "/dev/", 5) && !strcmp(path + 5, disk);
}

/* proc_pid_mountinfo(5): the source is behind the optional fields, a hyphen and the type. */
static bool has_source(const char *line, const char *disk)
{
	const char *hyphen = strstr(line, " - ");
	char source[1024];

	return hyphen && sscanf(hyphen, " - %*s %1023s", source) == 1 && is_node(source, disk);
}

/*
 * A mount of the disk or of a partition, by major:minor: names can be anything. But a file system
 * that can have several disks, such as btrfs, has a number of its own, with major 0.
 */
static bool is_mounted(const char *number, const char *disk, char *ret_user, size_t size)
{
	char path[PATH_MAX], line[4096], dev[32], where[1024];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", sysfs_root);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*d %*d %31s %*s %1023s", dev, where) != 2)
			continue;
		if (strcmp(dev, number) && (strncmp(dev, "0:", 2) || !has_source(line, disk)))
			continue;
		snprintf(ret_user, size, "mounted on %s", where);
		found = true;
	}
	fclose(file);
	return found;
}

static bool is_swap(const char *disk, char *ret_user, size_t size)
{
	char path[PATH_MAX], line[4096], file_name[1024];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/swaps", sysfs_root);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%1023s", file_name) != 1 || !is_node(file_name, disk))
			continue;
		snprintf(ret_user, size, "in use as swap");
		found = true;
	}
	fclose(file);
	return found;
}

static bool has_holder(const char *directory, char *ret_user, size_t size)
{
	char path[PATH_MAX];
	glob_t found;

	snprintf(path, sizeof(path), "%s/holders/*", directory);
	if (glob(path, 0, NULL, &found))
		return false;
	snprintf(ret_user, size, "in use by %s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return true;
}

/* @directory: of a disk or of one of its partitions, in sysfs, with the root in front */
static bool block_in_use(const char *directory, char *ret_user, size_t size)
{
	const char *disk = strrchr(directory, '/') + 1;
	char number[32];

	if (sysfs_read(number, sizeof(number), "%s/dev", directory + strlen(sysfs_root)))
		return false;
	return is_mounted(number, disk, ret_user, size) || is_swap(disk, ret_user, size) ||
	       has_holder(directory, ret_user, size);
}

bool sysfs_in_use(const struct vloop_type *type, const char *virtio, char *ret_user, size_t size)
{
	static const char *const levels[] = {"block/*", "block/*/*[0-9]"};
	bool used = false;

	if (type->id != 2)
		return false;
	for (size_t level = 0; level < 2 && !used; level++) {
		char pattern[PATH_MAX];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s" BUS "/%s/%s", sysfs_root, virtio,
			 levels[level]);
		if (glob(pattern, 0, NULL, &found))
			continue;
		for (size_t i = 0; i < found.gl_pathc && !used; i++)
			used = block_in_use(found.gl_pathv[i], ret_user, size);
		globfree(&found);
	}
	return used;
}
