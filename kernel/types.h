/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VLB_TYPES_H
#define VLB_TYPES_H

#include <linux/types.h>
#include <linux/virtio_loopback.h>

struct vlb_device;
struct vlb_limits;

/*
 * What a queue of some device type is for; decides what the relay may do with a request that
 * has no device to answer it.
 */
/*
 * Buffers that wait for the device: offered to the next back-end, always, and never failed while
 * the device is not being removed.
 */
#define VLB_ROLE_RX		(1u << 0)
/* The driver reads used.len bytes and no more. */
#define VLB_ROLE_LEN		(1u << 1)
/* Clear long device-writable buffers as well. */
#define VLB_ROLE_CLEAR		(1u << 2)
/* Device-readable requests are done once copied. */
#define VLB_ROLE_POSTED		(1u << 3)
/* A driver waits here with a lock held. */
#define VLB_ROLE_WATCHDOG	(1u << 4)
/* The driver spins for each request, with interrupts off; with VLB_ROLE_POSTED. */
#define VLB_ROLE_SPIN		(1u << 5)
/* The driver keeps what finds its ring full, and tries again; with VLB_ROLE_SPIN. */
#define VLB_ROLE_REFUSE		(1u << 6)
/* Anybody may come to wait here: a watchdog where the device's owner is not trusted. */
#define VLB_ROLE_WATCH_USERS	(1u << 7)

/* The driver is not called before it is bound: until its probe ends, what it is given is nobody's. */
#define VLB_ROLE_PROBED		(1u << 8)
/* Nor before it has said that it knows the queue, see vlb_queues_call(). */
#define VLB_ROLE_KNOWN		(1u << 9)
/*
 * The driver frees all requests that it has notified of at once when one of them has failed: they
 * are taken when it has done so, and come back together. Without VIRTIO_RING_F_EVENT_IDX, so that it
 * notifies each time.
 */
#define VLB_ROLE_TOGETHER	(1u << 10)

/* What a driver says once to the device, and never again: a bit each. */
#define VLB_FACTS		(1 + VLB_QUEUES_MAX / 2)
/* What else a type remembers of the driver, in the same bitmap; nobody is told. */
#define VLB_NOTES		(VLB_FACTS + VLB_QUEUES_MAX)
/* The longest message that tells of one. */
#define VLB_FACT_BYTES		8

/**
 * struct vlb_role - a kind of queue
 * @flags: VLB_ROLE_*
 * @ring_max: the most entries that the driver's ring may have; 0: as many as the device asks for
 * @nstart: bytes used of @start
 * @nend: bytes used of @end
 * @start: how the device-writable part of a failed request begins
 * @end: how it ends
 * @early: the driver must not see yet what the back-end wrote, as for @seen: it is left to the back-end
 *	until somebody calls vlb_queue_more(). NULL: nothing is too early.
 * @seen: looks at what the back-end wrote before the driver does: @piece has the first @len
 *	bytes of it, in memory that no device process sees, of at most @total that the driver has
 *	room for. False: the driver must not see it, and finds @start in the piece, then zeroes.
 *	May sleep. NULL: nobody looks.
 * @mend: changes what the driver must not see in the second buffer of an answer, @answer with
 *	@len bytes, to a request that begins with the @asked_len bytes of @asked; after @seen.
 *	NULL: nothing
 * @said: notes in @facts what a request says, the first piece of which has @len bytes; in the
 *	driver's context. The fact that it is about, or -1. NULL: requests say nothing that lasts.
 * @restate: puts the message that says whether @fact is so into @bytes, for a back-end that does
 *	not know; its length. With @said.
 */
struct vlb_role {
	u16 flags;
	u16 ring_max;
	u8 nstart;
	u8 nend;
	u8 start[12];
	u8 end[8];
	bool (*early)(const unsigned long *facts, const u8 *piece, u32 len);
	bool (*seen)(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
		     u32 total);
	void (*mend)(const u8 *asked, u32 asked_len, u8 *answer, u32 len);
	int (*said)(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len);
	u32 (*restate)(unsigned int fact, bool so, u8 bytes[VLB_FACT_BYTES]);
};

