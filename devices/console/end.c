/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "end.h"

#define PTS	"/dev/pts/"

static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

static int make_link(const char *target, const char *path)
{
	char old[sizeof(PTS)];

	/* One that an earlier process left behind is replaced, anything of somebody's is not. */
	if (readlink(path, old, sizeof(old)) == sizeof(old) && !memcmp(old, PTS, strlen(PTS)) &&
	    unlink(path))
		return -errno;
	return symlink(target, path) ? -errno : 0;
}

static int open_pty(struct end *end, const char **ret_problem)
{
	int fd;

	*ret_problem = "cannot make a pseudo terminal";
	end->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (end->in_fd < 0)
		return -errno;
	end->out_fd = end->in_fd;
	if (grantpt(end->in_fd) || unlockpt(end->in_fd))
		return -errno;
	if (ptsname_r(end->in_fd, end->slave, sizeof(end->slave)))
		return -ENAMETOOLONG;
	make_raw(end->in_fd);
	/* Only after a first close does poll() tell whether somebody has it open. */
	fd = open(end->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	*ret_problem = "cannot make the link to the pseudo terminal";
	return end->path[0] ? make_link(end->slave, end->path) : 0;
}

static int open_unix(struct end *end, const char **ret_problem)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int probe, r;

	*ret_problem = "cannot listen on the socket";
	memcpy(addr.sun_path, end->path, strlen(end->path) + 1);
	end->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (end->listen_fd < 0)
		return -errno;
	if (bind(end->listen_fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno != EADDRINUSE)
			goto failed;
		if (lstat(end->path, &st) || !S_ISSOCK(st.st_mode)) {
			errno = EEXIST;
			goto failed;
		}
		probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (probe < 0)
			goto failed;
		r = connect(probe, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
		close(probe);
		if (r != ECONNREFUSED) {
			errno = EADDRINUSE;
			goto failed;
		}
		/* Left behind by a process that is gone. */
		if (unlink(end->path) ||
		    bind(end->listen_fd, (struct sockaddr *)&addr, sizeof(addr)))
			goto failed;
	}
	if (!lstat(end->path, &st) && !listen(end->listen_fd, 8)) {
		end->socket_dev = st.st_dev;
		end->socket_ino = st.st_ino;
		return 0;
	}
failed:
	r = -errno;
	close(end->listen_fd);
	end->listen_fd = -1;
	return r;
}

/*
 * A file description of our own, so that O_NONBLOCK is not seen by others. Sockets have none, nor
 * may a pipe or terminal of another user be opened: these are shared, and O_NONBLOCK is taken back
 * at the end. That of a file stays, since it has the place in the file, and O_APPEND; and files
 * never make anybody wait.
 */
static int own_fd(int fd, int flags, bool *ret_shared)
{
	struct stat st;
	char path[32];
	int own, old;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0 && (errno == ENXIO || errno == EACCES)) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		old = own < 0 ? -1 : fcntl(own, F_GETFL);
		if (old >= 0 && !(old & O_NONBLOCK))
			*ret_shared = fcntl(own, F_SETFL, old | O_NONBLOCK) == 0;
	}
	return own;
}

static void give_back(int fd, bool *shared)
{
	if (*shared)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	*shared = false;
}

static int open_stdio(struct end *end, const char **ret_problem)
{
	*ret_problem = "cannot use the standard input and output";
	end->in_fd = own_fd(STDIN_FILENO, O_RDONLY, &end->in_shared);
	if (end->in_fd < 0)
		return -errno;
	end->out_fd = own_fd(STDOUT_FILENO, O_WRONLY, &end->out_shared);
	if (end->out_fd < 0)
		return -errno;
	end->connected = true;
	end->terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &end->saved);
	if (end->terminal)
		make_raw(STDIN_FILENO);
	return 0;
}

