/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-loopback: what the parts of the module share.
 *
 * Locks, outermost first:
 *
 *   devices_lock       mutex (device.c): the list of devices, and the machine's sleep.
 *   vlb->lock          mutex: state, session, epoch. Never held while waiting for user space
 *                      or for a driver.
 *   q->complete, then  gates (queue.c): one context at a time takes completions, or submits.
 *   q->submit          Nobody waits for a gate except vlb_queue_freeze(), which holds both
 *                      while it changes what belongs to a session.
 *   q->post_lock       irqsave: submitting on queues whose drivers spin with interrupts
 *                      off, so that a holder is never preempted.
 *   q->lock            irqsave, a few instructions: the driver's used ring, the ids and the
 *                      arena of the back-end's ring.
 *   vlb->event_lock    irqsave: pending events.
 *   vlb->config_lock   irqsave: the config space.
 */
#ifndef VLB_H
#define VLB_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_loopback.h>
#include <linux/virtio_ring.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "arena.h"
#include "compat.h"
#include "layout.h"
#include "types.h"

#define VLB_QUEUE_SIZE_DEFAULT	256
#define VLB_TIMEOUT_MS_DEFAULT	30000
#define VLB_TIMEOUT_MS_MAX	(3600 * 1000)

/* Guest address of the pool; not 0, which some back-ends take for "no address". */
#define VLB_POOL_BASE		(1ULL << 32)

/* The smallest arena of a queue: a disk can still transfer 64 KiB at once. */
#define VLB_ARENA_MIN		SZ_64K

/*
 * Bytes copied or cleared in the driver's context: with interrupts off, where it must not sleep, and
 * elsewhere. The rest is for the device's thread.
 */
#define VLB_INLINE_IRQS_OFF	SZ_16K
#define VLB_INLINE_ATOMIC	SZ_64K
#define VLB_INLINE		SZ_4M

/* The same where the driver spins. It sends less, a page at once; more is dropped. */
#define VLB_POSTED_MAX		SZ_64K

/* Requests that one run of a gate handles before it lets the device's thread go on. */
#define VLB_RUN_BUDGET		1024

/* Device-writable pieces that a request keeps: data and a trailer. */
#define VLB_IN_KEPT	2

/* Bytes copied before the back-end is told, so that it starts while more is copied. */
#define VLB_PUBLISH_BYTES	SZ_128K

struct eventfd_ctx;
struct vlb_device;
struct vlb_link;

/* struct vlb_gate.bits */
enum { VLB_GATE_RUN, VLB_GATE_PENDING, VLB_GATE_WAIT };

/**
 * struct vlb_gate - lets one context in, and makes it do the others' work
 * @bits: RUN: somebody is in; PENDING: there may be work; WAIT: somebody sleeps for RUN
 * @wait: for vlb_gate_lock()
 */
struct vlb_gate {
	unsigned long bits;
	wait_queue_head_t wait;
};

/* Who is in ends its work soon: somebody sleeps until it has left. */
static inline bool vlb_gate_wanted(const struct vlb_gate *gate)
{
	return test_bit(VLB_GATE_WAIT, &gate->bits);
}

/**
 * struct vlb_request - a request that the back-end has
 * @seq: order of submission
 * @head: first descriptor in the driver's ring
 * @ndesc: descriptors held in the back-end's ring
 * @nruns: used entries of @runs
 * @nin: device-writable pieces
 * @in_len: bytes of them
 * @out_len: bytes that the device reads
 * @written: used.len for the driver, once answered
 * @at: where they begin in the driver's chain
 * @in: the pieces, where there are no more of them
 * @posted: the driver has it back already
 * @live: the back-end may answer it. Set with release when the driver's buffers are not
 *	needed any more for submitting; a device that answers earlier breaks the rules.
 * @runs: pages of the arena
 */
struct vlb_request {
	u64 seq;
	u16 head;
	u16 ndesc;
	u8 nruns;
	u8 nin;
	bool posted;
	bool live;
	u32 in_len;
	u32 out_len;
	u32 written;
	struct vlb_at at;
	struct vlb_seg in[VLB_IN_KEPT];
	struct vlb_run runs[VLB_RUNS_MAX];
};

/**
 * struct vlb_kick - tells a back-end that there are requests
 * @ref: the ring's, and the file's
 * @eventfd: to signal, or NULL: there is a file of this module's, for which the rest is
 * @wait: its lock is for @count and @forced
 * @count: kicks and writes that nobody has read
 * @forced: one of them is not about requests
 * @offered: available index of the ring; the submit gate's
 * @taken: how many of these requests were taken back; the complete gate's
 */
