// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session: the pool and the rings of one back-end. It is made anew for each back-end, so that
 * whatever an earlier one still does hits its own old pages alone.
 *
 * A queue's part of the pool:
 *
 *   | descriptors, available, used | control slots, one per entry | arena |
 *   ^ page                         ^ page                         ^ page
 */
#include <linux/mm.h>
#include <linux/capability.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "trace.h"
#include "vlb.h"

/* Smaller rings than this only help pools that are too small anyway. */
#define QUEUE_SIZE_MIN	16

/* Offsets within a queue's part of the pool. */
struct part {
	u16 num;
	u32 avail;
	u32 used;
	u32 slots;
	u32 arena;
};

static void part_layout(struct part *part, unsigned int num)
{
	part->num = num;
	part->avail = num * sizeof(struct vring_desc);
	/* flags, idx, ring, used_event; then the same with avail_event; virtio 1.3, 2.7.6, 2.7.8. */
	part->used = ALIGN(part->avail + sizeof(__le16) * (3 + num), 4);
	part->slots = ALIGN(part->used + sizeof(__le16) * 3 +
			    num * sizeof(struct vring_used_elem), PAGE_SIZE);
	part->arena = ALIGN(part->slots + num * VLB_SLOT_BYTES, PAGE_SIZE);
}

static u32 part_size(u64 pool_len, unsigned int nqueues)
{
	return rounddown(div_u64(pool_len, nqueues), PAGE_SIZE);
}

/* A small pool gets a smaller ring, so that at least half of it holds data. */
static void part_fit(struct part *part, u32 size, unsigned int queue_size)
{
	part_layout(part, queue_size);
	while (part->num > QUEUE_SIZE_MIN &&
	       (part->arena > size / 2 || size - part->arena < VLB_ARENA_MIN))
		part_layout(part, part->num / 2);
}

/**
 * vlb_pool_min - the smallest pool of a device
 * @nqueues: its queues
 * @queue_size: the entries it asks for in each
 *
 * Return: bytes.
 */
u64 vlb_pool_min(unsigned int nqueues, unsigned int queue_size)
{
	struct part part;

	part_layout(&part, min_t(unsigned int, queue_size, QUEUE_SIZE_MIN));
	return (u64)nqueues * (part.arena + VLB_ARENA_MIN);
}

/**
 * vlb_pool_limits - what every queue of a device can hold
 * @limits: set
 * @pool_len: bytes of the pool, at least vlb_pool_min()
 * @nqueues: queues of the device
 * @queue_size: entries it asks for in each
 */
void vlb_pool_limits(struct vlb_limits *limits, u64 pool_len, unsigned int nqueues,
		     unsigned int queue_size)
{
	u32 size = part_size(pool_len, nqueues);
	struct part part;

	part_fit(&part, size, queue_size);
	limits->arena = size - part.arena;
	limits->request = max_t(u32, VLB_ARENA_MIN, limits->arena / 4);
	limits->nqueues = nqueues;
}

static int ring_init(struct vlb_link *link, unsigned int index, struct vlb_session_queue *args)
{
	struct vlb_device *vlb = link->vlb;
	struct vlb_ring *ring = &link->rings[index];
	u32 size = part_size(vlb->pool_len, vlb->nqueues);
	u32 off = index * size;
	struct part part;
	unsigned int i;

	part_fit(&part, size, vlb->queue_size);
	ring->pool = link->pool;
	ring->base = link->base;
	ring->desc = link->pool + off;
	ring->avail = link->pool + off + part.avail;
	ring->used = link->pool + off + part.used;
	ring->slots_off = off + part.slots;
	ring->arena_off = off + part.arena;
	ring->num = part.num;
	ring->nfree = part.num;
	ring->indirect = vlb->device_features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	ring->event_idx = vlb->device_features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);

	ring->requests = kvcalloc(ring->num, sizeof(*ring->requests), GFP_KERNEL);
	ring->next = kvcalloc(ring->num, sizeof(*ring->next), GFP_KERNEL);
	if (!ring->requests || !ring->next ||
	    vlb_arena_init(&ring->arena, (size - part.arena) / PAGE_SIZE))
		return -ENOMEM;
	for (i = 0; i < ring->num; i++)
		ring->next[i] = i + 1;

	ring->kick = link->flags & VLB_SESSION_KICK_FILE ? vlb_kick_new() :
							   vlb_kick_new_eventfd(args->kick);
	if (IS_ERR(ring->kick)) {
		int err = PTR_ERR(ring->kick);

		ring->kick = NULL;
		return err;
	}
	args->out_num = ring->num;
	args->out_desc = off;
	args->out_avail = off + part.avail;
	args->out_used = off + part.used;
	return 0;
}

