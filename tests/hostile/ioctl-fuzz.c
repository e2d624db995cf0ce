/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random calls to the control device, from several threads of several processes that end at random
 * moments; some of them serve the rings for a while, well or badly, so that deep states are
 * reached.
 *
 * A seed says which calls are made, though not in which order the threads come to make them. Exit
 * status 0: all processes could be ended, and all devices went away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

#define PROCESSES 3
#define THREADS 4
#define STEPS 120
#define NAMES 6
#define END_SECONDS 120 /* for a process to end once it is killed, and devices to go */

/*
 * What the threads of one process share. It is read and written without locks: a thread may well
 * use a descriptor that another one has closed. What cannot be allowed to go is memory, so nothing
 * is unmapped.
 */
static struct {
	volatile int fd;
	volatile uint32_t epoch;
	volatile uint64_t id;
	volatile uint64_t pool_len;
	volatile uint32_t nqueues;
	struct ctl_session *volatile session;
} shared;

/* Of the devices that are made. */
static uint32_t types[64] = {1, 2, 3, 4, 8, 17, 18, 19, 25, 26, 32, 34, 36, 40, 41, 45};
static uint32_t ntypes = 16;

/* xorshift: the C library's generators have a lock or a state that threads share. */
struct rng {
	uint64_t state;
};

static uint64_t rnd(struct rng *rng)
{
	rng->state ^= rng->state << 13;
	rng->state ^= rng->state >> 7;
	rng->state ^= rng->state << 17;
	return rng->state * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(struct rng *rng, uint32_t n)
{
	return (uint32_t)((rnd(rng) >> 32) % n);
}

static bool chance(struct rng *rng, uint32_t percent)
{
	return below(rng, 100) < percent;
}

static uint64_t edge(struct rng *rng)
{
	static const uint64_t edges[] = {
		0,	    1,
		2,	    3,
		15,	    16,
		31,	    32,
		127,	    128,
		255,	    256,
		1023,	    1024,
		1025,	    4095,
		4096,	    4097,
		65535,	    65536,
		0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000,
		1ULL << 63, 0x7fffffffffffffff,
		~0ULL,	    ~4095ULL,
	};

	return chance(rng, 70) ? edges[below(rng, sizeof(edges) / sizeof(edges[0]))] : rnd(rng);
}

static void put_name(struct rng *rng, uint8_t *name)
{
	snprintf((char *)name, VLB_NAME_MAX, "fuzz%u", below(rng, NAMES));
}

static void do_create(struct rng *rng)
{
	uint8_t config[VLB_CONFIG_MAX];
	uint64_t pool_len;
	struct vlb_create c = {
		.type = types[below(rng, ntypes)],
		.features = 1ULL << VIRTIO_F_VERSION_1 | (rnd(rng) & rnd(rng) & 0xffffff) |
			    (rnd(rng) & (3ULL << VIRTIO_RING_F_INDIRECT_DESC)),
		.nqueues = 1 + below(rng, CTL_QUEUES_MAX),
		.queue_size = 2U << below(rng, 8),
		.driver_queue_size = 32U << below(rng, 6),
		.timeout_ms = 1 + below(rng, 3000),
		.config = (uintptr_t)config,
		.config_len = 96,
	};

	put_name(rng, c.name);
	for (size_t i = 0; i < sizeof(config); i++)
		config[i] = chance(rng, 80) ? 0 : (uint8_t)rnd(rng);
	/* A disk that can be read, most of the time. */
	if (chance(rng, 80)) {
		memset(config, 0, 64);
		config[1] = 8;
	}
	if (c.type == 2 && chance(rng, 80))
		c.features &= ~0xffffffULL;
	if (chance(rng, 10))
		c.config_len = (uint32_t)edge(rng);
	if (chance(rng, 10))
		c.pool_len = edge(rng);
	if (chance(rng, 10))
		c.nqueues = (uint32_t)edge(rng);
	if (ctl_create(shared.fd, &c, &pool_len) == 0) {
		shared.pool_len = pool_len;
		shared.nqueues = c.nqueues;
	}
}

static void do_session(struct rng *rng)
{
	struct ctl_session *s = calloc(1, sizeof(*s));
	uint32_t epoch = chance(rng, 95) ? shared.epoch : (uint32_t)edge(rng);
	uint32_t nqueues = chance(rng, 95) ? shared.nqueues : below(rng, VLB_QUEUES_MAX);
	uint64_t len = shared.pool_len;
	uint32_t flags = (chance(rng, 30) ? VLB_SESSION_CALL_EVENTFD : 0) |
			 (chance(rng, 70) ? VLB_SESSION_KICK_FILE : 0);
	int r;

	/* Small enough to be made again and again. */
	if (!s || !len || len > 64 << 20 || nqueues > CTL_QUEUES_MAX) {
		free(s);
		return;
	}
	r = ctl_session(shared.fd, epoch, nqueues, len, flags, s);
	if (r == 0)
		shared.session = s;
}

/* Take what is available and complete it: correctly, or not quite. */
static void do_serve(struct rng *rng)
{
	struct ctl_session *s = shared.session;
	bool lie = chance(rng, 10);

	for (uint32_t i = 0; s && i < s->nqueues; i++) {
		const struct vlb_session_queue *q = &s->queue[i];
		uint64_t one = 1;
		struct vring_avail *avail;
		struct vring_used *used;

		if (!q->out_num || q->out_used + 8192 > s->pool_len)
			continue;
		avail = (void *)(s->pool + q->out_avail);
		used = (void *)(s->pool + q->out_used);
		for (int n = 0; n < 64; n++) {
			uint16_t idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
			struct vring_used_elem *elem = &used->ring[idx % q->out_num];

			if (idx == __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) && !lie)
				break;
			elem->id = avail->ring[idx % q->out_num];
			elem->len = (uint32_t)edge(rng);
			if (lie)
				elem->id = (uint32_t)edge(rng);
			__atomic_store_n(&used->idx, idx + 1, __ATOMIC_RELEASE);
			if (lie)
				break;
		}
		if (write((int)q->call, &one, sizeof(one)) < 0 ||
		    write((int)q->out_call, &one, sizeof(one)) < 0)
			continue;
	}
}

