/* SPDX-License-Identifier: BSD-3-Clause */
/* What the user says of a port: options of the command line and lines of a file. */
#ifndef CONSOLE_SPEC_H
#define CONSOLE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

enum end_kind { END_NONE, END_PTY, END_UNIX, END_STDIO };

#define SPEC_PATH	108U	/* as sun_path, with its end */

/**
 * struct port_spec - a port
 * @name: as the driver shows it; "" for the one console that has none
 * @kind: what is at its other end
 * @path: END_UNIX: the socket; END_PTY: a symbolic link to make, or ""
 * @console: a terminal of the system and not a channel for programs
 */
struct port_spec {
	char name[MESSAGE_NAME + 1];
	enum end_kind kind;
	char path[SPEC_PATH];
	bool console;
};

/**
 * spec_parse() - read "name=NAME,pty[,link=PATH]|unix=PATH|stdio[,console]"
 * @ret_problem: why not; a constant string
 *
 * Return: 0 or -EINVAL.
 */
int spec_parse(const char *text, struct port_spec *ret, const char **ret_problem);

/**
 * spec_check() - look at the ports as a whole
 *
 * Return: 0, or -EINVAL: two have one name or one path, or use the standard input.
 */
int spec_check(const struct port_spec *specs, unsigned int n, const char **ret_problem);

/**
 * spec_read_file() - read ports from a file, one in a line; empty lines and "#" comments are skipped
 * @specs: room for @max
 * @ret_n: how many there are
 * @ret_line: where a problem is, 0: the file cannot be read
 *
 * Return: 0 or a negative errno with @ret_problem.
 */
int spec_read_file(const char *path, struct port_spec *specs, unsigned int max, unsigned int *ret_n,
		   unsigned int *ret_line, const char **ret_problem);

#endif