static void ring_exit(struct vlb_ring *ring)
{
	if (ring->call)
		vlb_call_eventfd_del(ring->call);
	if (ring->kick)
		vlb_kick_put(ring->kick);
	vlb_arena_exit(&ring->arena);
	kvfree(ring->next);
	kvfree(ring->requests);
}

/* As RDMA does: against the RLIMIT_MEMLOCK of the process, with no lock that it can hold. */
static int charge(struct vlb_link *link, unsigned long npages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;

	if (atomic64_add_return(npages, &mm->pinned_vm) > limit && !capable(CAP_IPC_LOCK)) {
		atomic64_sub(npages, &mm->pinned_vm);
		return -ENOMEM;
	}
	mmgrab(mm);
	link->mm = mm;
	link->charged = npages;
	return 0;
}

/*
 * Memory that belongs to nobody but its users: of a memory file, anonymous, huge. A file system writes
 * its pages back, and keeps them locked for as long as it likes, where it is one in user space.
 */
static bool is_memory(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_test_swapbacked(folio) || folio_test_hugetlb(folio);
}

/* Pin the caller's pages, charge them to it, and map them here in one piece. */
static int map_pool(struct vlb_link *link, u64 addr)
{
	unsigned long want = link->vlb->pool_len >> PAGE_SHIFT, i;
	int err;

	link->pages = kvcalloc(want, sizeof(*link->pages), GFP_KERNEL_ACCOUNT);
	if (!link->pages)
		return -ENOMEM;
	err = charge(link, want);
	if (err)
		return err;

	while (link->npages < want) {
		int n = pin_user_pages_fast(addr + (link->npages << PAGE_SHIFT),
					    min(want - link->npages, 16384UL),
					    FOLL_WRITE | FOLL_LONGTERM,
					    link->pages + link->npages);

		if (n <= 0)
			return n == -ENOMEM ? n : -EFAULT;
		link->npages += n;
	}
	for (i = 0; i < want; i++)
		if (!is_memory(link->pages[i]))
			return -EINVAL;
	link->pool = vmap(link->pages, link->npages, VM_MAP, PAGE_KERNEL);
	return link->pool ? 0 : -ENOMEM;
}

/* Unpinning takes page locks: not for a reset to wait for, nor for other devices. */
static void unmap_fn(struct work_struct *work)
{
	struct vlb_link *link = container_of(work, struct vlb_link, unmap_work);

	if (link->pool)
		vunmap(link->pool);
	/*
	 * Nobody wrote to pages that were not mapped. Those of a file system, which were refused
	 * for that, have locks that a process may hold for as long as it likes.
	 */
	if (link->npages)
		unpin_user_pages_dirty_lock(link->pages, link->npages, link->pool);
	kvfree(link->pages);
	kvfree(link);
}

/**
 * vlb_link_create - make a session
 * @vlb: the device
 * @args: from user space
 * @queues: vlb->nqueues of them, from user space; out_num, out_desc, out_avail and out_used
 *	are set
 * @present: queues that the driver uses
 *
 * Return: the session, to be freed with vlb_link_destroy(), or an error: see VLB_IOC_SESSION.
 */
