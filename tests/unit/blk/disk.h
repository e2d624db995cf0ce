/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-blk as a program, and a driver for it: on top of the front-end of the library's tests.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <linux/virtio_blk.h>
#include <sys/types.h>

#include "child.h"
#include "frontend.h"

#define FILE_SIZE (4U << 20)
#define SECTORS (FILE_SIZE / 512)
#define DATA_MAX (2U << 20)

#define BLK_FEATURES                                                                              \
	(BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES) | BIT64(VIRTIO_BLK_F_FLUSH) | \
	 BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_DISCARD) |                           \
	 BIT64(VIRTIO_BLK_F_WRITE_ZEROES) | BIT64(VIRTIO_BLK_F_RO))

#define PROTOCOL_FEATURES                                                               \
	(BIT64(VHOST_USER_PROTOCOL_F_REPLY_ACK) | BIT64(VHOST_USER_PROTOCOL_F_CONFIG) | \
	 BIT64(VHOST_USER_PROTOCOL_F_STATUS))

struct disk {
	pid_t pid;
	struct frontend fe;
	uint64_t ring_features; /* of disk_start() */
	uint8_t *data;		/* DATA_MAX bytes that requests of queue 0 may use */
};

/* Make a file of FILE_SIZE in a directory of its own; both go with disk_files_remove(). */
extern char disk_file[128];
int disk_files_make(void **state);
int disk_files_remove(void **state);

/* Run the program. What it prints goes to @out, -1: where the test's own output goes. */
pid_t disk_run(const char *const *args, int out);
/* ... with its socket, connect, and go on with BLK_FEATURES. */
void disk_start(struct disk *disk, const char *const *args);
#define DISK_START(disk, ...) disk_start(disk, (const char *const[]){ __VA_ARGS__, NULL })
/* Another front-end, after frontend_close(); it has not said anything yet ... */
void disk_connect(struct disk *disk);
/* ... and accepts what is offered of @features. Queue 0 has 64 entries. */
void disk_negotiate(struct disk *disk, uint64_t features);
/* SIGTERM: it has to end well. */
void disk_stop(struct disk *disk);

/*
 * One request of queue 0: header, @out_len bytes of disk->data from @out_at on to the device,
 * @in_len from @in_at on from it. @pieces: how many descriptors the data is cut into.
 *
 * Return: the status.
 */
struct transfer {
	uint32_t type;
	uint64_t sector;
	uint32_t out_at, out_len;
	uint32_t in_at, in_len;
	uint32_t pieces;
};

uint8_t disk_request(struct disk *disk, const struct transfer *t);
uint8_t disk_read(struct disk *disk, uint64_t sector, uint32_t len);
uint8_t disk_write(struct disk *disk, uint64_t sector, uint32_t len);
uint8_t disk_range(struct disk *disk, uint32_t type, uint64_t sector, uint32_t num, uint32_t flags);

/* Any chain; what the device says about its length. */
uint32_t disk_raw(struct disk *disk, const struct buffer *buffers, unsigned int n);

void disk_config(struct disk *disk, struct virtio_blk_config *ret_config);

#endif
