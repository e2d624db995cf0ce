/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the library share.
 *
 *   dev.c        the device: life, configuration space, messages
 *   loop.c       descriptors that the control thread watches; vloop_dev_process(), vloop_run()
 *   conn.c       one front-end: taking it, reading from it, sending it away
 *   control.c    what each vhost-user message does
 *   memory.c     memory regions of the front-end
 *   queue.c      a queue starts, runs and stops; its thread; kicks and calls
 *   ring.c       what both ring formats need: requests, buffers, pop/complete/flush
 *   split.c      split rings (virtio 1.3, 2.7)
 *   packed.c     packed rings (virtio 1.3, 2.8)
 *   inflight.c   the shared record of requests in flight (split rings)
 *   program.c    what device programs have in common
 *
 * Everything belongs to the control thread, except the ring of a running queue (struct vloop_queue
 * below "ring") and what is atomic.
 */
#ifndef LIB_INTERNAL_H
#define LIB_INTERNAL_H

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <vloop/vloop.h>

#include "vhost_user.h"

/* virtio 1.3, 6: bits that the library decides about. */
#define F_INDIRECT_DESC		28
#define F_EVENT_IDX		29
#define F_VERSION_1		32
#define F_RING_PACKED		34

#define BIT64(n)		(1ULL << (n))

/* virtio 1.3, 2.7.5 and 2.8.6: descriptor flags. */
#define DESC_NEXT		1U
#define DESC_WRITE		2U
#define DESC_INDIRECT		4U

#define MEM_SLOTS_MAX		64U	/* QEMU offers at most 32 to a PC; crosvm and others use few */
#define DEFAULT_QUEUE_SIZE	1024U
#define DEFAULT_SEGMENTS	1024U
#define PARTIAL_MESSAGE_MS	1000	/* a front-end that sends half a message is gone */
#define REPLY_MS		1000	/* ... as is one that does not read its replies */

/* One region of memory; the unused ones have no size. */
struct mem_region {
	uint64_t guest_addr;
	uint64_t user_addr;
	uint64_t size;
	uint8_t *host;		/* where guest_addr is */
	void *map;
	size_t map_len;
};

struct mem {
	unsigned int num;
	struct mem_region regions[MEM_SLOTS_MAX];
};

enum watch_kind {
	WATCH_LISTEN,
	WATCH_RETRY,
	WATCH_CONN,
	WATCH_WAKE,
	WATCH_KICK,
	WATCH_USER,
};

/* A descriptor in the device's epoll set, while @armed. */
struct watch {
	enum watch_kind kind;
	bool armed;
	int fd;
	struct vloop_queue *queue;	/* WATCH_KICK */
	vloop_watch_fn fn;		/* WATCH_USER, from here on */
	void *user;
	struct watch *next;
};

/* virtio 1.3, 2.7.5 */
struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* virtio 1.3, 2.7.6; used_event follows the ring */
struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

/* virtio 1.3, 2.7.8; avail_event follows the ring */
struct split_used {
	uint16_t flags;
	uint16_t idx;
	struct split_used_elem {
		uint32_t id;
		uint32_t len;
	} ring[];
};

/* virtio 1.3, 2.8.13 */
struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/* virtio 1.3, 2.8.14, both halves in one word: offset and wrap bit low, flags high. */
typedef uint32_t packed_event;

struct split {
	struct split_desc *desc;
	struct split_avail *avail;
	struct split_used *used;
	uint16_t last_avail;	/* next entry to be taken */
	uint16_t seen_avail;	/* the driver's index, as last loaded */
	uint16_t used_idx;	/* next entry to be filled */
	uint16_t published;	/* the device's index, as last stored */
};

struct packed {
	struct packed_desc *desc;
	packed_event *driver_event;
	packed_event *device_event;
	uint16_t avail_idx;	/* next descriptor to be taken ... */
	bool avail_wrap;	/* ... and the wrap counter there */
	uint16_t used_idx;	/* next descriptor to be filled ... */
	bool used_wrap;
	uint16_t batch;		/* descriptors filled since the last flush */
	uint16_t first_idx;	/* the first of them: its flags are written last, by the flush */
	uint16_t first_flags;
	uint32_t desc_out;	/* descriptors of requests in flight */
};

struct inflight_queue;

struct vloop_queue {
	struct vloop_dev *dev;
	unsigned int index;
	void *user;