/* What a back-end does with its kick descriptors, and some more. */
static void do_kick(struct rng *rng)
{
	struct ctl_session *s = shared.session;

	for (uint32_t i = 0; s && i < s->nqueues; i++) {
		struct pollfd pfd = {.fd = (int)s->queue[i].kick, .events = POLLIN | POLLOUT};
		uint64_t bytes[2] = {edge(rng)};
		size_t len = chance(rng, 70) ? 8 : below(rng, sizeof(bytes));

		if (poll(&pfd, 1, (int)below(rng, 3)) < 0 ||
		    (chance(rng, 50) ? read(pfd.fd, bytes, len) : write(pfd.fd, bytes, len)) < 0)
			continue;
	}
}

static void do_scribble(struct rng *rng)
{
	struct ctl_session *s = shared.session;

	for (int i = 0; s && i < 256; i++) {
		uint64_t value = edge(rng);

		memcpy(s->pool + below(rng, (uint32_t)(s->pool_len / 8)) * 8UL, &value, 8);
	}
}

static void do_close(struct rng *rng)
{
	struct ctl_session *s = shared.session;

	if (s && chance(rng, 50)) {
		const struct vlb_session_queue *q = &s->queue[below(rng, CTL_QUEUES_MAX)];

		/* 0 to 2 are kept, for messages. */
		if ((int)q->kick > 2)
			close((int)(chance(rng, 50) ? q->kick : q->call));
		if ((int)q->out_call > 2)
			close((int)q->out_call);
	} else if (chance(rng, 20)) {
		int fd = shared.fd;

		shared.fd = ctl_open();
		close(fd);
	}
}