struct vlb_kick {
	struct kref ref;
	struct eventfd_ctx *eventfd;
	wait_queue_head_t wait;
	u64 count;
	bool forced;
	u16 offered;
	u16 taken;
};

/**
 * struct vlb_ring - a queue's ring and memory towards one back-end
 * @pool, @base: the session's pool, and what descriptors have for its first byte
 * @desc, @avail, @used: the split ring, in the pool
 * @num: entries
 * @indirect, @event_idx: ring features that the back-end offers
 * @slots_off: offset in the pool of the control slots, one per id
 * @arena_off: offset in the pool of the arena
 * @avail_idx: next index to publish; the submit gate's
 * @published: last published; the submit gate's
 * @used_idx: next used element to take; the complete gate's
 * @kick: signalled when requests are available
 * @requests: by id
 * @next: free descriptors, linked; q->lock
 * @free_head, @nfree: q->lock
 * @arena: q->lock
 * @broken: the back-end broke the rules; nothing is taken from it any more
 */
struct vlb_ring {
	void *pool;
	u64 base;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	u16 num;
	bool indirect;
	bool event_idx;
	u32 slots_off;
	u32 arena_off;
	u16 avail_idx;
	u16 published;
	u16 used_idx;
	struct vlb_kick *kick;
	struct vlb_call_eventfd *call;
	struct vlb_request *requests;
	u16 *next;
	u16 free_head;
	u16 nfree;
	struct vlb_arena arena;
	bool broken;
};

/**
 * struct vlb_stats - a queue's counters, since the device was made
 *
 * @requests, @bytes_out, @kicks, @reoffered, @stalls: the submit gate's
 * @completed, @bytes_in, @calls, @clamped: the complete gate's
 * @failed, @dropped, @dropped_bytes: q->lock
 */
struct vlb_stats {
	u64 requests;
	u64 bytes_out;
	u64 kicks;
	u64 stalls;
	u64 reoffered;
	u64 completed;
	u64 bytes_in;
	u64 calls;
	u64 clamped;
	u64 failed;
	u64 dropped;
	u64 dropped_bytes;
};

/* What becomes of requests that a session leaves unfinished. */
enum vlb_rest {
	VLB_REST_OFFER,		/* the next session gets them, where the type allows it */
	VLB_REST_FAIL,		/* they fail */
	VLB_REST_FORGET,	/* the driver has reset the device */
};

/**
 * struct vlb_redo - a request to be offered again
 * @seq: order of its first submission
 * @head: in the driver's ring
 */
struct vlb_redo {
	u64 seq;
	u16 head;
};

/**
 * struct vlb_queue - a virtqueue; lives as long as the device
 * @vlb: its device
 * @index: its number
 * @role: what it is for; changes as @vq, and by vlb_queue_change_role()
 * @submit, @complete: gates of the two directions
 * @post_lock: see the lock order
 * @lock: see the lock order
 * @vq: the driver's virtqueue, NULL while it has none; changes with both gates held
 * @ready: @vq is set and the driver is up: requests may be taken and answered; as @vq
 * @vring: its ring: private to the driver and this module
 * @event_idx: negotiated with the driver
 * @last_avail: next entry to take; the submit gate's
 * @notified: the driver's available index when it last notified, where the role wants that; q->lock
 * @used_idx: next used element to write; q->lock
 * @pushed: used elements that were written, ever
 * @signalled: @used_idx when the driver was last called, or chose not to be; the complete gate's
 * @callback: used elements were added, the driver has not been called; set with q->lock, cleared
 *	with the complete gate
 * @quiet: the driver is not called; see vlb_queues_call()
 * @stalled: submitting waits for an id or pages; q->lock
 * @gate_closed: @submit is not used any more: the driver spins, or is going to
 * @spun: the driver has spun since it has this role
 * @refusing: the driver is made to find its ring full, see vlb_queue_pace(); as the next three
 *	and @spun, post_lock, and set in the driver's own context
 * @dropping: it was for too long
 * @full_since: jiffies when that began, or when the back-end last took something
 * @full_completed: stats.completed then
 * @seq: of the next request; the submit gate's
 * @redo: to be offered again before new entries, in order, room for all; the submit gate's
 * @redo_pos, @redo_num: what of @redo is left
 * @plan: of the request that is being submitted, not on the stack, which many kernels clear each
 *	time; as @last_avail
 * @ring: of the session that is started, or NULL; changes with both gates and post_lock held
 * @failing: requests without a session fail; as @ring
 * @work: runs both gates in the device's thread
 * @has_thread: the thread is there; q->lock
 * @watch: time-out on queues with a watchdog
 * @watching: it is armed, or on its way; as the next two and @pushed, q->lock
 * @watch_pushed: @pushed when it was armed
 * @watch_waited: a request was out then
 * @watch_sleeps: vlb_sleeps then
 * @watch_asleep: vlb_asleep then
 * @kobj: the directory in sysfs
 */
