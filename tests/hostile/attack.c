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
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)
#define POOL_BASE 0x100000000ULL /* doc/uapi.md: guest address of the pool */
#define NET_F_DEVICE_STATS 50 /* older headers lack it */
#define LONG_MS 60000 /* no step takes so long on a healthy machine */

static struct virtio_blk_config disk = {.capacity = 2048};

static int create(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
		  const void *config, uint32_t config_len, uint32_t timeout_ms,
		  uint64_t *ret_pool_len)
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

static int failed(const char *what, int error)
{
	fprintf(stderr, "attack: %s: %s\n", what, strerror(-error));
	return 1;
}

/* Remove the device and wait for its end. */
static int bury(int fd)
{
	struct vlb_event event;
	int r = ctl_remove(fd);

	if (r && r != -ENODEV)
		return r;
	return ctl_event(fd, VLB_EVENT_REMOVED, LONG_MS, &event);
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

static atomic_bool over;

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

/* An input driver writes to the config space dozens of times while it probes; nobody answers. */
static int input_silent(void)
{
	uint8_t config[136] = {0};
	int fd = ctl_open(), r;
	struct vlb_event event;
	uint64_t pool_len;

	r = create(fd, VIRTIO_ID_INPUT, "silent", 2, 0, config, sizeof(config), 8000, &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (!r)
		r = ctl_event(fd, VLB_EVENT_CONFIG_WRITE, LONG_MS, &event);
	if (r)
		return failed("making an input device", r);
	/* One bound for the removal, and not one for each write. */
	r = bury(fd);
	return r ? failed("removing it", r) : 0;
}

/*
 * A console that nobody opened gets a new size, and goes. hvc_remove() does not wait for the work
 * that tells the terminal (6.12 and before it), so no driver may learn of sizes. The race itself is
 * seldom won, so the feature is looked at as well.
 */
static int console_resize(void)
{
	uint8_t config[12] = {80, 0, 25};

	for (int i = 0; i < 30; i++) {
		struct vlb_config change = {
			.size = sizeof(change),
			.flags = VLB_CONFIG_NOTIFY,
			.len = sizeof(config),
			.data = (uintptr_t)config,
		};
		struct vlb_status status = {0};
		struct vlb_event event;
		uint64_t pool_len;
		int fd = ctl_open(), r;

		r = create(fd, VIRTIO_ID_CONSOLE, "resize", 2, 1, config, sizeof(config), 1000,
			   &pool_len);
		if (!r)
			r = ctl_simple(fd, VLB_IOC_REGISTER);
		if (!r)
			r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
		for (int k = 0; !r && k < 20; k++) {
			config[0] = (uint8_t)k;
			r = ioctl(fd, VLB_IOC_CONFIG, &change) < 0 ? -errno : 0;
		}
		if (!r)
			r = ctl_status(fd, &status);
		if (!r)
			r = bury(fd);
		if (!r && (status.out_driver_features & 1ULL << VIRTIO_CONSOLE_F_SIZE))
			r = -EPROTO;
		if (r)
			return failed("making, resizing and removing a console", r);
		close(fd);
	}
	return 0;
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

/*
 * The driver's control queue is not where the number of queues says: there is one pair, and room
 * for two. Nobody answers on it, and the driver waits with the lock of the whole network stack.
 */
static int net_control(void)
{
	struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_CTRL_VQ |
				  1ULL << VIRTIO_NET_F_CTRL_RX;
	struct vlb_event event;
	struct vlb_status status;
	uint64_t pool_len;
	char command[200];
	int fd = ctl_open(), r;

	r = create(fd, VIRTIO_ID_NET, "ctrl", 5, features, &config, sizeof(config), 3000,
		   &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (r == -EPROTO || r == -EINVAL)
		return 0; /* refused: as good */
	if (!r)
		r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
	if (!r)
		r = ctl_status(fd, &status);
	if (r)
		return failed("making a network device", r);
	snprintf(command, sizeof(command),
		 "ip link set dev $(ls /sys/bus/virtio/devices/%.31s/net) up promisc on",
		 status.out_virtio);
	if (fork() == 0)
		_exit(system(command) != 0);
	/* Where the driver would spin for the answer, it is not told of the queue. */
	if (status.out_driver_features & 1ULL << VIRTIO_NET_F_CTRL_VQ)
		r = ctl_event(fd, VLB_EVENT_BROKEN, LONG_MS, &event);
	if (r)
		failed("waiting for the end of the driver's patience", r);
	if (bury(fd))
		return failed("removing it", -ETIMEDOUT);
	wait(NULL);
	return r != 0;
}

/* Bring up a device that nobody serves: its requests fail. */
static int start_unserved(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
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

/*
 * The device asks for an announcement, which its driver acknowledges on the control queue; there is
 * none. That the driver has seen the request shows in the link, which comes up with it.
 */
static int net_announce(void)
{
	struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |
				  1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
	struct vlb_config change = {
		.size = sizeof(change),
		.flags = VLB_CONFIG_NOTIFY,
		.len = sizeof(config),
		.data = (uintptr_t)&config,
	};
	struct vlb_status status;
	char command[200];
	int fd = ctl_open(), r, up;

	r = start_unserved(fd, VIRTIO_ID_NET, "announce", 2, features, &config, sizeof(config),
			   &status);
	if (r)
		return failed("making a network device", r);
	snprintf(command, sizeof(command),
		 "cd /sys/bus/virtio/devices/%.31s/net/* && ip link set dev ${PWD##*/} up",
		 status.out_virtio);
	if (system(command))
		return failed("setting it up", -EIO);
	config.status = VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE;
	if (ioctl(fd, VLB_IOC_CONFIG, &change) < 0)
		return failed("asking for an announcement", -errno);
	snprintf(command, sizeof(command),
		 "cd /sys/bus/virtio/devices/%.31s/net/* && until grep -q 1 carrier; do sleep 0.1; done",
		 status.out_virtio);
	up = system(command);
	r = bury(fd);
	return up || r ? failed("waiting for the link, or for its end", r) : 0;
}

/* The same in a config space that ends in the middle of it. The driver has seen it when it is removed. */
static int net_announce_cut(void)
{
	const struct virtio_net_config config = {
		.mac = {2, 0, 0, 0, 0, 1},
		.status = VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE,
	};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS;
	struct vlb_status status;
	char command[200];
	int fd = ctl_open(), r;

	r = start_unserved(fd, VIRTIO_ID_NET, "cut", 2, features, &config,
			   offsetof(struct virtio_net_config, status) + 1, &status);
	if (r)
		return failed("making a network device", r);
	snprintf(command, sizeof(command),
		 "cd /sys/bus/virtio/devices/%.31s/net/* && ip link set dev ${PWD##*/} up",
		 status.out_virtio);
	if (system(command))
		return failed("setting it up", -EIO);
	return bury(fd) ? failed("removing it", -ETIMEDOUT) : 0;
}

/*
 * Features that the driver takes, and must not be told of: for statistics it asks on the control queue,
 * whether there is one or not; a standby takes an interface of the machine that has its address.
 */
static int net_hidden(void)
{
	const struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t hidden = 1ULL << NET_F_DEVICE_STATS | 1ULL << VIRTIO_NET_F_STANDBY;
	struct vlb_status status;
	int fd = ctl_open(), r;

	r = start_unserved(fd, VIRTIO_ID_NET, "hidden", 2, 1ULL << VIRTIO_NET_F_MAC | hidden,
			   &config, sizeof(config), &status);
	if (r)
		return failed("making a network device", r);
	if (status.out_driver_features & hidden)
		return failed("hiding features from its driver", -EPROTO);
	return bury(fd) ? failed("removing it", -ETIMEDOUT) : 0;
}

/* A disk whose cache is of no type that there is; anybody may read which it is. */
static int blk_cache(void)
{
	struct virtio_blk_config config = {.capacity = 2048, .wce = 0xff};
	const uint64_t features = 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_CONFIG_WCE;
	struct vlb_status status;
	char command[200];
	int fd = ctl_open(), r;

	r = start_unserved(fd, VIRTIO_ID_BLOCK, "cache", 1, features, &config, sizeof(config),
			   &status);
	if (r)
		return failed("making a disk", r);
	snprintf(command, sizeof(command),
		 "grep -qx 'write back' /sys/bus/virtio/devices/%.31s/block/*/cache_type",
		 status.out_virtio);
	if (system(command))
		return failed("asking for the cache's type", -EIO);
	return bury(fd) ? failed("removing it", -ETIMEDOUT) : 0;
}

/* Answer the next request of a queue with @bytes, and say that it were @len. False: there is none. */
static bool answer(struct ctl_session *session, unsigned int queue, const void *bytes, size_t size,
		   uint32_t len)
{
	const struct vlb_session_queue *q = &session->queue[queue];
	struct vring_desc *desc = (void *)(session->pool + q->out_desc);
	volatile struct vring_avail *avail = (void *)(session->pool + q->out_avail);
	volatile struct vring_used *used = (void *)(session->pool + q->out_used);
	uint64_t one = 1;
	uint16_t head;

	for (int i = 0; avail->idx == used->idx; i++) {
		if (i == 1000)
			return false;
		usleep(1000);
	}
	head = avail->ring[used->idx % q->out_num];
	memcpy(session->pool + desc[head].addr - POOL_BASE, bytes, size);
	used->ring[used->idx % q->out_num].id = head;
	used->ring[used->idx % q->out_num].len = len;
	atomic_thread_fence(memory_order_seq_cst);
	used->idx++;
	return write((int)q->out_call, &one, sizeof(one)) == sizeof(one);
}

/* A device that is started with a session; 0 or -errno. */
static int start_served(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
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

/*
 * Packets that fill each receive buffer to its last byte, and are said to be longer. A driver that makes
 * buffers for the largest packets in pages of their own has one page more there than a packet may have.
 */
static int net_receive(void)
{
	const struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
				  1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;
	const struct virtio_net_hdr_v1 header = {0};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	bool ok = true;

	r = start_served(fd, VIRTIO_ID_NET, "large", 2, features, &config, sizeof(config), &session);
	if (r)
		return failed("starting a network device", r);
	if (system("ip link set dev $(ls /sys/class/virtio-loopback/large/virtio*/net) up") != 0)
		return failed("raising the interface", -EIO);
	for (int i = 0; ok && i < 100; i++)
		ok = answer(&session, 0, &header, sizeof(header), UINT32_MAX);
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("giving packets to the driver", -EPIPE);
}

/*
 * The driver of a console with several ports believes that each control message is as long as it has to
 * be: a name that is shorter than its header is written to before its buffer. And it spins for the output
 * of what it is told to be a console, which may have been something else a moment ago.
 */
static int console_control(void)
{
	const struct virtio_console_config config = {.max_nr_ports = 2};
	const uint16_t events[] = {VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_RESIZE,
				   VIRTIO_CONSOLE_PORT_OPEN, VIRTIO_CONSOLE_CONSOLE_PORT};
	struct virtio_console_control msg = {.event = VIRTIO_CONSOLE_PORT_ADD, .value = 1};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	bool ok;

	r = start_served(fd, VIRTIO_ID_CONSOLE, "ports", 6, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT,
			 &config, sizeof(config), &session);
	if (r)
		return failed("starting a console", r);
	ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		msg.event = events[i];
		for (uint32_t len = 0; ok && len < sizeof(msg); len++)
			ok = answer(&session, 2, &msg, sizeof(msg), len);
	}
	/* Ports that there are, that there are not, and again. */
	for (uint32_t id = 0; ok && id < 400; id++) {
		msg.id = id < 200 ? id % 4 : id * 0x01010101U;
		msg.event = (uint16_t)(id % 10);
		ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	}
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("sending control messages", -EPIPE);
}

/* Gives all that a queue is offered back at once, again and again. */
static void *give_back(void *arg)
{
	const struct ctl_session *session = arg;
	const struct vlb_session_queue *q = &session->queue[4];
	volatile struct vring_avail *avail = (void *)(session->pool + q->out_avail);
	volatile struct vring_used *used = (void *)(session->pool + q->out_used);
	uint16_t next = 0;
	uint64_t one = 1;

	while (!over) {
		const uint16_t end = avail->idx;

		if (next == end) {
			sched_yield();
			continue;
		}
		atomic_thread_fence(memory_order_seq_cst);
		for (; next != end; next++) {
			used->ring[next % q->out_num].id = avail->ring[next % q->out_num];
			used->ring[next % q->out_num].len = 16;
		}
		atomic_thread_fence(memory_order_seq_cst);
		used->idx = next;
		if (write((int)q->out_call, &one, sizeof(one)) != sizeof(one))
			break;
	}
	return NULL;
}

/*
 * Input for a port that comes and goes. A driver that is called for a queue of no port that it knows frees
 * what it finds there, and may be filling or emptying that queue at the same moment.
 */
static int console_ports(void)
{
	const struct virtio_console_config config = {.max_nr_ports = 2};
	struct virtio_console_control msg = {.id = 1, .value = 1};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	pthread_t thread;
	bool ok = true;

	r = start_served(fd, VIRTIO_ID_CONSOLE, "plugs", 6, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT,
			 &config, sizeof(config), &session);
	if (r)
		return failed("starting a console", r);
	pthread_create(&thread, NULL, give_back, &session);
	for (int i = 0; ok && i < 1001; i++) {
		msg.event = i % 2 ? VIRTIO_CONSOLE_PORT_REMOVE : VIRTIO_CONSOLE_PORT_ADD;
		ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	}
	over = true;
	pthread_join(thread, NULL);
	/* A queue whose list of free entries was destroyed is broken: no buffer comes any more. */
	for (int i = 0; ok && i < 100; i++) {
		const uint8_t byte = 0;

		ok = answer(&session, 4, &byte, sizeof(byte), sizeof(byte));
	}
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("adding, filling and removing a port", -EPIPE);
}

/*
 * Every number in the config space is as large as can be. A driver that allocates memory or loops
 * by one of them must not take the kernel's time or make it complain; whether it likes the device
 * is its own business.
 */
static int config_huge(void)
{
	static const uint8_t patterns[] = {0xff, 0x7f};
	uint8_t config[128];
	int made = 0;

	for (uint32_t n = 0; n < 2 * 64; n++) {
		uint32_t type = n / 2;
		struct vlb_event event;
		uint64_t pool_len;
		int fd = ctl_open(), r;

		memset(config, patterns[n % 2], sizeof(config));
		r = create(fd, type, "huge", 8, 0xffffff | 0xfULL << 56, config, sizeof(config), 500,
			   &pool_len);
		made += !r;
		if (!r)
			r = ctl_simple(fd, VLB_IOC_REGISTER);
		if (!r)
			r = ctl_stop(fd, VLB_STOP_FAIL);
		if (!r)
			r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
		if (!r)
			r = bury(fd);
		close(fd);
		if (r && r != -EPROTONOSUPPORT) {
			fprintf(stderr, "attack: type %u, bytes 0x%02x\n", type, config[0]);
			return failed("making and removing a device", r);
		}
	}
	fprintf(stderr, "attack: %d devices were made\n", made);
	return made == 0;
}

/* Config spaces that end among the limits, with numbers that are too small, or nothing when they are cut. */
static int config_short(void)
{
	static const uint32_t types[] = {VIRTIO_ID_BLOCK, VIRTIO_ID_SCSI};
	static const uint32_t numbers[] = {1, 0x10000};
	const uint64_t limits = 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX;
	uint32_t words[5];

	for (size_t n = 0; n < 2 * sizeof(types) / sizeof(types[0]); n++) {
		uint32_t type = types[n / 2];

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = numbers[n % 2];
		for (uint32_t len = 0; len <= sizeof(words); len += sizeof(words[0])) {
			struct vlb_status status;
			int fd = ctl_open(), r;

			r = start_unserved(fd, type, "short", 3,
					   type == VIRTIO_ID_BLOCK ? limits : 0, words, len,
					   &status);
			if (!r)
				r = bury(fd);
			close(fd);
			if (r) {
				fprintf(stderr, "attack: type %u, %u bytes\n", type, len);
				return failed("making and removing a device", r);
			}
		}
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} attacks[] = {
	{"status-removed", status_removed},   {"create-detach", create_detach},
	{"removed-threads", removed_threads}, {"storm", call_storm},
	{"input-silent", input_silent},	      {"console-resize", console_resize},
	{"many-silent", many_silent},	      {"net-control", net_control},
	{"config-huge", config_huge},	      {"console-control", console_control},
	{"console-ports", console_ports},
	{"net-receive", net_receive},	      {"net-announce", net_announce},
	{"net-hidden", net_hidden},	      {"blk-cache", blk_cache},
	{"config-short", config_short},	      {"net-announce-cut", net_announce_cut},
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