	/* As the front-end said it. */
	uint32_t num;
	uint32_t base;		/* where to go on; in the form of SET_VRING_BASE */
	bool have_addr;
	uint64_t desc_addr;
	uint64_t avail_addr;
	uint64_t used_addr;
	int kick_fd;
	int err_fd;
	bool enabled;
	bool started;		/* kicked since SET_VRING_KICK, or needs no kick */
	bool running;		/* between queue_start() and queue_stop() */
	bool check;		/* the loop is to look at the ring without waiting for a kick */
	struct watch kick;

	/*
	 * The descriptor keeps its number while the connection lasts; a new SET_VRING_CALL replaces
	 * the file behind it (dup3), so that a thread writing to it never meets a closed or a
	 * reused number.
	 */
	atomic_int call_fd;
	atomic_bool call_off;
	atomic_bool call_waits;	/* write(2) of it may wait, and is not to be tried when it would */

	/* Thread. */
	pthread_t thread;
	bool have_thread;
	bool first_wait;
	int stop_fd;
	int wait_fd;		/* epoll set of the two, while the thread runs */
	atomic_bool stopping;
	atomic_int error;	/* set once by whoever finds it; the control thread disconnects */

	/* Ring: belongs to the thread that serves the queue, while it runs. */
	uint16_t size;
	bool is_packed;
	bool event_idx;
	bool indirect;
	bool armed;		/* the driver was asked to kick */
	bool broken;
	unsigned int hint;	/* region of the last buffer */
	unsigned int in_flight;
	uint32_t segments_max;
	union {
		struct split split;
		struct packed packed;
	};
	struct vloop_req *reqs;	/* one for each descriptor: chains and buffer ids are below size */
	struct iovec *iovs;	/* segments_max for each of them */
	size_t iovs_len;	/* in bytes, as mapped */
	unsigned int reqs_num;

	struct inflight_queue *inflight;	/* NULL: not recorded */
	uint64_t inflight_counter;
	uint16_t *resubmit;	/* heads to be taken before new ones */
	unsigned int resubmit_num;
	unsigned int resubmit_next;
	uint16_t *batch;	/* heads completed since the last flush */
	unsigned int batch_num;
};

struct vloop_dev {
	unsigned int refs;
	struct vloop_dev_ops ops;
	void *user;
	char *name;
	uint64_t features;		/* offered */
	uint64_t protocol_features;	/* offered */
	uint32_t queue_size_max;
	uint32_t segments_max;
	enum vloop_dispatch dispatch;
	unsigned int num_queues;
	struct vloop_queue *queues;
	uint8_t config[VLOOP_CONFIG_MAX];
	uint32_t config_len;

	vloop_log_fn log;
	void *log_user;
	int log_level;

	int epoll_fd;
	int wake_fd;
	struct watch listen;
	struct watch retry;	/* a timer, set while front-ends cannot be taken */
	struct watch conn;
	struct watch wake;
	struct watch *user_watches;
	char *socket_path;	/* to be removed at the end, if it is still this file */
	dev_t socket_dev;
	ino_t socket_ino;
	bool once;
	bool paused;		/* no front-end could be taken, which has been said */
	bool done;		/* no front-end can come any more */
	bool stuck;		/* queue_stop() left requests: memory cannot be unmapped */
	atomic_bool stop;
	atomic_bool disconnect;

	/* The connection; all of it is forgotten when it ends. */
	uint64_t acked;
	uint64_t acked_protocol;
	bool config_refused;	/* and it was said */
	uint8_t status;
	int request_fd;		/* the back-end's own channel */
	struct mem mem;
	void *inflight_map;
	size_t inflight_map_len;
	uint16_t inflight_queues;
	uint16_t inflight_size;
};