struct vlb_queue {
	struct vlb_device *vlb;
	unsigned int index;
	const struct vlb_role *role;
	struct vlb_gate submit;
	struct vlb_gate complete;
	spinlock_t post_lock;
	spinlock_t lock;

	struct virtqueue *vq;
	bool ready;
	struct vring vring;
	bool event_idx;
	u16 last_avail;
	u16 notified;
	u16 used_idx;
	u16 signalled;
	bool callback;
	bool quiet;
	bool stalled;
	bool gate_closed;
	bool spun;
	bool refusing;
	bool dropping;
	unsigned long full_since;
	u64 full_completed;
	u64 pushed;
	u64 seq;
	struct vlb_redo *redo;
	u16 redo_pos;
	u16 redo_num;
	struct vlb_plan plan;

	struct vlb_ring *ring;
	bool failing;

	struct kthread_work work;
	bool has_thread;
	struct delayed_work watch;
	bool watching;
	bool watch_waited;
	unsigned int watch_sleeps;
	bool watch_asleep;
	u64 watch_pushed;
	struct vlb_stats stats;
	struct kobject *kobj;
};

/**
 * struct vlb_link - a session: pool and rings of one back-end
 * @vlb: the device; the session serves no longer
 * @unmap_work: gives the pool back
 * @flags: VLB_SESSION_*
 * @epoch: it belongs to
 * @pages, @npages: pinned
 * @mm, @charged: where, and how many pages are charged
 * @pool: mapped
 * @base: what descriptors have for the pool's first byte
 * @nqueues: entries of @rings
 * @rings: by queue; num is 0 where the driver has no queue
 */
struct vlb_link {
	struct vlb_device *vlb;
	struct work_struct unmap_work;
	u32 flags;
	u32 epoch;
	struct page **pages;
	unsigned long npages;
	struct mm_struct *mm;
	unsigned long charged;
	void *pool;
	u64 base;
	unsigned int nqueues;
	struct vlb_ring rings[];
};

/**
 * struct vlb_config_write - the config write that user space is asked to forward
 * @id: of the event; 0: wants no answer, or has it
 * @offset, @len, @data: what the driver wrote
 * @busy: in use
 * @error: the answer
 * @done: completed by the answer, or when nobody is left to answer
 */
struct vlb_config_write {
	u64 id;
	u32 offset;
	u32 len;
	u8 data[8];
	bool busy;
	int error;
	struct completion done;
};

/**
 * struct vlb_device - a device
 * @dev: its directory in sysfs; its reference count
 * @vdev: what the driver binds to; registered once
 * @node: in the list of names
 * @visible: can be found there
 * @type: its row in the table
 * @name: unique
 * @owner_uid, @owner_pid: of its creator
 * @privileged: its creator had CAP_SYS_ADMIN
 * @trusted: VLB_CREATE_TRUSTED
 * @lock: see the lock order
 * @state: VLB_STATE_*
 * @failing: requests fail while there is no session
 * @broken: VLB_BROKEN_*, or 0; the device stays so
 * @break_reason: for @break_work
 * @orphan: the creating file is closed
 * @ending: it is being removed, and requests of all its queues fail; set with @lock
 * @registered: @vdev is known to the driver core
 * @register_error: 0 or -errno, when registering has ended
 * @virtio_name: of @vdev, which may be gone already
 * @link: the session that is prepared or started
 * @links: number of sessions that were prepared
 * @started: @link is started
 * @session_id: number of starts; tells call files of earlier sessions
 * @epoch: resets by the driver
 * @pool_len: bytes of each session's pool
 * @queue_size, @driver_queue_size: entries
 * @device_features: what the back-end offers
 * @offered: what the driver is offered
 * @status: virtio status byte
 * @worker: the device's thread
 * @register_work, @remove_work, @bound_work, @break_work: see device.c
 * @bound_sleeps: vlb_sleeps when @bound_work was queued
 * @probed_work: waits for the end of the driver's probe
 * @terminals, @terminals_at_reset, @terminals_work: see terminal.c
 * @removed: completed when the device is gone
 * @config_lock, @config, @config_len, @generation: the config space that the driver sees
 * @config_moment: when user space replaced it; 64 bits of jiffies
 * @notify_work: tells the driver that it changed
 * @notify_next: not before this moment; 64 bits of jiffies, with @lock
 * @config_mutex: one config write at a time
 * @config_write: it
 * @event_lock, @events, @event_wait: pending events, a bit each
 * @facts: what the driver has said since its last reset that a new back-end has to know, see
 *	struct vlb_role, and notes
 * @untold: facts that this one does not know as they are; post_lock of the queue that tells it
 * @nqueues, @queues: by number
 * @queues_kobj: their directory in sysfs
 */
