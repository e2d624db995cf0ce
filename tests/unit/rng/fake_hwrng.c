/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vloop-rng sees when its source is a regular file: /dev/hwrng, where the hardware has nothing
 * for the moment. Neither of them can be polled.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *buf, size_t count);
ssize_t __wrap_read(int fd, void *buf, size_t count);

ssize_t __wrap_read(int fd, void *buf, size_t count)
{
	ssize_t n = __real_read(fd, buf, count);
	struct stat st;

	if (n != 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return n;
	errno = EAGAIN;
	return -1;
}
