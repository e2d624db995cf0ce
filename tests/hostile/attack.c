/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attack NAME: one sequence of calls that would bring down a module which is written without it in
 * mind. Exit status 0: the module stood it. That the kernel did not complain is for the caller to
 * see.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

atomic_bool over;

static struct virtio_blk_config disk = {.capacity = 2048};

int create(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
	   const void *config, uint32_t config_len, uint32_t timeout_ms, uint64_t *ret_pool_len)
{
	struct vlb_create c = {
		.type = type,
		.features = features | VERSION_1,
		.nqueues = nqueues,
		.queue_size = 16,
		.driver_queue_size = VLB_DRIVER_QUEUE_SIZE_MIN,
		.timeout_ms = timeout_ms,
		.config = (uintptr_t)config,
		.config_len = config_len,
	};

	snprintf((char *)c.name, sizeof(c.name), "%s", name);
	return ctl_create(fd, &c, ret_pool_len);
}

static int create_disk(int fd, const char *name, uint32_t timeout_ms)
{
	uint64_t pool_len;

	return create(fd, VIRTIO_ID_BLOCK, name, 1, 0, &disk, sizeof(disk), timeout_ms, &pool_len);
}

int failed(const char *what, int error)
{
	fprintf(stderr, "attack: %s: %s\n", what, strerror(-error));
	return 1;
}

int bury(int fd)
{
	struct vlb_event event;
	int r = ctl_remove(fd);

	if (r && r != -ENODEV)
		return r;
	return ctl_event(fd, VLB_EVENT_REMOVED, LONG_MS, &event);
}

