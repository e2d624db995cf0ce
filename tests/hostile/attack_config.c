/* SPDX-License-Identifier: BSD-3-Clause */
/* Attacks on drivers by a device's features and config space. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

#define NET_F_DEVICE_STATS 50 /* older headers lack it */

/* An input driver writes to the config space dozens of times while it probes; nobody answers. */
int input_silent(void)
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
int console_resize(void)
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

/*
 * The device asks for an announcement, which its driver acknowledges on the control queue; there is
 * none. That the driver has seen the request shows in the link, which comes up with it.
 */
int net_announce(void)
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
		 "cd /sys/bus/virtio/devices/%.31s/net/* && until grep -q 1 carrier; do sleep 0.1; "
		 "done",
		 status.out_virtio);
	up = system(command);
	r = bury(fd);
	return up || r ? failed("waiting for the link, or for its end", r) : 0;
}

/* The same in a config space that ends in the middle of it. The driver has seen it when it is
 * removed. */
int net_announce_cut(void)
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
 * Features that the driver takes, and must not be told of: for statistics it asks on the control
 * queue, whether there is one or not; a standby takes an interface of the machine that has its
 * address.
 */
int net_hidden(void)
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
int blk_cache(void)
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

/*
 * Every number in the config space is as large as can be. A driver that allocates memory or loops
 * by one of them must not take the kernel's time or make it complain; whether it likes the device
 * is its own business.
 */
int config_huge(void)
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
		r = create(fd, type, "huge", 8, 0xffffff | 0xfULL << 56, config, sizeof(config),
			   500, &pool_len);
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

/* Config spaces that end among the limits, with numbers that are too small, or nothing when they
 * are cut. */
int config_short(void)
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

/* Lines of the kernel's log that have come since @log was opened, and have @word in them. */
static int count_lines(int log, const char *word)
{
	char line[1024];
	int found = 0;
	ssize_t n;

	/* EPIPE: some were lost, which this log is too long for. */
	while ((n = read(log, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n > 0 ? n : 0] = 0;
		found += strstr(line, word) != NULL;
	}
	return found;
}

/*
 * A disk that changes its size all the time: its driver writes a line to the log for each change
 * that it hears of.
 */
int config_log(void)
{
	struct virtio_blk_config config = {.capacity = 2048};
	const struct vlb_config change = {
		.size = sizeof(change),
		.flags = VLB_CONFIG_NOTIFY,
		.len = sizeof(config),
		.data = (uintptr_t)&config,
	};
	const int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct timespec from, to;
	struct vlb_status status;
	char command[200];
	int fd = ctl_open(), r, lines, most;

	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		return failed("opening the kernel's log", -errno);
	r = start_unserved(fd, VIRTIO_ID_BLOCK, "log", 1, 0, &config, sizeof(config), &status);
	if (r)
		return failed("making a disk", r);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 1000; i++) {
		config.capacity = i % 2 ? 2048 : 4096;
		if (ioctl(fd, VLB_IOC_CONFIG, &change) < 0)
			return failed("changing the size", -errno);
		/* For the driver, which tells of changes that it sees. */
		usleep(1000);
	}
	/* However little the driver is told, it hears of the last one. */
	config.capacity = 6144;
	if (ioctl(fd, VLB_IOC_CONFIG, &change) < 0)
		return failed("changing the size", -errno);
	snprintf(
		command, sizeof(command),
		"timeout 60 sh -c 'until grep -qx 6144 /sys/bus/virtio/devices/%.31s/block/*/size; "
		"do sleep 0.1; done'",
		status.out_virtio);
	if (system(command))
		return failed("waiting for the last size", -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &to);
	lines = count_lines(log, "new size");
	most = (int)(to.tv_sec - from.tv_sec + 1) * 4 + 1;
	fprintf(stderr, "attack: 1001 changes, %d lines, at most %d\n", lines, most);
	if (lines < 1 || lines > most)
		return failed("counting lines of the log", -ERANGE);
	return bury(fd) ? failed("removing it", -ETIMEDOUT) : 0;
}