struct vlb_device {
	struct device dev;
	struct virtio_device vdev;
	struct list_head node;
	bool visible;
	const struct vlb_type *type;
	char name[VLB_NAME_MAX];
	kuid_t owner_uid;
	pid_t owner_pid;
	bool privileged;
	bool trusted;

	struct mutex lock;
	u32 state;
	bool failing;
	u32 broken;
	u32 break_reason;
	bool orphan;
	bool ending;
	bool registered;
	int register_error;
	char virtio_name[VLB_NAME_MAX];
	struct vlb_link *link;
	unsigned int links;
	bool started;
	u32 session_id;
	u32 epoch;
	u64 pool_len;
	u32 timeout_ms;
	u16 queue_size;
	u16 driver_queue_size;
	u64 device_features;
	u64 offered;
	u8 status;

	struct kthread_worker *worker;
	struct work_struct register_work;
	struct work_struct remove_work;
	struct delayed_work bound_work;
	unsigned int bound_sleeps;
	struct work_struct break_work;
	struct delayed_work probed_work;
	struct llist_head terminals;
	struct llist_head terminals_at_reset;
	struct work_struct terminals_work;
	struct completion removed;

	spinlock_t config_lock;
	u8 *config;
	u32 config_len;
	u32 generation;
	u64 config_moment;
	struct delayed_work notify_work;
	u64 notify_next;
	struct mutex config_mutex;
	struct vlb_config_write config_write;
	u64 config_id;

	spinlock_t event_lock;
	unsigned long events;
	wait_queue_head_t event_wait;

	DECLARE_BITMAP(facts, VLB_NOTES);
	DECLARE_BITMAP(untold, VLB_FACTS);

	unsigned int nqueues;
	struct kobject *queues_kobj;
	struct vlb_queue queues[] __counted_by(nqueues);
};

static inline struct vlb_device *vdev_to_vlb(struct virtio_device *vdev)
{
	return container_of(vdev, struct vlb_device, vdev);
}

static inline struct vlb_device *dev_to_vlb(struct device *dev)
{
	return container_of(dev, struct vlb_device, dev);
}

/* control.c */
extern struct miscdevice vlb_control;

/* device.c */
extern struct workqueue_struct *vlb_wq;
extern struct workqueue_struct *vlb_slow_wq;
extern struct workqueue_struct *vlb_unmap_wq;
/* User space is frozen, or about to be; how often it was. */
extern bool vlb_asleep;
extern unsigned int vlb_sleeps;
int vlb_devices_sleep(void);
void vlb_devices_wake(void);
void vlb_devices_give_up(void);
int vlb_devices_init(void);
void vlb_devices_exit(void);
struct vlb_device *vlb_device_create(const struct vlb_create *args, const u8 *config,
				     const struct vlb_type *type);
struct vlb_device *vlb_device_find(const char *name);
int vlb_device_register(struct vlb_device *vlb);
int vlb_device_remove(struct vlb_device *vlb, bool force);
void vlb_device_orphan(struct vlb_device *vlb);
void vlb_device_break(struct vlb_device *vlb, u32 reason);
void vlb_device_break_async(struct vlb_device *vlb, u32 reason);

/* event.c */
void vlb_events_init(struct vlb_device *vlb);
void vlb_post(struct vlb_device *vlb, u32 event);
bool vlb_event_pending(struct vlb_device *vlb);
bool vlb_event_take(struct vlb_device *vlb, struct vlb_event *ret_event);

/* policy.c */
int vlb_policy_create(const struct vlb_type *type, const struct vlb_create *args);
u64 vlb_policy_pool_max(void);
unsigned int vlb_policy_devices_max(bool privileged);

/* transport.c */
extern const struct virtio_config_ops vlb_config_ops;

