/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop run: one process that it started, and the world that it needs: users, directories.
 */
#ifndef VLOOP_RUN_PROCESS_H
#define VLOOP_RUN_PROCESS_H

#include <sys/types.h>

#include "run_conf.h"
#include "run_state.h"

/*
 * run_conf_check_system() - are the programs, users and directories there that the file names?
 * 0, or -EINVAL with the error filled in.
 */
int run_conf_check_system(const struct run_conf *conf, struct run_error *ret_error);

/* @has: of a device with a user; otherwise everything stays as it is */
struct run_identity {
	bool has;
	uid_t uid;
	gid_t gid;
	char name[256];
};

/* run_identity() - of a device's back-end. 0, or -EINVAL with the error filled in. */
int run_identity(const struct run_device_conf *device, struct run_identity *ret_identity,
		 struct run_error *ret_error);

#define RUN_LINE_MAX 1024

/*
 * @pid: 0: there is none; also the number of its process group
 * @fd: its output; -1
 */
struct run_process {
	pid_t pid;
	int fd;
	char line[RUN_LINE_MAX];
	size_t len;
};

/*
 * @environment: additions, NAME=VALUE; NULL
 * @own_stderr: standard error is ours; otherwise its output has both
 */
struct run_plan {
	char *const *argv;
	char *const *environment;
	const char *working_directory;
	const struct run_identity *identity;
	bool own_stderr;
};

void run_process_init(struct run_process *process);

/*
 * run_process_start() - returns when the program runs, in a process group of its own. It ends
 * when we do. 0 or -errno; what did not work has been reported with @name in front.
 */
int run_process_start(struct run_process *process, const struct run_plan *plan, const char *name);

/* run_process_signal() - to the whole group */
void run_process_signal(const struct run_process *process, int signal);

/*
 * run_process_read() - take what it has written, at most a pipe's worth; each line goes to
 * @take, without its end. Closes @fd at the end of the output.
 */
void run_process_read(struct run_process *process, void (*take)(void *context, const char *line),
		      void *context);

/*
 * run_process_ended() - has it? What is left of its group is killed then. Its output can still
 * be read, until run_process_close().
 */
bool run_process_ended(struct run_process *process, struct run_end *ret_end);
void run_process_close(struct run_process *process);

/*
 * The directory of a file at run time. run_directory_take() makes it and locks it for this
 * process: EXIT_OK, or another after a message. run_directory_device() makes the one of a
 * device for its user and removes an old socket: 0 or -errno after a message.
 * run_directory_leave() removes them.
 */
struct run_directory {
	int fd;
	int lock;
};

enum vloop_exit run_directory_take(struct run_directory *directory, const struct run_conf *conf,
				   const char *file);
int run_directory_device(const struct run_directory *directory,
			 const struct run_device_conf *device, const struct run_identity *identity);
void run_directory_leave(struct run_directory *directory, const struct run_conf *conf);

#endif
