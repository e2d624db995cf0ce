/* SPDX-License-Identifier: BSD-3-Clause */
/* What a configuration file of vloop run says, vloop.conf(5). */
#ifndef VLOOP_RUN_CONF_H
#define VLOOP_RUN_CONF_H

#include "attach.h"
#include "run_lex.h"

#define RUN_FILE_MAX (1u << 20) /* bytes */
#define RUN_DEVICES_MAX 256
#define RUN_NO_LIMIT UINT32_MAX

enum run_restart { RUN_RESTART_ALWAYS, RUN_RESTART_ON_FAILURE, RUN_RESTART_NEVER };

/* @limit: starts after the first one, without success in between */
struct run_policy {
	enum run_restart when;
	uint32_t delay_ms;
	uint32_t delay_max_ms;
	uint32_t limit;
};

/* Ends with NULL; @list itself is NULL while there is nothing. */
struct run_list {
	char **list;
	size_t n;
};

/* A setting that is complained about later, when the system is looked at. */
struct run_text {
	struct run_at at;
	char *text;
};

/*
 * @args: what goes on to vloop attach, as "--queues=4"; @attach is the same, understood
 * @command: of the back-end; NULL list: somebody else runs it
 * @directory: for this device alone, below that of the file
 * @socket: given, or @directory's
 */
struct run_device_conf {
	struct run_at at;
	char *name;
	struct attach_options attach;
	struct run_list args;
	struct run_list command;
	struct run_at command_at;
	struct run_list environment;
	struct run_text user;
	struct run_text group;
	struct run_text working_directory;
	struct run_text socket;
	char *directory;
	struct run_policy restart;
	uint32_t stop_timeout_ms;
};

struct run_conf {
	char *directory;
	struct run_device_conf *devices;
	size_t n;
};

/*
 * run_conf_parse() - @directory: used whatever the file says; @default_directory: used when
 * neither says one. 0; -EINVAL, with the error filled in; -ENOMEM. run_conf_free() is right
 * after each of them.
 */
int run_conf_parse(const char *text, size_t len, const char *directory,
		   const char *default_directory, struct run_conf *ret_conf,
		   struct run_error *ret_error);
void run_conf_free(struct run_conf *conf);

#endif