/* config.c */
int vlb_config_init(struct vlb_device *vlb, const u8 *config, u32 len);
void vlb_config_get(struct virtio_device *vdev, unsigned int offset, void *buf, unsigned int len);
void vlb_config_set(struct virtio_device *vdev, unsigned int offset, const void *buf,
		    unsigned int len);
u32 vlb_config_generation(struct virtio_device *vdev);
int vlb_config_replace(struct vlb_device *vlb, u32 offset, u32 len, const u8 *data);
int vlb_config_answer(struct vlb_device *vlb, u64 id, int error, u32 offset, u32 len,
		      const u8 *data);
void vlb_config_notify(struct vlb_device *vlb);
void vlb_config_notify_fn(struct work_struct *work);
bool vlb_config_take(struct vlb_device *vlb, struct vlb_event *event);
void vlb_config_abort(struct vlb_device *vlb);

/* session.c */
u64 vlb_pool_min(unsigned int nqueues, unsigned int queue_size);
void vlb_pool_limits(struct vlb_limits *limits, u64 pool_len, unsigned int nqueues,
		     unsigned int queue_size);
struct vlb_link *vlb_link_create(struct vlb_device *vlb, const struct vlb_session *args,
				 struct vlb_session_queue *queues, const unsigned long *present);
void vlb_link_destroy(struct vlb_link *link);
void vlb_link_start(struct vlb_device *vlb);
void vlb_link_stop(struct vlb_device *vlb, enum vlb_rest rest);

/* call.c */
struct vlb_call_eventfd;
struct file *vlb_call_file(struct vlb_queue *q, u32 session_id);
struct vlb_call_eventfd *vlb_call_eventfd_add(struct vlb_queue *q, int fd);
void vlb_call_eventfd_del(struct vlb_call_eventfd *call);

/* kick.c */
struct vlb_kick *vlb_kick_new(void);
struct vlb_kick *vlb_kick_new_eventfd(int fd);
void vlb_kick_put(struct vlb_kick *kick);
void vlb_kick_signal(struct vlb_kick *kick);
void vlb_kick_start(struct vlb_kick *kick);
struct file *vlb_kick_file(struct vlb_kick *kick);

/* queue.c */
void vlb_queue_init(struct vlb_queue *q, struct vlb_device *vlb, unsigned int index);
void vlb_queue_freeze(struct vlb_queue *q);
void vlb_queue_thaw(struct vlb_queue *q);
void vlb_queue_attach(struct vlb_queue *q, struct vlb_ring *ring);
void vlb_queue_detach(struct vlb_queue *q, enum vlb_rest rest);
bool vlb_queue_keeps(const struct vlb_queue *q);
void vlb_queue_more(struct vlb_queue *q);
void vlb_queue_submit(struct vlb_queue *q, size_t limit);
void vlb_queue_notified(struct vlb_queue *q);
void vlb_queue_pace(struct vlb_queue *q);
void vlb_queues_unspin(struct vlb_device *vlb);
void vlb_queue_complete(struct vlb_queue *q);
void vlb_probed_fn(struct work_struct *work);
void vlb_queue_push_used(struct vlb_queue *q, u16 head, u32 len);
void vlb_queue_fail(struct vlb_queue *q, u16 head);
u64 vlb_queue_pushed(struct vlb_device *vlb, unsigned int index);
bool vlb_queue_handled(struct vlb_device *vlb, unsigned int index, u64 pushed);

/* submit.c */
bool vlb_submit(struct vlb_queue *q, size_t *limit);
void vlb_submit_facts(struct vlb_queue *q);

/* complete.c */
bool vlb_complete(struct vlb_queue *q, unsigned int budget);
void vlb_ring_free(struct vlb_ring *ring, struct vlb_request *req, u16 id);

/* watch.c */
void vlb_watch_init(struct vlb_queue *q);
void vlb_watch(struct vlb_queue *q);
void vlb_watch_stop(struct vlb_queue *q);

/* terminal.c */
#ifdef CONFIG_HVC_DRIVER
void vlb_terminals_init(struct vlb_device *vlb);
void vlb_terminals_release(struct vlb_device *vlb);
#else
static inline void vlb_terminals_init(struct vlb_device *vlb)
{
}

static inline void vlb_terminals_release(struct vlb_device *vlb)
{
}
#endif

/* stats.c */
extern const struct attribute_group *vlb_device_groups[];
int vlb_stats_add(struct vlb_device *vlb);
void vlb_stats_del(struct vlb_device *vlb);

#endif
