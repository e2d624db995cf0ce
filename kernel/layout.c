// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the driver's descriptor chain to the pool and back.
 *
 * The driver's ring and buffers are kernel memory at physical addresses: the transport offers
 * no VIRTIO_F_ACCESS_PLATFORM, and runs only where the direct map covers all memory.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "layout.h"

/* Leaves room in the indirect table for pieces that a fragmented arena splits. */
#define BUILD_SEGS_MAX	(VLB_SEGS_MAX - VLB_RUNS_MAX)

static void chain_begin(struct vlb_at *c, const struct vring *vring, u16 head)
{
	const struct vring_desc *desc = &vring->desc[head & (vring->num - 1)];

	c->table = vring->desc;
	c->left = vring->num;
	if (le16_to_cpu((__force __le16)desc->flags) & VRING_DESC_F_INDIRECT) {
		c->table = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
		c->left = le32_to_cpu((__force __le32)desc->len) / sizeof(*desc);
		desc = c->table;
	}
	c->desc = c->left ? desc : NULL;
}

static void chain_next(struct vlb_at *c)
{
	if (!(le16_to_cpu((__force __le16)c->desc->flags) & VRING_DESC_F_NEXT) || !--c->left)
		c->desc = NULL;
	else
		c->desc = &c->table[le16_to_cpu((__force __le16)c->desc->next)];
}

static u32 chain_len(const struct vlb_at *c)
{
	return le32_to_cpu((__force __le32)c->desc->len);
}

static bool chain_write(const struct vlb_at *c)
{
	return le16_to_cpu((__force __le16)c->desc->flags) & VRING_DESC_F_WRITE;
}

static void *chain_addr(const struct vlb_at *c)
{
	return phys_to_virt(le64_to_cpu((__force __le64)c->desc->addr));
}

/* Begin a piece with a buffer that cannot join the last one. */
static struct vlb_seg *plan_add(struct vlb_plan *plan, u32 len, bool write)
{
	bool small = len <= VLB_SMALL_MAX && plan->small + len <= VLB_SMALL_BYTES &&
		     plan->nsegs < BUILD_SEGS_MAX - 2;
	struct vlb_seg *last = plan->nsegs ? &plan->seg[plan->nsegs - 1] : NULL;

	if (!small && last && last->large && last->write == write) {
		last->len += len;
		return last;
	}
	if (plan->nsegs == BUILD_SEGS_MAX || (!write && last && last->write))
		return NULL;

	last = &plan->seg[plan->nsegs++];
	last->off = plan->small;
	last->len = len;
	last->write = write;
	last->large = !small;
	if (small)
		plan->small = ALIGN(plan->small + len, 16);
	return last;
}

/* Sum up the pieces; false: more than a request may have. */
static bool plan_sum(struct vlb_plan *plan)
{
	u64 in_len = 0, out_len = 0;
	unsigned int i;

	plan->nout = 0;
	plan->npages = 0;
	for (i = 0; i < plan->nsegs; i++) {
		const struct vlb_seg *seg = &plan->seg[i];

		if (seg->large)
			plan->npages += DIV_ROUND_UP(seg->len, PAGE_SIZE);
		if (seg->write) {
			in_len += seg->len;
		} else {
			out_len += seg->len;
			plan->nout++;
		}
	}
	plan->in_len = in_len;
	plan->out_len = out_len;
	return in_len + out_len <= VLB_REQUEST_MAX;
}

/**
 * vlb_plan_build - find out what a request needs in the pool
 * @plan: to be filled in; offsets are set by vlb_plan_place()
 * @vring: the driver's ring
 * @head: first descriptor of the chain
 *
 * Neighbouring buffers of one direction become one piece, except short ones: headers and
 * trailers stay apart, as devices expect them.
 *
 * Return: 0, or -EMSGSIZE: the chain is empty, too long or too large, or not in the order of
 * virtio 1.3, 2.7.4.2 (device-readable first).
 */
int vlb_plan_build(struct vlb_plan *plan, const struct vring *vring, u16 head)
{
	struct vlb_seg *last = NULL;
	struct vlb_at c;

	plan->nsegs = 0;
	plan->small = 0;
	for (chain_begin(&c, vring, head); c.desc; chain_next(&c)) {
		bool write = chain_write(&c);
		u32 len = chain_len(&c);

		if (len > VLB_REQUEST_MAX || (last && last->len > VLB_REQUEST_MAX))
			return -EMSGSIZE;
		/* Most buffers are the next pages of the same data. */
		if (len > VLB_SMALL_MAX && last && last->large && last->write == write) {
			last->len += len;
			continue;
		}
		if (!len)
			continue;
		last = plan_add(plan, len, write);
		if (!last)
			return -EMSGSIZE;
	}
	return plan->nsegs && plan_sum(plan) ? 0 : -EMSGSIZE;
}

