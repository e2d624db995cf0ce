/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation on the way to a running device fails once, by the kernel's fault injection
 * (fail-nth; Documentation/fault-injection/fault-injection.rst): the call has to say so and change
 * nothing, and the same call made again has to work.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION, and nobody else's devices. Exit status 0: all is
 * well; 1: what is not was printed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl.h"

#define FAULTS_MAX 1000 /* allocations of one call; there are some dozens */
#define WAIT_MS 120000 /* for what a loaded machine may take long to do */
#define WORKERS_MAX 256
#define WORKER_FAULTS_MIN 20 /* registering and probing make more allocations */
#define WORKER_MISSES_MAX 5 /* in a row: a worker that is made just now is not asked to fail */
#define TYPE_RNG 4
#define DRIVER "/sys/bus/virtio/drivers/virtio_rng"
#define CLASS "/sys/class/" VLB_CLASS_NAME

/* A device, as far as it has come. */
struct device {
	int fd;
	char name[VLB_NAME_MAX];
	uint64_t pool_len;
	uint32_t epoch;
	char virtio[VLB_NAME_MAX];
	uint8_t *pool;
	int kick;
	int call;
	struct vlb_session_queue queue;
};

/* What is done with a fault, and how far the device is before. */
struct step {
	const char *name;
	int (*run)(struct device *d);
	const struct step *before;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "attach-faults: %s: %s\n", what, strerror(error));
	exit(1);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* --- the n-th allocation of a thread fails, counted from the call on; 0: none */

static int fail_nth_fd;

static void fail_nth(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fd, text, (size_t)len, 0) != len)
		die("fail-nth", errno);
}

/* Has it failed? Ends the injection. */
static bool has_failed(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		die("fail-nth", errno);
	fail_nth(fd, 0);
	return strtol(text, NULL, 10) == 0;
}

/* The same for the kernel's workers that serve unbound queues: one of them registers a device. */
static int worker_fds[WORKERS_MAX];
static unsigned int nworkers;

static void fail_nth_workers(unsigned int n)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char path[300], name[32];

	if (!proc)
		die("/proc", errno);
	nworkers = 0;
	while ((entry = readdir(proc)) && nworkers < WORKERS_MAX) {
		FILE *comm;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		comm = fopen(path, "re");
		if (!comm)
			continue;
		if (!fgets(name, sizeof(name), comm) || strncmp(name, "kworker/u", 9) != 0)
			name[0] = 0;
		fclose(comm);
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", entry->d_name);
		fd = name[0] ? open(path, O_RDWR | O_CLOEXEC) : -1;
		if (fd >= 0)
			worker_fds[nworkers++] = fd;
	}
	closedir(proc);
	for (unsigned int i = 0; i < nworkers; i++)
		fail_nth(worker_fds[i], n);
}

/* A worker that has ended meanwhile has not failed. */
static bool workers_have_failed(void)
{
	bool failed = false;

	for (unsigned int i = 0; i < nworkers; i++) {
		char text[16] = "";

		if (pread(worker_fds[i], text, sizeof(text) - 1, 0) > 0) {
			fail_nth(worker_fds[i], 0);
			failed |= strtol(text, NULL, 10) == 0;
		}
		close(worker_fds[i]);
	}
	nworkers = 0;
	return failed;
}

/* --- the steps */

static int do_open(struct device *d)
{
	d->fd = ctl_open();
	return d->fd < 0 ? d->fd : 0;
}

static int do_create(struct device *d)
{
	static const uint8_t config[8];
	struct vlb_create create = {
		.type = TYPE_RNG,
		.features = 1ULL << 32, /* VIRTIO_F_VERSION_1 */
		.nqueues = 1,
		.config = (uintptr_t)config,
		.config_len = sizeof(config),
	};

	memcpy(create.name, d->name, sizeof(create.name));
	return ctl_create(d->fd, &create, &d->pool_len);
}

static int wait_driver(struct device *d)
{
	struct vlb_event event;
	int r = ctl_event(d->fd, VLB_EVENT_DRIVER_OK, WAIT_MS, &event);

	d->epoch = event.epoch;
	return r;
}

