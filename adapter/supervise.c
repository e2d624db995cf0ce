/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's surroundings: the supervisor that waits for readiness, or the shell that
 * waits for the device of a process in the background.
 *
 * The notification protocol is implemented here, as sd_notify(3) invites to do: libsystemd
 * would bring 3.5 MB of pages into a process whose memory is locked (measured: 5.9 MB
 * resident with it, 2.3 MB without).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"

void supervise_notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len;
	char text[512];
	va_list args;
	int fd, n;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = 0;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	/* A supervisor that does not listen is its own problem; never wait for it. */
	if (sendto(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
		   len) < 0)
		msg_debug("notifying %s: %s", path, strerror(errno));
	close(fd);
}

int supervise_move_fd(int fd)
{
	int moved, null, ret;

	if (fd > STDERR_FILENO)
		return fd;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	ret = moved < 0 || dup2(null, fd) < 0 ? -errno : moved;
	close(null);
	return ret;
}

/* The device is there in any case. */
static int finish_report(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	msg_warn("the device is up, but its name could not be written to the standard output: %s",
		 strerror(errno));
	return EXIT_FAIL;
}

/* The parent ends as its child says: with the device on stdout, or with the child's exit code. */
static void __attribute__((noreturn)) wait_for_child(pid_t child, int fd)
{
	char text[1024];
	size_t len = 0;
	ssize_t n;
	int status;

	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) != 0) {
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	if (len) {
		fwrite(text, 1, len, stdout);
		_exit(finish_report());
	}
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	msg_error("the background process ended before the device was up");
	_exit(EXIT_FAIL);
}

int supervise_fork(int *ret_result_fd)
{
	const pid_t parent = getpid();
	int fds[2];
	pid_t child;

	/* When nobody reads its output, the one that waits says so and ends with its own status. */
	signal(SIGPIPE, SIG_IGN);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int error = -errno;

		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (child) {
		close(fds[1]);
		wait_for_child(child, fds[0]);
	}
	close(fds[0]);
	setsid();
	/* Who interrupts the one that waits does not want the device any more. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAIL);
	*ret_result_fd = fds[1];
	return 0;
}

/* In the background, standard streams end here: the shell that started us goes its own way. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/"))
		msg_debug("chdir /: %s", strerror(errno));
	msg_to_syslog();
	if (null < 0)
		return;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
}

void supervise_report(int result_fd, const char *line)
{
	if (result_fd < 0) {
		signal(SIGPIPE, SIG_IGN);
		printf("%s\n", line);
		finish_report();
		return;
	}
	leave_terminal();
	prctl(PR_SET_PDEATHSIG, 0);
	/* The last moment at which nobody may be there to take it. */
	if (dprintf(result_fd, "%s\n", line) < 0)
		raise(SIGTERM);
}