/* dev.c */
void dev_log(const struct vloop_dev *dev, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
#define dev_error(dev, ...)	dev_log(dev, 3, __VA_ARGS__)
#define dev_info(dev, ...)	dev_log(dev, 6, __VA_ARGS__)
#define dev_debug(dev, ...)	dev_log(dev, 7, __VA_ARGS__)

/* loop.c */
int watch_add(struct vloop_dev *dev, struct watch *watch, int fd, uint32_t events);
void watch_remove(struct vloop_dev *dev, struct watch *watch);
void dev_wake(struct vloop_dev *dev);

/* conn.c */
int conn_take(struct vloop_dev *dev, int fd);
void conn_listen(struct vloop_dev *dev);
void conn_retry(struct vloop_dev *dev);
int conn_accept(struct vloop_dev *dev, uint32_t events);
int conn_readable(struct vloop_dev *dev);
void conn_close(struct vloop_dev *dev);

/* control.c: do what a checked message says; turns @msg into its answer if it has one. */
int control_handle(struct vloop_dev *dev, struct vhost_user_msg *msg);
int config_level(struct vloop_dev *dev);

/* memory.c */
int mem_add(struct mem *mem, const struct vhost_user_region *region, int fd);
int mem_remove(struct mem *mem, const struct vhost_user_region *region);
void mem_clear(struct mem *mem);
void *mem_user(const struct mem *mem, uint64_t addr, uint64_t len, uint64_t align);
const struct mem_region *mem_find(const struct mem *mem, uint64_t addr, unsigned int *hint);

/*
 * The guest address @addr as a pointer, valid for *@len bytes, which becomes less where the
 * region ends. NULL: not in any region.
 */
static inline void *mem_guest(const struct mem *mem, unsigned int *hint, uint64_t addr,
			      uint64_t *len)
{
	const struct mem_region *region = &mem->regions[*hint];

	if (addr - region->guest_addr >= region->size) {
		region = mem_find(mem, addr, hint);
		if (!region)
			return NULL;
	}
	if (*len > region->size - (addr - region->guest_addr))
		*len = region->size - (addr - region->guest_addr);
	return region->host + (addr - region->guest_addr);
}

/* queue.c */
void queue_init(struct vloop_queue *queue, struct vloop_dev *dev, unsigned int index);
void queue_release(struct vloop_queue *queue);
int queue_update(struct vloop_queue *queue);
void queue_halt(struct vloop_queue *queue);
int queue_try_kick(struct vloop_queue *queue, int fd);
bool queue_can_signal(struct vloop_queue *queue, int fd);
void queue_set_kick(struct vloop_queue *queue, int fd);
int queue_set_call(struct vloop_queue *queue, int fd);
void queue_kicked(struct vloop_queue *queue);
void queue_signal(struct vloop_queue *queue);
void queue_signal_error(struct vloop_queue *queue);
int queue_fail(struct vloop_queue *queue, int error);
void queue_forget(struct vloop_queue *queue);

/* ring.c */
int ring_open(struct vloop_queue *queue);
void ring_close(struct vloop_queue *queue);
void ring_free(struct vloop_queue *queue);
int ring_error(struct vloop_queue *queue, const char *what);
struct vloop_req *ring_begin(struct vloop_queue *queue, uint16_t id);
int ring_add(struct vloop_queue *queue, struct vloop_req *req, uint64_t addr, uint32_t len,
	     bool write);
const void *ring_indirect(struct vloop_queue *queue, uint64_t addr, uint32_t len);

/* split.c, packed.c */
int split_open(struct vloop_queue *queue);
uint32_t split_base(const struct vloop_queue *queue);
int split_pop(struct vloop_queue *queue, struct vloop_req **reqs, unsigned int max);
void split_complete(struct vloop_queue *queue, const struct vloop_req *req, uint32_t written);
bool split_flush(struct vloop_queue *queue);
int packed_open(struct vloop_queue *queue);
uint32_t packed_base(const struct vloop_queue *queue);
int packed_pop(struct vloop_queue *queue, struct vloop_req **reqs, unsigned int max);
void packed_complete(struct vloop_queue *queue, const struct vloop_req *req, uint32_t written);
bool packed_flush(struct vloop_queue *queue);

/* inflight.c */
int inflight_create(struct vloop_dev *dev, struct vhost_user_inflight *info, int *ret_fd);
int inflight_set(struct vloop_dev *dev, const struct vhost_user_inflight *info, int fd);
void inflight_unmap(struct vloop_dev *dev);
bool inflight_left(const struct vloop_queue *queue);
int inflight_open(struct vloop_queue *queue);
void inflight_close(struct vloop_queue *queue);
void inflight_taken(struct vloop_queue *queue, uint16_t head);
void inflight_completed(struct vloop_queue *queue, uint16_t head);
void inflight_published(struct vloop_queue *queue);

/*
 * Copy something out of shared memory: whatever is done to it there afterwards, the local stays as
 * it is. The empty assembly keeps the compiler from going back to the original.
 */
#define copy_once(local, shared)                                                                   \
	do {                                                                                       \
		memcpy((local), (shared), sizeof(*(local)));                                       \
		__asm__ volatile("" : "+m"(*(local)));                                             \
	} while (0)

/* virtio 1.3, 2.7.7.2: whether going from @old to @new passes @event. */
static inline bool need_event(uint16_t event, uint16_t new_idx, uint16_t old)
{
	return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old);
}

#endif