struct vlb_link *vlb_link_create(struct vlb_device *vlb, const struct vlb_session *args,
				 struct vlb_session_queue *queues, const unsigned long *present)
{
	struct vlb_link *link;
	unsigned int i;
	int err;

	if (args->pool_len != vlb->pool_len || !PAGE_ALIGNED(args->pool))
		return ERR_PTR(-EINVAL);
	link = kvzalloc(struct_size(link, rings, vlb->nqueues), GFP_KERNEL);
	if (!link)
		return ERR_PTR(-ENOMEM);
	link->vlb = vlb;
	INIT_WORK(&link->unmap_work, unmap_fn);
	link->flags = args->flags;
	link->epoch = args->epoch;
	link->nqueues = vlb->nqueues;
	/*
	 * Another one each time: a back-end that finds the same addresses as in the session before
	 * may keep the memory of that one (DPDK's vhost library does).
	 */
	link->base = VLB_POOL_BASE << (vlb->links & 1);

	err = map_pool(link, args->pool);
	if (err)
		goto destroy;
	for_each_set_bit(i, present, vlb->nqueues) {
		err = ring_init(link, i, &queues[i]);
		if (err)
			goto destroy;
		if (!(args->flags & VLB_SESSION_CALL_EVENTFD))
			continue;
		link->rings[i].call = vlb_call_eventfd_add(&vlb->queues[i], queues[i].call);
		if (IS_ERR(link->rings[i].call)) {
			err = PTR_ERR(link->rings[i].call);
			link->rings[i].call = NULL;
			goto destroy;
		}
	}
	return link;

destroy:
	vlb_link_destroy(link);
	return ERR_PTR(err);
}

/**
 * vlb_link_destroy - free a session that is not started, or stopped
 * @link: the session, or NULL
 *
 * The memory goes a little later. Nothing uses it any more.
 */
void vlb_link_destroy(struct vlb_link *link)
{
	unsigned int i;

	if (!link)
		return;
	for (i = 0; i < link->nqueues; i++)
		ring_exit(&link->rings[i]);
	if (link->mm) {
		atomic64_sub(link->charged, &link->mm->pinned_vm);
		mmdrop(link->mm);
	}
	queue_work(vlb_unmap_wq, &link->unmap_work);
}

/**
 * vlb_link_start - let requests flow
 * @vlb: the device, locked, with a session that is not started
 *
 * Each queue is kicked, since that is what starts a vhost-user ring.
 */
void vlb_link_start(struct vlb_device *vlb)
{
	struct vlb_link *link = vlb->link;
	unsigned int i;

	vlb->started = true;
	WRITE_ONCE(vlb->session_id, vlb->session_id + 1);
	for (i = 0; i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];
		struct vlb_ring *ring = &link->rings[i];

		vlb_queue_freeze(q);
		if (ring->num && q->vq) {
			vlb_queue_attach(q, ring);
			vlb_kick_start(ring->kick);
		}
		vlb_queue_thaw(q);
	}
}

/**
 * vlb_link_stop - end the session
 * @vlb: the device, locked
 * @rest: what becomes of requests that are not finished, and of those that come
 *
 * From the return on, the back-end reaches nothing of the driver's, and the pool is released.
 * What it completed before is taken, unless the driver has reset the device. Also changes
 * what happens to requests while there is no session.
 */
void vlb_link_stop(struct vlb_device *vlb, enum vlb_rest rest)
{
	unsigned int i;

	if (vlb->ending && rest == VLB_REST_OFFER)
		rest = VLB_REST_FAIL;
	for (i = 0; i < vlb->nqueues; i++) {
		struct vlb_queue *q = &vlb->queues[i];

		vlb_queue_freeze(q);
		if (q->ring && q->ready && rest != VLB_REST_FORGET)
			vlb_complete(q, UINT_MAX);
		vlb_queue_detach(q, rest);
		vlb_queue_thaw(q);
	}
	vlb->started = false;
	vlb_link_destroy(vlb->link);
	vlb->link = NULL;
}