static void do_read(struct rng *rng)
{
	struct pollfd pfd = {.fd = shared.fd, .events = POLLIN};
	struct vlb_event event;

	if (poll(&pfd, 1, (int)below(rng, 30)) < 0 ||
	    read(shared.fd, &event, chance(rng, 95) ? sizeof(event) : below(rng, 64)) !=
		    sizeof(event))
		return;
	shared.epoch = event.epoch;
	if (event.type == VLB_EVENT_DRIVER_OK) {
		do_session(rng);
		ctl_start(shared.fd, event.epoch);
	} else if (event.type == VLB_EVENT_CONFIG_WRITE) {
		shared.id = event.id;
		if (chance(rng, 90))
			ctl_answer(shared.fd, event.id, chance(rng, 80) ? 0 : EIO);
	}
}

static void do_config(struct rng *rng)
{
	uint8_t data[VLB_CONFIG_MAX] = {0};
	struct vlb_config c = {
		.size = sizeof(c),
		.flags = below(rng, 2),
		.offset = chance(rng, 70) ? below(rng, 96) : (uint32_t)edge(rng),
		.len = chance(rng, 70) ? below(rng, 16) : (uint32_t)edge(rng),
		.data = chance(rng, 95) ? (uintptr_t)data : edge(rng),
		.id = chance(rng, 50) ? shared.id : edge(rng),
		.error = chance(rng, 80) ? 0 : (uint32_t)edge(rng),
	};

	data[below(rng, sizeof(data))] = (uint8_t)rnd(rng);
	if (chance(rng, 50))
		c.error = 0;
	ioctl(shared.fd, chance(rng, 70) ? VLB_IOC_CONFIG : VLB_IOC_ANSWER, &c);
}

/* Any number, any size, any bytes: nearly all of it is refused. */
static void do_garbage(struct rng *rng)
{
	uint64_t words[40];
	uint32_t size = (uint32_t)edge(rng);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = chance(rng, 60) ? 0 : edge(rng);
	if (chance(rng, 70))
		size = 8 + below(rng, 160);
	memcpy(words, &size, sizeof(size));
	ioctl(shared.fd,
	      chance(rng, 90) ? (unsigned long)_IO(VLB_IOC_MAGIC, below(rng, 16)) : rnd(rng),
	      chance(rng, 95) ? (void *)words : (void *)(uintptr_t)edge(rng));
}

static void do_child(struct rng *rng)
{
	pid_t child = fork();

	if (child)
		return;
	for (int i = 0; i < 5; i++)
		do_garbage(rng);
	if (chance(rng, 30))
		ctl_remove(shared.fd);
	_exit(0);
}

