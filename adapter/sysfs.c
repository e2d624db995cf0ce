/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sysfs.h"

#define CLASS "/sys/class/virtio-loopback"

const char *sysfs_root = "";

static int __attribute__((format(printf, 3, 0)))
read_line(char *ret_text, size_t size, const char *format, va_list args)
{
	char path[PATH_MAX];
	size_t at = (size_t)snprintf(path, sizeof(path), "%s", sysfs_root);
	ssize_t n;
	int fd;

	vsnprintf(path + at, sizeof(path) - at, format, args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_text, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	ret_text[n] = 0;
	ret_text[strcspn(ret_text, "\n")] = 0;
	return 0;
}

int sysfs_read(char *ret_text, size_t size, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = read_line(ret_text, size, format, args);
	va_end(args);
	return ret;
}

uint64_t sysfs_number(uint64_t missing, const char *format, ...)
{
	char text[SYSFS_TEXT];
	va_list args;
	int ret;

	va_start(args, format);
	ret = read_line(text, sizeof(text), format, args);
	va_end(args);
	return ret || !*text ? missing : strtoull(text, NULL, 0);
}

bool sysfs_exists(const char *name)
{
	char path[PATH_MAX];

	/* It comes from the command line: nothing outside the directory, nor the directory. */
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	snprintf(path, sizeof(path), "%s" CLASS "/%s", sysfs_root, name);
	return !access(path, F_OK);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int sysfs_names(char ***ret_names, size_t *ret_n)
{
	struct dirent **entries;
	char path[PATH_MAX];
	char **names;
	int n;

	snprintf(path, sizeof(path), "%s" CLASS, sysfs_root);
	n = scandir(path, &entries, not_hidden, versionsort);
	if (n < 0)
		return -errno;
	names = calloc((size_t)n + 1, sizeof(*names));
	for (int i = 0; i < n; i++) {
		if (names)
			names[i] = strdup(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (!names)
		return -ENOMEM;
	*ret_names = names;
	*ret_n = (size_t)n;
	return 0;
}

void sysfs_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int sysfs_virtio(const char *name, char *ret_virtio, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "%s" CLASS "/%s", sysfs_root, name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "virtio", 6) || entry->d_name[6] < '0' ||
		    entry->d_name[6] > '9' || strlen(entry->d_name) >= size)
			continue;
		memcpy(ret_virtio, entry->d_name, strlen(entry->d_name) + 1);
		ret = 0;
		break;
	}
	closedir(dir);
	return ret;
}

int sysfs_driver(const char *virtio, char *ret_driver, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/virtio/devices/%s/driver", sysfs_root, virtio);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	base = strrchr(target, '/');
	snprintf(ret_driver, size, "%s", base ? base + 1 : target);
	return 0;
}

static const char *without_dev(const char *text)
{
	return strncmp(text, "/dev/", 5) ? text : text + 5;
}

/* What is in brackets behind a device is for people. */
static bool is_device(const char *device, const char *text)
{
	const char *bare = without_dev(device);
	size_t len = strcspn(bare, " ");

	text = without_dev(text);
	return len == strlen(text) && !strncmp(bare, text, len);
}

struct search {
	const char *text;
	bool found;
};

static void compare(void *user, const char *device, const char *name)
{
	struct search *search = user;

	(void)name;
	if (is_device(device, search->text))
		search->found = true;
}

/* Whether @text is the virtio device of ours, or what its driver made of it. */
static bool is_called(const char *name, const char *text)
{
	const struct vloop_type *type =
		type_by_id((uint32_t)sysfs_number(0, CLASS "/%s/type_id", name));
	char device[SYSFS_TEXT], virtio[SYSFS_TEXT];
	struct search search = {.text = text};

	if (!type || sysfs_virtio(name, virtio, sizeof(virtio)))
		return false;
	if (!strcmp(virtio, text))
		return true;
	if (type->several)
		sysfs_each_device(type, virtio, compare, &search);
	else if (!sysfs_kernel_device(type, virtio, device, sizeof(device)))
		compare(&search, device, "");
	return search.found;
}

int sysfs_find(const char *text, char *ret_name, size_t size)
{
	const char *found = NULL;
	char **names = NULL;
	int ret = -ENOENT;
	size_t n = 0;

	if (sysfs_exists(text))
		return snprintf(ret_name, size, "%s", text) < (int)size ? 0 : -ENAMETOOLONG;
	if (sysfs_names(&names, &n))
		return -ENXIO;
	for (size_t i = 0; i < n; i++) {
		if (!is_called(names[i], text))
			continue;
		ret = found ? -ENOTUNIQ : 0;
		found = names[i];
	}
	if (!ret && snprintf(ret_name, size, "%s", found) >= (int)size)
		ret = -ENAMETOOLONG;
	sysfs_names_free(names, n);
	return ret;
}

/* No class directory means no module; that is not the same as no device. */
enum vloop_exit sysfs_no_module(void)
{
	msg_error("there is no %s" CLASS ": the kernel module is not loaded; try 'modprobe "
		  "virtio_loopback', or install it with 'make install'",
		  sysfs_root);
	return EXIT_MODULE;
}

enum vloop_exit sysfs_find_error(const char *text, int error)
{
	if (error == -ENXIO)
		return sysfs_no_module();
	if (error == -ENOTUNIQ) {
		msg_error("'%s' may be one of several devices; give a name that 'vloop list' shows",
			  text);
		return EXIT_USAGE;
	}
	msg_error("no device '%s'; 'vloop list' shows what there is", text);
	return EXIT_ABSENT;
}