/* Cut seg[i] after len bytes; the rest becomes seg[i + 1]. */
static void plan_split(struct vlb_plan *plan, unsigned int i, u32 len)
{
	struct vlb_seg *seg = &plan->seg[i];

	memmove(seg + 1, seg, (plan->nsegs - i) * sizeof(*seg));
	seg[0].len = len;
	seg[1].len -= len;
	if (!seg->write)
		plan->nout++;
	plan->nsegs++;
}

/**
 * vlb_plan_place - give each piece its place
 * @plan: from vlb_plan_build()
 * @small_off: offset in the pool of the request's small area
 * @arena_off: offset in the pool of the queue's arena
 * @runs: what vlb_arena_alloc() gave for plan->npages
 * @nruns: how many
 *
 * Return: 0, or -ENOSPC: the runs do not hold the pieces.
 */
int vlb_plan_place(struct vlb_plan *plan, u32 small_off, u32 arena_off,
		   const struct vlb_run *runs, unsigned int nruns)
{
	u32 page = nruns ? runs->start : 0;
	u32 left = nruns ? runs->npages : 0;
	unsigned int i;

	for (i = 0; i < plan->nsegs; i++) {
		struct vlb_seg *seg = &plan->seg[i];
		u32 need;

		if (!seg->large) {
			seg->off += small_off;
			continue;
		}
		if (!left) {
			if (nruns <= 1)
				return -ENOSPC;
			nruns--;
			runs++;
			page = runs->start;
			left = runs->npages;
		}
		need = DIV_ROUND_UP(seg->len, PAGE_SIZE);
		if (need > left) {
			if (plan->nsegs == VLB_SEGS_MAX)
				return -ENOSPC;
			plan_split(plan, i, left * PAGE_SIZE);
			need = left;
		}
		seg->off = arena_off + page * PAGE_SIZE;
		page += need;
		left -= need;
	}
	return 0;
}

/*
 * Whole pages take copy_page(): on a CPU without fast short string moves, memcpy() is an
 * unrolled loop of three times as many instructions.
 */
static noinline void copy_more(void *dst, const void *src, u32 len)
{
	if (PAGE_ALIGNED((unsigned long)dst | (unsigned long)src)) {
		for (; len >= PAGE_SIZE; len -= PAGE_SIZE) {
			copy_page(dst, (void *)src);
			dst += PAGE_SIZE;
			src += PAGE_SIZE;
		}
	}
	memcpy(dst, src, len);
}

static __always_inline void copy(void *dst, const void *src, u32 len)
{
	if (len == PAGE_SIZE && PAGE_ALIGNED((unsigned long)dst | (unsigned long)src))
		copy_page(dst, (void *)src);
	else
		copy_more(dst, src, len);
}

/**
 * vlb_copy_out - copy what the device may read into the pool
 * @plan: placed
 * @vring: the driver's ring
 * @head: first descriptor of the chain
 * @pool: the pool
 * @ret_at: where the device-writable part begins, for vlb_copy_in()
 */
void vlb_copy_out(const struct vlb_plan *plan, const struct vring *vring, u16 head, void *pool,
		  struct vlb_at *ret_at)
{
	const struct vlb_seg *seg = plan->seg;
	u32 room = seg->len;
	void *dst = pool + seg->off;
	struct vlb_at c;

	for (chain_begin(&c, vring, head); c.desc && !chain_write(&c); chain_next(&c)) {
		const void *src = chain_addr(&c);
		u32 len = chain_len(&c);

		while (len) {
			u32 n;

			if (!room) {
				seg++;
				room = seg->len;
				dst = pool + seg->off;
			}
			n = min(len, room);
			copy(dst, src, n);
			src += n;
			len -= n;
			dst += n;
			room -= n;
		}
	}
	*ret_at = c;
}

/**
 * vlb_copy_in - copy what the device wrote to the driver's buffers
 * @at: from vlb_copy_out()
 * @seg: the device-writable pieces of the plan
 * @pool: the pool
 * @len: bytes to copy, at most the plan's in_len
 */