/**
 * struct vlb_field - bytes of the config space that a driver may write
 * @offset: of the first byte
 * @len: exactly so many at once; 0 ends a list
 * @wait: the driver goes on when the back-end has answered
 * @answer: the write is a question, and what the driver reads from here on is the answer: zeroes
 *	when none came. What lies before this is what the driver wrote, whatever the back-end
 *	says. 0: it is no question; the same in all fields of a type
 */
struct vlb_field {
	u16 offset;
	u8 len;
	bool wait;
	u16 answer;
};

/**
 * struct vlb_type - everything that depends on the virtio device type
 * @id: virtio device id (virtio 1.3, 5)
 * @name: short name, as users write it
 * @vclass: VLB_CLASS_*
 * @reoffer: a request that may have been done may be done again
 * @pool: default bytes of the pool
 * @pool_queue: default bytes for each queue after the first
 * @writable: config fields the driver may write, or NULL
 * @role: gives queue @index its role, of @nvqs that the driver asked for, with the features
 *	that it accepted; never NULL
 * @fit: fits the config space and features that the driver sees to what the pool can
 *	hold, or NULL
 * @waited: somebody sleeps until a receive buffer returns, and the driver may wait for them while
 *	it is removed: the buffers come back empty then
 * @fixed: the driver reads numbers of the config space that belong together one by one, and once:
 *	they stay what they were when the device was made
 * @terminals: the driver makes terminals, see terminal.c
 * @trusting: features whose use in the driver is not safe with a hostile device: for trusted ones only
 * @needed_asleep: the driver, or whoever uses it, makes requests while the machine goes to sleep and
 *	wakes up, and waits for them
 */
struct vlb_type {
	u32 id;
	const char *name;
	u8 vclass;
	bool reoffer;
	u32 pool;
	u32 pool_queue;
	const struct vlb_field *writable;
	const struct vlb_role *(*role)(unsigned int index, unsigned int nvqs, u64 features);
	void (*fit)(const struct vlb_limits *limits, u8 *config, u32 len, u64 *features);
	bool waited;
	bool fixed;
	bool terminals;
	u64 trusting;
	bool needed_asleep;
};

/**
 * struct vlb_limits - what a queue's part of the pool can hold
 * @request: bytes of one request; a quarter of the arena where that is large, so that several
 *	are in flight
 * @arena: bytes of a request that is alone in the queue
 * @nqueues: queues of the device
 */
struct vlb_limits {
	u32 request;
	u32 arena;
	u16 nqueues;
};

/* console.c */
const struct vlb_role *vlb_console_roles(unsigned int index, unsigned int nvqs, u64 features);

/* terminal.c */
#ifdef CONFIG_HVC_DRIVER
void vlb_terminals_keep(struct vlb_device *vlb, unsigned int queue);
#else
static inline void vlb_terminals_keep(struct vlb_device *vlb, unsigned int queue)
{
}
#endif

/* config.c */
void vlb_config_read(struct vlb_device *vlb, unsigned int offset, void *buf, unsigned int len);

/* queue.c */
void vlb_queue_change_role(struct vlb_device *vlb, unsigned int index,
			   const struct vlb_role *role);
void vlb_queue_catch_up(struct vlb_device *vlb, unsigned int index);
bool vlb_queue_in_use(struct vlb_device *vlb, unsigned int index);
void vlb_queues_call(struct vlb_device *vlb, unsigned int first, unsigned int n);
void vlb_queues_call_no_more(struct vlb_device *vlb, unsigned int first, unsigned int n);

const struct vlb_type *vlb_type_find(u32 id);
const struct vlb_type *vlb_type_by_name(const char *name, size_t len);

#endif