static int do_register(struct device *d)
{
	return ctl_simple(d->fd, VLB_IOC_REGISTER);
}

/* The driver probes in this thread, not in the kernel's worker. */
static int do_bind(struct device *d)
{
	return write_text(DRIVER "/bind", d->virtio);
}

static int make_session(struct device *d, uint32_t flags)
{
	struct vlb_session arg = {
		.size = sizeof(arg),
		.flags = flags,
		.epoch = d->epoch,
		.nqueues = 1,
		.pool = (uintptr_t)d->pool,
		.pool_len = d->pool_len,
		.queues = (uintptr_t)&d->queue,
	};

	return ioctl(d->fd, VLB_IOC_SESSION, &arg) < 0 ? -errno : 0;
}

static int do_session(struct device *d)
{
	return make_session(d, 0);
}

static int do_session_eventfd(struct device *d)
{
	return make_session(d, VLB_SESSION_CALL_EVENTFD);
}

/* The kick of the device is an eventfd all the same, and is closed with it. */
static int do_session_kick(struct device *d)
{
	int r = make_session(d, VLB_SESSION_KICK_FILE);

	if (r == 0 && close((int)d->queue.kick) < 0)
		r = -errno;
	return r;
}

static int do_start(struct device *d)
{
	return ctl_start(d->fd, d->epoch);
}

static int do_config(struct device *d)
{
	static uint8_t bytes[8] = {1};
	struct vlb_config arg = {.size = sizeof(arg),
				 .flags = VLB_CONFIG_NOTIFY,
				 .len = 8,
				 .data = (uintptr_t)bytes};

	return ioctl(d->fd, VLB_IOC_CONFIG, &arg) < 0 ? -errno : 0;
}

static int do_stop(struct device *d)
{
	return ctl_stop(d->fd, 0);
}

static const struct step steps[] = {
	{"open", do_open, NULL},
	{"create", do_create, &steps[0]},
	{"register", do_register, &steps[1]},
	{"bind", do_bind, &steps[2]},
	{"session", do_session, &steps[3]},
	{"start", do_start, &steps[4]},
	{"config", do_config, &steps[5]},
	{"stop", do_stop, &steps[6]},
	{"session with an eventfd", do_session_eventfd, &steps[3]},
	{"session with a kick file", do_session_kick, &steps[3]},
};

/* What has to happen between the steps. */
static void after_step(struct device *d, const struct step *s)
{
	struct vlb_status status;
	int r;

	if (s->run == do_register) {
		r = wait_driver(d);
		/* The driver may be up before the registration has ended. */
		do {
			if (r == 0)
				r = ctl_status(d->fd, &status);
			if (r < 0)
				die("the driver does not come up", -r);
			usleep(1000);
		} while (!status.out_virtio[0]);
		memcpy(d->virtio, status.out_virtio, sizeof(d->virtio));
		r = write_text(DRIVER "/unbind", d->virtio);
		if (r < 0)
			die("unbind", -r);
	} else if (s->run == do_bind) {
		r = wait_driver(d);
		if (r < 0)
			die("the driver does not come back", -r);
		d->pool = mmap(NULL, d->pool_len, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		d->kick = eventfd(0, EFD_CLOEXEC);
		d->call = eventfd(0, EFD_CLOEXEC);
		if (d->pool == MAP_FAILED || d->kick < 0 || d->call < 0)
			die("memory for a session", errno);
		d->queue.kick = (uint32_t)d->kick;
		d->queue.call = (uint32_t)d->call;
	}
}

/* A name of its own: the last one's is free a little later than its directory is gone. */
static void begin(struct device *d)
{
	static unsigned int count;

	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "faults%u", count++);
}

static void run_step(struct device *d, const struct step *s)
{
	int r;

	if (!s)
		return;
	run_step(d, s->before);
	r = s->run(d);
	if (r < 0)
		die(s->name, -r);
	after_step(d, s);
}

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		die("/proc/self/fd", errno);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool devices_gone(void)
{
	DIR *dir = opendir(CLASS);
	const struct dirent *entry;
	bool gone = true;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			gone = false;
	if (dir)
		closedir(dir);
	return gone;
}