void vlb_copy_in(const struct vlb_at *at, const struct vlb_seg *seg, const void *pool, u32 len)
{
	struct vlb_at c = *at;
	const void *src = pool + seg->off;
	u32 room = seg->len;

	for (; c.desc && len; chain_next(&c)) {
		u32 left = min(chain_len(&c), len);
		void *dst = chain_addr(&c);

		len -= left;
		while (left) {
			u32 n;

			if (!room) {
				seg++;
				room = seg->len;
				src = pool + seg->off;
			}
			n = min(left, room);
			copy(dst, src, n);
			dst += n;
			left -= n;
			src += n;
			room -= n;
		}
	}
}

/**
 * vlb_at_piece - the driver's buffer at a place in its chain
 * @at: the place
 * @ret_len: its bytes
 *
 * Return: the buffer, or NULL.
 */
u8 *vlb_at_piece(const struct vlb_at *at, u32 *ret_len)
{
	if (!at->desc)
		return NULL;
	*ret_len = chain_len(at);
	return chain_addr(at);
}

/**
 * vlb_at_next_piece - the driver's buffer behind a place in its chain
 * @at: the place, that of a buffer
 * @ret_len: its bytes
 *
 * Return: the buffer, or NULL.
 */
u8 *vlb_at_next_piece(const struct vlb_at *at, u32 *ret_len)
{
	struct vlb_at next = *at;

	chain_next(&next);
	return vlb_at_piece(&next, ret_len);
}

/**
 * vlb_chain_piece - the first buffer of a request
 * @vring: the driver's ring
 * @head: first descriptor of the chain
 * @ret_len: its bytes
 *
 * Return: the buffer, or NULL.
 */
u8 *vlb_chain_piece(const struct vring *vring, u16 head, u32 *ret_len)
{
	struct vlb_at c;

	chain_begin(&c, vring, head);
	return vlb_at_piece(&c, ret_len);
}

/*
 * Put the role's "failed" answer into buf, which holds len bytes of a device-writable part of
 * total bytes, beginning at pos.
 */
static void put_failed(u8 *buf, u32 pos, u32 len, u32 total, const struct vlb_role *role)
{
	u32 i;

	for (i = pos; i < role->nstart && i < pos + len; i++)
		buf[i - pos] = role->start[i];
	if (role->nend > total || pos + len <= total - role->nend)
		return;
	for (i = 0; i < role->nend; i++) {
		u32 at = total - role->nend + i;

		if (at >= pos && at < pos + len)
			buf[at - pos] = role->end[i];
	}
}

/**
 * vlb_plan_preset - prepare the device-writable pieces in the pool
 * @plan: placed
 * @pool: the pool
 * @role: the queue's
 *
 * For drivers that look at more than used.len says. What the device leaves unwritten must
 * be neither an older request's bytes nor a success: short pieces are cleared, long ones
 * where the role asks for it, and the answer reads "failed" until the device writes another.
 */
void vlb_plan_preset(const struct vlb_plan *plan, void *pool, const struct vlb_role *role)
{
	unsigned int i;
	u32 pos = 0;

	for (i = plan->nout; i < plan->nsegs; i++) {
		const struct vlb_seg *seg = &plan->seg[i];

		if (!seg->large || (role->flags & VLB_ROLE_CLEAR))
			memset(pool + seg->off, 0, seg->len);
		if (pos < role->nstart || pos + seg->len > plan->in_len - role->nend)
			put_failed(pool + seg->off, pos, seg->len, plan->in_len, role);
		pos += seg->len;
	}
}

/**
 * vlb_chain_fail - answer a request as failed, without a device
 * @vring: the driver's ring
 * @head: first descriptor of the chain
 * @role: the queue's
 *
 * A receive buffer of which the driver reads used.len bytes comes back empty: zeroes would be
 * data, or random numbers.
 *
 * Return: bytes that were written, for used.len.
 */
u32 vlb_chain_fail(const struct vring *vring, u16 head, const struct vlb_role *role)
{
	u32 total = 0, pos = 0;
	struct vlb_at c;

	if ((role->flags & VLB_ROLE_RX) && (role->flags & VLB_ROLE_LEN))
		return 0;
	for (chain_begin(&c, vring, head); c.desc; chain_next(&c))
		if (chain_write(&c))
			total += chain_len(&c);

	for (chain_begin(&c, vring, head); c.desc; chain_next(&c)) {
		if (!chain_write(&c))
			continue;
		memset(chain_addr(&c), 0, chain_len(&c));
		put_failed(chain_addr(&c), pos, chain_len(&c), total, role);
		pos += chain_len(&c);
	}
	return total;
}
