/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop attach. The parts, in the order in which a device lives through them:
 *
 *   attach.c         command line
 *   attach_create.c  learn from the back-end, make the kernel device
 *   attach_run.c     event loop: kernel events, signals, the end
 *   attach_link.c    the connection: sessions, its loss, the next back-end
 *   attach_ready.c   the driver's device has appeared: say so, confine, go to background
 */
#ifndef VLOOP_ATTACH_H
#define VLOOP_ATTACH_H

#include "backend.h"
#include "config.h"
#include "kdev.h"
#include "session.h"
#include "types.h"
#include "vloop.h"

enum disconnect_policy { ON_DISCONNECT_WAIT, ON_DISCONNECT_FAIL, ON_DISCONNECT_REMOVE };

/* What the command line says; 0 and NULL: not said. */
struct attach_options {
	const struct vloop_type *type;
	const char *socket;
	int fd;
	const char *name;
	uint32_t queues;
	uint32_t queue_size;
	uint64_t pool;
	enum disconnect_policy policy;
	bool read_only;
	bool hugepages;
	bool background;
	bool call_eventfd;
	bool kick_eventfd;
	bool no_event_idx;
	bool no_indirect;
	bool no_sandbox;
	bool trusted;
	bool force;
	bool json;
	bool verbose;
	int timeout_ms;
	int device_timeout_ms;
	int wait_socket_ms;
	struct config_wishes config;
};

/* Fields that drivers write and that a successor has to be told again; input has two. */
#define WRITES_MAX 4

struct config_write {
	uint32_t offset;
	uint32_t len;
	uint8_t data[8];
};

/*
 * @writes: what drivers last wrote to the config space
 * @features: given to VLB_IOC_CREATE: what every later back-end has to offer until a driver
 *	has chosen among them
 * @driver_features: what the driver accepted, while @driver_ok
 * @kick_file: the module makes the kick descriptors
 * @linked: there is a negotiated connection, since @linked_at
 * @started: the kernel has a session that VLB_IOC_START accepted
 * @reconnect_at, @reconnect_delay_ms: the next try, when not @linked, and the delay after it
 * @loss_delay_ms: the delay after the next loss, if that comes soon
 * @complaint: last problem that was reported, so that a problem that stays is reported once
 * @result_fd: where the waiting parent of a background process reads; -1 in the foreground
 */
struct attach {
	const struct attach_options *options;
	const struct vloop_type *type;
	struct kdev kdev;
	struct backend backend;
	struct session session;
	struct config_space config;
	struct config_write writes[WRITES_MAX];
	uint32_t nwrites;
	char name[VLB_NAME_MAX];
	uint32_t nqueues;
	uint64_t pool_len;
	uint64_t features;
	uint64_t driver_features;
	uint32_t epoch;
	int signal_fd;
	int result_fd;
	bool kick_file;
	bool linked;
	bool started;
	bool driver_ok;
	bool registered;
	bool announced;
	bool removing;
	bool detached;
	bool removed;
	bool in_use_warned;
	uint64_t linked_at;
	uint64_t reconnect_at;
	unsigned int reconnect_delay_ms;
	unsigned int loss_delay_ms;
	uint64_t appear_deadline;
	char complaint[sizeof(((struct backend *)0)->problem)];
	enum vloop_exit result;
};

/* attach_create.c */
enum vloop_exit attach_learn(struct attach *attach);
enum vloop_exit attach_create(struct attach *attach);
enum vloop_exit attach_name_taken(const char *name);
const char *attach_source(const struct attach *attach);

/*
 * attach_fetch_config() - the back-end's config space as the driver is to see it. 0, or an
 * error with backend.problem set.
 */
int attach_fetch_config(struct attach *attach, struct config_space *ret_config);

/* attach_run.c: returns when the device is gone */
enum vloop_exit attach_run(struct attach *attach);

/* attach_fail() - something on this side does not work: fail requests and remove the device */
void attach_fail(struct attach *attach, enum vloop_exit result);

/* attach_link.c; link_up(): negotiation is over */
void link_up(struct attach *attach);
void link_start_session(struct attach *attach);
void link_reset(struct attach *attach);
void link_lost(struct attach *attach, const char *reason);
void link_reconnect(struct attach *attach);
void link_config_changed(struct attach *attach);
void link_config_write(struct attach *attach, const struct vlb_event *event);

/* attach_ready.c */
void ready_check(struct attach *attach);

/*
 * supervise.c: the process's surroundings. supervise_fork() returns in the child with the
 * descriptor for supervise_report(); the parent never returns from it.
 */
int supervise_fork(int *ret_result_fd);
void supervise_report(int result_fd, const char *line);
void supervise_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * supervise_move_fd() - for a standard stream, which is /dev/null from then on, another number; @fd
 * itself where it is none. -errno
 */
int supervise_move_fd(int fd);

/*
 * sandbox.c: confine the process to what serving and reconnecting need. 0, or -errno and what was
 * tried.
 */
int sandbox_enter(const char **ret_step);

#endif
