/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "place.h"

#define LINKS_MAX	8
/* A node is of use when it is there, and when udev has given it its owner and mode. */
#define EVENTS		(IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* Cut the last component off. */
static void parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(path, ".");
	else if (slash == path)
		path[1] = '\0';
	else
		*slash = '\0';
}

/* Watch the directory of @path, or the nearest one that is there. */
static int watch_directory(int fd, const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	do {
		parent(dir);
		if (inotify_add_watch(fd, dir, EVENTS | IN_ONLYDIR) >= 0)
			return 0;
	} while ((errno == ENOENT || errno == ENOTDIR) && strcmp(dir, "/") && strcmp(dir, "."));
	return -errno;
}

/* Where the symbolic link @path leads. Return: whether it is one. */
static int follow(char *path)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	int len;

	if (n <= 0)
		return 0;
	target[n] = '\0';
	if (target[0] == '/') {
		strcpy(path, target);
		return 1;
	}
	strcpy(dir, path);
	parent(dir);
	len = snprintf(path, PATH_MAX, "%s/%s", dir, target);
	return len > 0 && len < PATH_MAX;
}

int place_watch(const char *path)
{
	int fd, links = 0, r;
	char at[PATH_MAX];

	if (strlen(path) >= sizeof(at))
		return -ENAMETOOLONG;
	strcpy(at, path);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return -errno;
	do
		r = watch_directory(fd, at);
	while (r == 0 && links++ < LINKS_MAX && follow(at));
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
