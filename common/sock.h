/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unix stream sockets.
 */
#ifndef COMMON_SOCK_H
#define COMMON_SOCK_H

#include <stdbool.h>

/*
 * Listen on @path. A socket that is there is replaced when nobody listens on it any more.
 *
 * Return: a descriptor (close-on-exec, non-blocking); -EADDRINUSE (somebody listens there); -EEXIST (something
 * that is not a socket is there); -ENAMETOOLONG; errors of socket(2), bind(2), listen(2).
 */
int vl_sock_listen(const char *path, int backlog);

/*
 * Connect to @path, without waiting for a listener that does not take connections.
 *
 * Return: a descriptor (close-on-exec, blocking); -ENOENT; -ECONNREFUSED (nobody listens); -EAGAIN (the
 * listener's backlog is full); -ENAMETOOLONG; other errors of socket(2) and connect(2).
 */
int vl_sock_connect(const char *path);

/*
 * Whether @fd is a Unix stream socket, and one that listens.
 *
 * Return: 0; -ENOTSOCK; -EPROTOTYPE (another kind of socket); -EBADF.
 */
int vl_sock_kind(int fd, bool *ret_listening);

#endif
