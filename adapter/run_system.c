/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop run: the users, programs and directories of a configuration file. */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_process.h"

/* Beside the directories of the devices, whose names have no such character. */
#define LOCK_FILE "@pid"

int run_identity(const struct run_device_conf *device, struct run_identity *ret_identity,
		 struct run_error *ret_error)
{
	const struct passwd *user;
	const struct group *group;

	*ret_identity = (struct run_identity){0};
	if (!device->user.text) {
		if (device->group.text)
			return run_complain(ret_error, device->group.at,
					    "'group' needs a 'user' too");
		return 0;
	}
	user = getpwnam(device->user.text);
	if (!user)
		return run_complain(ret_error, device->user.at, "there is no user '%.60s'",
				    device->user.text);
	ret_identity->has = true;
	ret_identity->uid = user->pw_uid;
	ret_identity->gid = user->pw_gid;
	snprintf(ret_identity->name, sizeof(ret_identity->name), "%s", device->user.text);
	if (!device->group.text)
		return 0;
	group = getgrnam(device->group.text);
	if (!group)
		return run_complain(ret_error, device->group.at, "there is no group '%.60s'",
				    device->group.text);
	ret_identity->gid = group->gr_gid;
	return 0;
}

static bool is_program(const char *path)
{
	struct stat file;

	return !stat(path, &file) && S_ISREG(file.st_mode) && (file.st_mode & 0111);
}

/* As execvp(3) will look for it. */
static bool on_path(const char *program, const char *path)
{
	for (;;) {
		const size_t len = strcspn(path, ":");
		char candidate[4096];

		snprintf(candidate, sizeof(candidate), "%.*s/%s", len ? (int)len : 1,
			 len ? path : ".", program);
		if (is_program(candidate))
			return true;
		if (!path[len])
			return false;
		path += len + 1;
	}
}

static bool has_program(const struct run_device_conf *device)
{
	const char *program = device->command.list[0];
	const char *path = getenv("PATH");

	for (size_t i = 0; i < device->environment.n; i++)
		if (!strncmp(device->environment.list[i], "PATH=", 5))
			path = device->environment.list[i] + 5;
	if (!strchr(program, '/'))
		return on_path(program, path ? path : "/bin:/usr/bin");
	/* Where it is looked for then is known when it is started. */
	return (program[0] != '/' && device->working_directory.text) || is_program(program);
}

static int check_device(const struct run_device_conf *device, struct run_error *ret_error)
{
	const struct run_text *directory = &device->working_directory;
	struct run_identity identity;
	struct stat file;

	if (device->command.n && !has_program(device))
		return run_complain(ret_error, device->command_at, "there is no program '%.150s'",
				    device->command.list[0]);
	if (directory->text && (stat(directory->text, &file) || !S_ISDIR(file.st_mode)))
		return run_complain(ret_error, directory->at, "there is no directory '%.150s'",
				    directory->text);
	return run_identity(device, &identity, ret_error);
}

int run_conf_check_system(const struct run_conf *conf, struct run_error *ret_error)
{
	int ret = 0;

	for (size_t i = 0; i < conf->n && !ret; i++)
		ret = check_device(&conf->devices[i], ret_error);
	return ret;
}

/* --- the directory at run time */

/*
 * Each directory on the way that is not there yet. Back-ends of other users pass through, whatever
 * our umask(2).
 */
static int make_parents(const char *path)
{
	char *copy = strdup(path);
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash && !ret; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (!mkdir(copy, 0755))
			ret = chmod(copy, 0755) ? -errno : 0;
		else if (errno != EEXIST)
			ret = -errno;
		*slash = '/';
	}
	free(copy);
	return ret;
}

/* Others must not be able to put sockets of theirs there. */
static int open_private(const char *path, mode_t mode)
{
	const bool made = !mkdir(path, mode);
	struct stat file;
	int fd, ret = 0;

	if (!made && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &file) < 0 || (made && fchmod(fd, mode)))
		ret = -errno;
	else if (file.st_uid != geteuid() || (file.st_mode & 022))
		ret = -EPERM;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static enum vloop_exit directory_error(const char *path, int error)
{
	if (error == -EPERM) {
		msg_error("the directory '%s' belongs to another user, or others can write to it; "
			  "give one that is private (directory =, --directory)",
			  path);
		return EXIT_RIGHTS;
	}
	if (error == -EACCES || error == -EROFS) {
		msg_error("making the directory '%s': %s; run as root, or give a directory of yours "
			  "(directory =, --directory)",
			  path, strerror(-error));
		return EXIT_RIGHTS;
	}
	msg_error("making the directory '%s': %s", path, strerror(-error));
	return EXIT_FAIL;
}

