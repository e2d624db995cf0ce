/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subcommands share: exit codes, messages, the command line's small helpers. */
#ifndef VLOOP_H
#define VLOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes, documented in vloop(1). Scripts rely on them: never renumber. */
enum vloop_exit {
	EXIT_OK = 0,
	EXIT_FAIL = 1, /* anything without a code of its own */
	EXIT_USAGE = 2, /* the command line, or a configuration file, is wrong */
	EXIT_BACKEND = 3, /* the back-end cannot be reached, or went away */
	EXIT_MISFIT = 4, /* the back-end is of another type, or lacks what is needed */
	EXIT_MODULE = 5, /* the kernel module is not there, or too old */
	EXIT_RIGHTS = 6, /* no permission */
	EXIT_EXISTS = 7, /* the name is in use */
	EXIT_MEMORY = 8, /* pool too small, or memory limit */
	EXIT_BUSY = 9, /* the device is in use */
	EXIT_TIMEOUT = 10, /* it takes longer than allowed */
	EXIT_ABSENT = 11, /* no device of that name */
	EXIT_BROKEN = 12, /* the device broke, and not "vloop detach" removed it */
};

struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
	const char *help;
};

extern const struct subcommand cmd_attach, cmd_detach, cmd_list, cmd_show, cmd_stats, cmd_probe,
	cmd_run;

/*
 * Messages go where common/log.h sends them, and to syslog(3) once the process has put
 * itself in the background. With a name, every line begins with the device's name.
 */
void msg_setup(bool verbose);
void msg_device(const char *name);
void msg_to_syslog(void);
void msg_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void msg_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void msg_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void msg_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* now_ms() - CLOCK_MONOTONIC in milliseconds */
uint64_t now_ms(void);

/* usage_error() - print one line and a hint at "vloop SUB --help"; returns EXIT_USAGE */
int usage_error(const char *subcommand, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* option_error() - the same after getopt_long() has said what is wrong */
int option_error(const char *subcommand);

#endif
