/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "program.h"

#define BASIC (BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
#define PROTOCOL (BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT64(VHOST_USER_PROTOCOL_F_CONFIG))

char console_path[128], console_tty[128], console_other[128], console_ports[128];
char console_socket_option[160], console_unix_option[160], console_ports_option[160];
static char dir[64];

int console_files_make(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vloop-con-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(console_path, sizeof(console_path), "%s/sock", dir);
	snprintf(console_socket_option, sizeof(console_socket_option), "--socket-path=%s",
		 console_path);
	snprintf(console_tty, sizeof(console_tty), "%s/tty", dir);
	snprintf(console_other, sizeof(console_other), "%s/other", dir);
	snprintf(console_unix_option, sizeof(console_unix_option), "--unix=%s", console_tty);
	snprintf(console_ports, sizeof(console_ports), "%s/ports", dir);
	snprintf(console_ports_option, sizeof(console_ports_option), "--ports=%s", console_ports);
	return 0;
}

int console_files_remove(void **state)
{
	(void)state;
	unlink(console_path);
	unlink(console_tty);
	unlink(console_other);
	unlink(console_ports);
	return rmdir(dir);
}

pid_t console_run(const char *const *args, int out)
{
	return child_run("VLOOP_CONSOLE", args, out, -1);
}

void console_read(int fd, char *ret_text, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, ret_text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	ret_text[have] = '\0';
	close(fd);
}

void console_begin(struct frontend *fe, uint64_t features, unsigned int queues)
{
	frontend_connect(fe, console_path);
	frontend_negotiate(fe, BASIC | features, PROTOCOL);
	frontend_set_memory(fe);
	for (unsigned int q = 0; q < queues; q++)
		frontend_start_queue(fe, q, 64);
}

int console_client(const char *at)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, at);
	/* It is there before the socket of the front-end, but not before the process. */
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		assert_true(errno == ENOENT || errno == ECONNREFUSED);
	return fd;
}

void console_add(struct frontend *fe, unsigned int q, uint32_t offset, uint32_t len, bool write)
{
	struct buffer buffer = {frontend_guest(q, DATA_OFFSET + offset), len, write};

	assert_true(driver_add(&fe->driver[q], &buffer, 1, false) >= 0);
	driver_publish(&fe->driver[q]);
	frontend_kick(fe, q);
}

uint32_t console_used(struct frontend *fe, unsigned int q)
{
	uint32_t id;

	return frontend_wait_used(fe, q, &id);
}

void console_send(struct frontend *fe, unsigned int q, const void *bytes, uint32_t len)
{
	memcpy(frontend_data(fe, q), bytes, len);
	console_add(fe, q, 0, len, false);
	assert_int_equal(console_used(fe, q), 0);
}

void console_expect(int fd, const void *bytes, size_t len)
{
	char buf[256];

	assert_true(len <= sizeof(buf));
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_memory_equal(buf, bytes, len);
}

void console_settle(struct frontend *fe, unsigned int q, int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char buf[4096];

	do
		console_send(fe, q, ".", 1);
	while (poll(&pfd, 1, 10) == 0);
	while (poll(&pfd, 1, 200) == 1)
		assert_true(read(fd, buf, sizeof(buf)) > 0);
}

void console_write_ports(const char *text)
{
	int fd = open(console_ports, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}