/* Close everything; the device goes, and the memory that was pinned. */
static void end(struct device *d)
{
	char line[256];
	FILE *status;

	if (d->queue.out_call)
		close((int)d->queue.out_call);
	if (d->kick)
		close(d->kick);
	if (d->call)
		close(d->call);
	if (d->pool)
		munmap(d->pool, d->pool_len);
	if (d->fd)
		close(d->fd);
	for (int ms = 0; !devices_gone(); ms++) {
		if (ms == WAIT_MS)
			die("a device stays after its file was closed", EBUSY);
		usleep(1000);
	}
	status = fopen("/proc/self/status", "re");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "VmPin:", 6) == 0 && strtol(line + 6, NULL, 10) != 0)
			die("memory stays pinned", EBUSY);
	if (status)
		fclose(status);
}

/* The n-th allocation of a step fails. False: it has no more than n - 1. */
static bool try_fault(const struct step *s, unsigned int n)
{
	struct device d;
	bool failed;
	int r;

	begin(&d);
	run_step(&d, s->before);
	fail_nth(fail_nth_fd, n);
	r = s->run(&d);
	failed = has_failed(fail_nth_fd);
	if (r < 0 && (!failed || r != -ENOMEM)) {
		fprintf(stderr, "attach-faults: %s, with allocation %u failed: %s\n", s->name, n,
			strerror(-r));
		exit(1);
	}
	if (r < 0) {
		r = s->run(&d);
		if (r < 0) {
			fprintf(stderr, "attach-faults: %s, again after allocation %u failed: %s\n",
				s->name, n, strerror(-r));
			exit(1);
		}
	}
	after_step(&d, s);
	end(&d);
	return failed;
}

/*
 * The n-th allocation of the worker that registers the device fails. The device may stay unknown
 * to the driver core then, or without its driver; the owner is told, and a driver can be bound
 * later.
 */
static bool try_worker_fault(unsigned int n)
{
	struct device d;
	struct vlb_event event;
	struct vlb_status status;
	bool failed;
	int r;

	begin(&d);
	run_step(&d, &steps[1]);
	fail_nth_workers(n);
	r = do_register(&d);
	if (r == 0)
		r = ctl_event(d.fd, VLB_EVENT_REGISTERED, WAIT_MS, &event);
	failed = workers_have_failed();
	if (r < 0)
		die("register, with a worker's allocation failed", -r);
	if (event.reason) {
		if (!failed || event.reason != ENOMEM)
			die("registering failed otherwise than by memory", (int)event.reason);
	} else {
		r = ctl_status(d.fd, &status);
		if (r == 0 && !(status.out_driver_status & 4 /* VIRTIO_CONFIG_S_DRIVER_OK */)) {
			memcpy(d.virtio, status.out_virtio, sizeof(d.virtio));
			r = do_bind(&d);
		}
		if (r < 0)
			die("bind, after a worker's allocation failed", -r);
	}
	end(&d);
	return failed;
}

int main(void)
{
	unsigned int files, n, misses = 0, failed = 0;

	fail_nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd < 0)
		die("/proc/self/fail-nth (CONFIG_FAULT_INJECTION)", errno);
	files = open_files();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		n = 1;
		while (try_fault(&steps[i], n)) {
			if (n++ == FAULTS_MAX)
				die("no end of faults", ELOOP);
		}
		printf("# %s: %u allocations failed, one at a time\n", steps[i].name, n - 1);
		fflush(stdout);
	}
	/* Other work of these workers is counted as well. */
	for (n = 1; misses < WORKER_MISSES_MAX; n++) {
		if (n == FAULTS_MAX)
			die("no end of faults in workers", ELOOP);
		if (try_worker_fault(n)) {
			failed++;
			misses = 0;
		} else {
			misses++;
		}
	}
	printf("# registering: %u allocations failed, one at a time\n", failed);
	if (failed < WORKER_FAULTS_MIN)
		die("hardly any allocation failed while registering", ENOENT);
	if (open_files() != files)
		die("descriptors were left open", EMFILE);
	return 0;
}
