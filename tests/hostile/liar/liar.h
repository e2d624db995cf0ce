/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * liar: a vhost-user disk in memory that serves correctly, until it lies.
 *
 *   main.c      command line, listening, life of a connection
 *   control.c   vhost-user messages, and lies about them
 *   ring.c      one thread for each queue, and lies in the rings
 *   disk.c      requests of virtio-blk
 *   threads.c   lies that go on in the background: storms, scribbling, floods
 *   lies.c      the table of lies
 */
#ifndef HOSTILE_LIAR_H
#define HOSTILE_LIAR_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_user.h"

#define QUEUES_MAX 8
#define SEGS_MAX 64
#define SECTOR 512
#define CONFIG_BYTES 60 /* of struct virtio_blk_config: without zones */

enum lie {
	LIE_NONE,

	/* In the used ring, once, at a completion. */
	LIE_ID_RANGE,
	LIE_ID_MAX,
	LIE_ID_FREE,
	LIE_ID_TWICE,
	LIE_IDX_FAR,
	LIE_IDX_ONE,
	LIE_IDX_BACK,

	/* In the used ring, from then on. */
	LIE_LEN_LONG,
	LIE_LEN_MAX,
	LIE_LEN_ZERO,
	LIE_USED_FLAGS,
	LIE_AVAIL_EVENT,
	LIE_STATUS_NONE,

	/* In the pool. */
	LIE_SCRIBBLE_TABLES,
	LIE_SCRIBBLE_ALL,
	LIE_LATE_WRITE,

	/* With descriptors and processes. */
	LIE_CALL_STORM,
	LIE_CALL_STALE,
	LIE_POOL_STALE,
	LIE_FD_ORDER,
	LIE_HANDOFF,
	LIE_HANG,
	LIE_STUCK,

	/* On the sockets. */
	LIE_CONFIG_FLOOD,
	LIE_CHANNEL_GARBAGE,
	LIE_UNASKED,
	LIE_REPLY_NONE,
	LIE_REPLY_TWICE,
	LIE_REPLY_CLOSE,
	LIE_REPLY_VERSION,
	LIE_REPLY_FLAGS,
	LIE_REPLY_REQUEST,
	LIE_REPLY_SHORT,
	LIE_REPLY_LONG,
	LIE_REPLY_HUGE,
	LIE_REPLY_HALF,
	LIE_REPLY_FDS,
	LIE_REPLY_VALUE,

	/* About itself. */
	LIE_CONFIG_SIZE,
	LIE_CONFIG_RANDOM,
	LIE_FEATURES_CHANGE,
	LIE_CAPACITY_ZERO,
	LIE_CAPACITY_MAX,
	LIE_CAPACITY_SHRINK,
	LIE_QUEUES_ZERO,
	LIE_QUEUES_MANY,

	LIE_END,
};

struct liar;

/* The front-end's memory: one region is all that vloop has. */
struct pool {
	int fd;
	uint8_t *map;
	uint64_t size;
	uint64_t guest;
	uint64_t user;
};

/* One piece of a request, checked to be inside the pool. */
struct seg {
	uint8_t *at;
	uint32_t len;
	bool write;
};

/*
 * @last, @nlast: pieces of the last request
 * @quiet: polls since then
 */
struct queue {
	struct liar *liar;
	uint32_t index;
	uint32_t num;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail;
	uint16_t used_idx;
	int kick;
	int call;
	int stop;
	bool running;
	struct seg last[SEGS_MAX];
	unsigned int nlast;
	unsigned int quiet;
	pthread_t thread;
};

/*
 * @after: completions before the lie; connections are counted from 1
 * @message: of LIE_REPLY_*; the @message_skip first ones are answered well
 * @cut: eventfd: drop the connection
 * @told: the lie has begun; set once
 */
struct liar {
	enum lie lie;
	uint64_t after;
	uint32_t message;
	uint64_t seed;
	uint8_t *disk;
	uint64_t bytes;
	uint32_t nqueues;
	uint64_t offered;

	int listen;
	int sock;
	int channel;
	int cut;
	unsigned int connection;
	uint64_t features;
	uint64_t protocol;
	struct pool pool;
	struct queue queues[QUEUES_MAX];
	_Atomic uint64_t served;
	atomic_bool told;
};

/* lies.c */
const char *lie_name(enum lie lie);
enum lie lie_find(const char *name);
void lie_list(void);

/* True from completion number liar->after on. */
bool lie_due(const struct liar *liar, enum lie lie);

/* True for one caller only. */
bool lie_once(struct liar *liar);

/* control.c: 0; -errno: the connection is over. */
int control_message(struct liar *liar);
void pool_forget(struct liar *liar);

/* ring.c */
int queue_start(struct queue *queue);
void queue_stop(struct queue *queue);
void queue_close(struct queue *queue);

/* disk.c: bytes written for the driver */
uint32_t disk_request(struct liar *liar, const struct seg *segs, unsigned int nsegs, bool status);
void disk_config(const struct liar *liar, struct virtio_blk_config *ret_config);

/* threads.c: begin the lie's background work, if it has any. Called when it is due. */
void threads_begin(struct queue *queue);

#endif