static enum vloop_exit locked_by_another(int lock, const char *path, const char *file)
{
	char text[32] = "";
	ssize_t n = pread(lock, text, sizeof(text) - 1, 0);

	if (n > 0)
		text[strcspn(text, "\n")] = 0;
	msg_error("%s: another 'vloop run' (process %s) uses %s; end it first, or give another "
		  "directory (--directory)",
		  file, *text ? text : "unknown", path);
	return EXIT_EXISTS;
}

/*
 * Opened, and locked, and still the file of that name: whoever held it before removes it when
 * done. 0; -EWOULDBLOCK with *@ret_lock; -errno.
 */
static int take_lock(int directory, int *ret_lock)
{
	struct stat opened, named;

	for (;;) {
		*ret_lock = openat(directory, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				   0644);
		if (*ret_lock < 0)
			return -errno;
		if (flock(*ret_lock, LOCK_EX | LOCK_NB))
			return -errno;
		if (!fstat(*ret_lock, &opened) &&
		    !fstatat(directory, LOCK_FILE, &named, AT_SYMLINK_NOFOLLOW) &&
		    opened.st_ino == named.st_ino)
			return 0;
		close(*ret_lock);
	}
}

enum vloop_exit run_directory_take(struct run_directory *directory, const struct run_conf *conf,
				   const char *file)
{
	const char *path = conf->directory;
	enum vloop_exit result = EXIT_OK;
	int ret;

	do {
		*directory = (struct run_directory){.fd = -1, .lock = -1};
		ret = make_parents(path);
		if (!ret)
			ret = open_private(path, 0711);
		if (ret < 0)
			return directory_error(path, ret);
		directory->fd = ret;
		ret = take_lock(directory->fd, &directory->lock);
		/* Whoever had it before has removed it meanwhile. */
	} while (ret == -ENOENT && !close(directory->fd));
	if (ret == -EWOULDBLOCK)
		result = locked_by_another(directory->lock, path, file);
	else if (ret)
		result = directory_error(path, ret);
	else if (ftruncate(directory->lock, 0) || dprintf(directory->lock, "%d\n", getpid()) < 0)
		result = directory_error(path, -errno);
	if (!result)
		return EXIT_OK;
	if (directory->lock >= 0)
		close(directory->lock);
	close(directory->fd);
	return result;
}

/* What is in it belongs to the back-end's user: names only, and nothing is followed. */
static int open_device(const struct run_directory *directory, const char *name)
{
	return openat(directory->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int run_directory_device(const struct run_directory *directory,
			 const struct run_device_conf *device, const struct run_identity *identity)
{
	const uid_t uid = identity->has ? identity->uid : geteuid();
	const gid_t gid = identity->has ? identity->gid : getegid();
	int fd, ret = 0;

	if (mkdirat(directory->fd, device->name, 0700) && errno != EEXIST)
		ret = -errno;
	fd = ret ? -1 : open_device(directory, device->name);
	if (!ret && fd < 0)
		ret = -errno;
	/* It may be there from a time when the user was another. */
	if (!ret && fchown(fd, uid, gid))
		ret = -errno;
	if (!ret && unlinkat(fd, "socket", 0) && errno != ENOENT)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	if (ret)
		msg_error("%s: making the directory '%s': %s", device->name, device->directory,
			  strerror(-ret));
	return ret;
}

/* A back-end leaves sockets and the like, no trees. */
static void empty_directory(int fd)
{
	const struct dirent *entry;
	DIR *stream = fdopendir(fd);

	if (!stream) {
		close(fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		unlinkat(fd, entry->d_name, 0);
	closedir(stream);
}

void run_directory_leave(struct run_directory *directory, const struct run_conf *conf)
{
	for (size_t i = 0; i < conf->n; i++) {
		int fd = open_device(directory, conf->devices[i].name);

		if (fd < 0)
			continue;
		empty_directory(fd);
		if (unlinkat(directory->fd, conf->devices[i].name, AT_REMOVEDIR))
			msg_warn("%s: '%s' stays, since there are directories in it",
				 conf->devices[i].name, conf->devices[i].directory);
	}
	unlinkat(directory->fd, LOCK_FILE, 0);
	/* Something of somebody else's, or the directory of a service, stays. */
	if (rmdir(conf->directory))
		msg_debug("'%s' stays: %s", conf->directory, strerror(errno));
	close(directory->lock);
	close(directory->fd);
}