int end_open(struct end *end, const struct port_spec *spec, const char **ret_problem)
{
	int r = 0;

	*end = (struct end){ .kind = spec->kind, .in_fd = -1, .out_fd = -1, .listen_fd = -1 };
	memcpy(end->path, spec->path, sizeof(end->path));
	switch (end->kind) {
	case END_PTY:
		r = open_pty(end, ret_problem);
		break;
	case END_UNIX:
		r = open_unix(end, ret_problem);
		break;
	case END_STDIO:
		r = open_stdio(end, ret_problem);
		break;
	case END_NONE:
		break;
	}
	if (r == 0)
		end_size_changed(end);
	return r;
}

static void close_fds(struct end *end)
{
	give_back(end->out_fd, &end->out_shared);
	give_back(end->in_fd, &end->in_shared);
	if (end->out_fd >= 0 && end->out_fd != end->in_fd)
		close(end->out_fd);
	if (end->in_fd >= 0)
		close(end->in_fd);
	end->in_fd = -1;
	end->out_fd = -1;
}

void end_close(struct end *end)
{
	char target[sizeof(end->slave)];
	struct stat st;
	ssize_t len;

	close_fds(end);
	end->connected = false;
	if (end->listen_fd >= 0) {
		close(end->listen_fd);
		end->listen_fd = -1;
		/* Another program may have taken the path over. */
		if (!lstat(end->path, &st) && st.st_dev == end->socket_dev &&
		    st.st_ino == end->socket_ino)
			unlink(end->path);
	}
	if (end->kind == END_PTY && end->path[0]) {
		len = readlink(end->path, target, sizeof(target));
		if (len > 0 && (size_t)len == strlen(end->slave) &&
		    !memcmp(target, end->slave, (size_t)len))
			unlink(end->path);
	}
	if (end->terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &end->saved);
	end->kind = END_NONE;
}

static void client_came(struct end *end)
{
	end->connected = true;
	end->hup = false;
	end->eof = false;
}

int end_accept(struct end *end)
{
	int fd = accept4(end->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	end->in_fd = fd;
	end->out_fd = fd;
	client_came(end);
	return 0;
}

bool end_look(struct end *end)
{
	struct pollfd pollfd = { .fd = end->in_fd, .events = POLLIN };
	bool hup;

	/* One whose last input still waits may have a successor. */
	if ((end->connected && !end->hup) || poll(&pollfd, 1, 0) < 0)
		return false;
	hup = pollfd.revents & POLLHUP;
	/* It may also have come and gone since the last look. */
	if (hup && (end->connected || !(pollfd.revents & POLLIN)))
		return false;
	client_came(end);
	end->hup = hup;
	return true;
}

void end_hangup(struct end *end)
{
	end->connected = false;
	end->hup = false;
	end->eof = false;
	if (end->kind != END_PTY) {
		close_fds(end);
		return;
	}
	/* For the next one: no bytes and no settings of the last one. */
	tcflush(end->in_fd, TCIOFLUSH);
	make_raw(end->in_fd);
}

bool end_size_changed(struct end *end)
{
	struct winsize size;
	bool changed;
	int fd = end->kind == END_PTY ? end->in_fd : STDOUT_FILENO;

	if (end->kind == END_NONE || end->kind == END_UNIX || ioctl(fd, TIOCGWINSZ, &size))
		return false;
	changed = size.ws_col != end->cols || size.ws_row != end->rows;
	end->cols = size.ws_col;
	end->rows = size.ws_row;
	return changed;
}

ssize_t end_read(struct end *end, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(end->in_fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		end->eof = true;
	if (end->terminal && n > 0 && memchr(buf, END_ESCAPE, (size_t)n))
		end->escaped = true;
	return n;
}

ssize_t end_write(struct end *end, const struct iovec *iov, unsigned int n)
{
	ssize_t done;

	do
		done = writev(end->out_fd, iov, n < IOV_MAX ? (int)n : IOV_MAX);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}