int start_unserved(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
		   const void *config, uint32_t config_len, struct vlb_status *ret_status)
{
	struct vlb_event event;
	uint64_t pool_len;
	int r;

	r = create(fd, type, name, nqueues, features, config, config_len, 3000, &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (!r)
		r = ctl_stop(fd, VLB_STOP_FAIL);
	if (!r)
		r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
	return r ? r : ctl_status(fd, ret_status);
}

int start_served(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
		 const void *config, uint32_t config_len, struct ctl_session *session)
{
	struct vlb_event event = {0};
	uint64_t pool_len;
	int r;

	r = create(fd, type, name, nqueues, features, config, config_len, 3000, &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (!r)
		r = ctl_event(fd, VLB_EVENT_DRIVER_OK, LONG_MS, &event);
	if (!r)
		r = ctl_session(fd, event.epoch, nqueues, pool_len, 0, session);
	if (!r)
		r = ctl_start(fd, event.epoch);
	return r;
}

/* What the status call says of a device that is gone must not come from freed memory. */
static int status_removed(void)
{
	for (int i = 0; i < 50; i++) {
		struct vlb_status status;
		struct vlb_event event;
		int fd = ctl_open(), r;

		r = fd < 0 ? fd : create_disk(fd, "gone", 1000);
		if (!r)
			r = ctl_simple(fd, VLB_IOC_REGISTER);
		if (!r)
			r = ctl_stop(fd, VLB_STOP_FAIL);
		if (!r)
			r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
		if (!r)
			r = bury(fd);
		if (r)
			return failed("making and removing a disk", r);
		/* The memory finds another user meanwhile, or is poisoned. */
		usleep(10000);
		r = ctl_status(fd, &status);
		if (!r && status.out_virtio[0] && strncmp((char *)status.out_virtio, "virtio", 6)) {
			fprintf(stderr, "attack: a removed device is called '%.32s'\n",
				status.out_virtio);
			return 1;
		}
		close(fd);
	}
	return 0;
}

static void *detacher(void *arg)
{
	int fd = ctl_open();

	while (!over)
		ctl_detach(fd, arg, 0, VLB_DETACH_FORCE);
	close(fd);
	return NULL;
}

/* Somebody else removes the device while it is being made. */
static int create_detach(void)
{
	char name[] = "race";
	pthread_t threads[2];
	int made = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, detacher, name);
	for (int i = 0; i < 3000; i++) {
		int fd = ctl_open();

		made += create_disk(fd, name, 1000) == 0;
		close(fd);
	}
	over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	fprintf(stderr, "attack: %d devices were made\n", made);
	return made == 0;
}

/* Kernel threads of devices, by their name. */
static int count_threads(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (proc && (entry = readdir(proc))) {
		char path[300], comm[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file))
			n += !strncmp(comm, "vlb-keep", 8);
		fclose(file);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* Devices that are gone are not counted against any limit, so they must cost next to nothing. */
static int removed_threads(void)
{
	int n;

	for (int i = 0; i < 100; i++) {
		char name[VLB_NAME_MAX];
		int fd = ctl_open(), r;

		snprintf(name, sizeof(name), "keep%d", i);
		r = create_disk(fd, name, 1000);
		if (!r)
			r = bury(fd);
		if (r)
			return failed("making and removing a disk", r);
	}
	n = count_threads();
	fprintf(stderr, "attack: 100 devices were removed, %d kernel threads are left\n", n);
	return n > 1;
}

static void *storm(void *arg)
{
	const int fd = *(int *)arg;
	uint64_t one = 1;

	while (!over && write(fd, &one, sizeof(one)) == sizeof(one))
		;
	return NULL;
}

/* A call descriptor that is written all the time must not keep a session from being stopped. */
static int call_storm(void)
{
	static struct ctl_session session;
	pthread_t threads[8];
	struct vlb_event event;
	int fd = ctl_open(), call, r;
	uint64_t pool_len;

	r = create(fd, VIRTIO_ID_BLOCK, "storm", 1, 0, &disk, sizeof(disk), 5000, &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (!r)
		r = ctl_event(fd, VLB_EVENT_DRIVER_OK, LONG_MS, &event);
	if (r)
		return failed("making a disk", r);
	r = ctl_session(fd, event.epoch, 1, pool_len, 0, &session);
	if (!r)
		r = ctl_start(fd, event.epoch);
	if (r)
		return failed("starting a session", r);
	call = (int)session.queue[0].out_call;
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, storm, &call);
	/* The writers of one session write to the next one's queue as well. */
	for (int i = 0; i < 20; i++) {
		struct timespec from, to;

		clock_gettime(CLOCK_MONOTONIC, &from);
		r = ctl_stop(fd, 0);
		clock_gettime(CLOCK_MONOTONIC, &to);
		if (r)
			return failed("stopping", r);
		if (to.tv_sec - from.tv_sec > LONG_MS / 1000)
			return failed("stopping", -ETIMEDOUT);
		/* The same number, for the threads. */
		close(call);
		r = ctl_session(fd, event.epoch, 1, pool_len, 0, &session);
		if (!r && (int)session.queue[0].out_call != call) {
			dup2((int)session.queue[0].out_call, call);
			close((int)session.queue[0].out_call);
		}
		if (!r)
			r = ctl_start(fd, event.epoch);
		if (r)
			return failed("starting again", r);
	}
	r = bury(fd);
	over = true;
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	return r ? failed("removing", r) : 0;
}

/* Partition scans of many disks that nobody serves, and all of them to be removed at once. */
static int many_silent(void)
{
	enum { MANY = 300 };
	static int fds[MANY];
	struct vlb_event event;
	int r;

	for (int i = 0; i < MANY; i++) {
		char name[VLB_NAME_MAX];
		uint64_t pool_len;

		snprintf(name, sizeof(name), "many%d", i);
		fds[i] = ctl_open();
		r = fds[i] < 0 ? fds[i]
			       : create(fds[i], VIRTIO_ID_BLOCK, name, 1, 0, &disk, sizeof(disk),
					2000, &pool_len);
		if (!r)
			r = ctl_simple(fds[i], VLB_IOC_REGISTER);
		if (r)
			return failed("making many disks", r);
	}
	for (int i = 0; i < MANY; i++)
		ctl_remove(fds[i]);
	for (int i = 0; i < MANY; i++) {
		r = ctl_event(fds[i], VLB_EVENT_REMOVED, 3 * LONG_MS, &event);
		if (r) {
			fprintf(stderr, "attack: disk %d\n", i);
			return failed("removing many disks", r);
		}
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} attacks[] = {
	{"status-removed", status_removed},
	{"create-detach", create_detach},
	{"removed-threads", removed_threads},
	{"storm", call_storm},
	{"many-silent", many_silent},
	{"blk-cache", blk_cache},
	{"config-huge", config_huge},
	{"config-log", config_log},
	{"config-short", config_short},
	{"console-control", console_control},
	{"console-ports", console_ports},
	{"console-resize", console_resize},
	{"input-silent", input_silent},
	{"net-announce", net_announce},
	{"net-announce-cut", net_announce_cut},
	{"net-control", net_control},
	{"net-hidden", net_hidden},
	{"net-receive", net_receive},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (!strcmp(argv[1], attacks[i].name))
			return attacks[i].run();
	fprintf(stderr, "Usage: attack NAME\n");
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		fprintf(stderr, "  %s\n", attacks[i].name);
	return 2;
}