/* Somebody uses what has appeared; such a process may hang until the device goes. */
static void do_use(struct rng *rng)
{
	static const char *const patterns[] = {"/dev/vd?", "/dev/hwrng", "/dev/hvc*",
					       "/dev/input/event*"};
	pid_t child = fork();
	char buf[512];
	glob_t found;

	if (child)
		return;
	if (!glob(patterns[below(rng, 4)], 0, NULL, &found) && found.gl_pathc) {
		int fd = open(found.gl_pathv[below(rng, (uint32_t)found.gl_pathc)],
			      O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (fd >= 0 && (read(fd, buf, sizeof(buf)) < 0 || write(fd, buf, 64) < 0))
			_exit(1);
	}
	_exit(0);
}

static void step(struct rng *rng)
{
	char name[VLB_NAME_MAX];
	struct vlb_status status;
	uint32_t what = below(rng, 100);

	if (what < 10) {
		do_create(rng);
	} else if (what < 18) {
		ctl_simple(shared.fd, VLB_IOC_REGISTER);
	} else if (what < 38) {
		do_read(rng);
	} else if (what < 56) {
		do_serve(rng);
	} else if (what < 60) {
		do_kick(rng);
	} else if (what < 62) {
		do_session(rng);
	} else if (what < 66) {
		ctl_start(shared.fd, shared.epoch);
	} else if (what < 70) {
		ctl_stop(shared.fd, chance(rng, 80) ? below(rng, 2) : below(rng, 8));
	} else if (what < 74) {
		if (ctl_status(shared.fd, &status) == 0)
			shared.epoch = status.out_epoch;
	} else if (what < 79) {
		do_config(rng);
	} else if (what < 86) {
		do_garbage(rng);
	} else if (what < 88) {
		do_scribble(rng);
	} else if (what < 90) {
		do_close(rng);
	} else if (what < 92) {
		do_child(rng);
	} else if (what < 96) {
		do_use(rng);
	} else if (what < 98) {
		put_name(rng, (uint8_t *)name);
		ctl_detach(shared.fd, name, below(rng, 50), below(rng, 2));
	} else {
		ctl_remove(shared.fd);
	}
}

static void *worker(void *arg)
{
	struct rng rng = {(uintptr_t)arg};

	for (int i = 0; i < STEPS; i++)
		step(&rng);
	return NULL;
}

static void process(uint64_t seed)
{
	struct rng rng = {seed * 0x9e3779b97f4a7c15ULL + 1};
	pthread_t threads[THREADS];
	uint64_t seeds[THREADS];

	for (int i = 0; i < 20; i++)
		rnd(&rng);
	/* Its children can be ended with it. */
	setpgid(0, 0);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	shared.fd = ctl_open();
	do_create(&rng);
	ctl_simple(shared.fd, VLB_IOC_REGISTER);
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = rnd(&rng) | 1;
		if (pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)seeds[i]))
			_exit(1);
	}
	/* Some do not live to see their end. */
	if (chance(&rng, 40)) {
		usleep(below(&rng, 1500000));
		kill(0, SIGKILL);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

/* Processes of the group that are still there. */
static bool group_alive(pid_t group)
{
	return kill(-group, 0) == 0;
}

static int end_process(pid_t pid)
{
	/* Its time: a thread may sit in a detach or a read. */
	for (int i = 0; i < 60 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(50000);
	for (int i = 0; i < END_SECONDS * 20; i++) {
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
		if (!group_alive(pid))
			return 0;
		usleep(50000);
	}
	fprintf(stderr, "ioctl-fuzz: process group %d does not end\n", pid);
	return 1;
}

static int count_devices(void)
{
	DIR *dir = opendir("/sys/class/" VLB_CLASS_NAME);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += !strncmp(entry->d_name, "fuzz", 4);
	closedir(dir);
	return n;
}

static int devices_go(void)
{
	for (int i = 0; i < END_SECONDS * 20; i++) {
		if (count_devices() == 0)
			return 0;
		usleep(50000);
	}
	fprintf(stderr, "ioctl-fuzz: %d devices stay\n", count_devices());
	return 1;
}

static const struct option options[] = {
	{"seed", required_argument, NULL, 's'},
	{"rounds", required_argument, NULL, 'r'},
	{"type", required_argument, NULL, 't'},
	{NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
	unsigned long seed = 1, rounds = 20;
	uint32_t given = 0;
	int c, r = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's') {
			seed = strtoul(optarg, NULL, 0);
		} else if (c == 'r') {
			rounds = strtoul(optarg, NULL, 0);
		} else if (c == 't' && given < sizeof(types) / sizeof(types[0])) {
			types[given++] = (uint32_t)strtoul(optarg, NULL, 0);
			ntypes = given;
		} else {
			fprintf(stderr,
				"Usage: ioctl-fuzz [--seed N] [--rounds N] [--type N]...\n");
			return 2;
		}
	}
	for (unsigned long i = 0; i < rounds && !r; i++) {
		pid_t pids[PROCESSES];

		for (unsigned int k = 0; k < PROCESSES; k++) {
			pids[k] = fork();
			if (pids[k] == 0)
				process(seed * 1000003 + i * PROCESSES + k);
			if (pids[k] < 0)
				return 1;
		}
		for (unsigned int k = 0; k < PROCESSES; k++)
			r |= end_process(pids[k]);
	}
	return r | devices_go();
}
