/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VLB_LAYOUT_H
#define VLB_LAYOUT_H

#include <linux/types.h>
#include <linux/virtio_ring.h>

#include "arena.h"
#include "types.h"

/*
 * A control slot belongs to each id of the back-end's ring: an indirect table, then room
 * for short buffers (headers, status bytes).
 */
#define VLB_SEGS_MAX		32
#define VLB_TABLE_BYTES		(VLB_SEGS_MAX * sizeof(struct vring_desc))
#define VLB_SMALL_BYTES		512
#define VLB_SLOT_BYTES		(VLB_TABLE_BYTES + VLB_SMALL_BYTES)

/* A buffer of at most this many bytes keeps a descriptor of its own; below a disk's sector. */
#define VLB_SMALL_MAX		256

/* The largest request that is looked at; arenas are smaller. */
#define VLB_REQUEST_MAX		(256u << 20)

/**
 * struct vlb_seg - a piece of a request in the pool, one descriptor for the back-end
 * @off: bytes from the pool's beginning once placed; before: in the small area
 * @len: bytes
 * @write: the device writes it
 * @large: lives in the arena, starts on a page
 */
struct vlb_seg {
	u32 off;
	u32 len;
	bool write;
	bool large;
};

/**
 * struct vlb_plan - how the driver's descriptor chain is laid out in the pool
 * @nsegs: used entries of @seg; device-readable ones come first
 * @nout: how many of them are device-readable
 * @out_len: bytes that the device reads
 * @in_len: bytes that the device may write
 * @npages: pages of the arena
 * @small: bytes of the control slot's small area
 * @seg: the pieces
 *
 * It follows from the driver's chain and the runs alone, so what is not kept of it is made again
 * at completion, and never read back from memory that the device process can write.
 */
struct vlb_plan {
	unsigned int nsegs;
	unsigned int nout;
	u32 out_len;
	u32 in_len;
	u32 npages;
	u32 small;
	struct vlb_seg seg[VLB_SEGS_MAX];
};

/**
 * struct vlb_at - a place in a driver's descriptor chain
 * @table: the indirect table, or the ring itself
 * @desc: the descriptor, or NULL behind the last one
 * @left: descriptors that may follow, counted with this one
 */
struct vlb_at {
	const struct vring_desc *table;
	const struct vring_desc *desc;
	unsigned int left;
};

int vlb_plan_build(struct vlb_plan *plan, const struct vring *vring, u16 head);
int vlb_plan_place(struct vlb_plan *plan, u32 small_off, u32 arena_off,
		   const struct vlb_run *runs, unsigned int nruns);
void vlb_copy_out(const struct vlb_plan *plan, const struct vring *vring, u16 head, void *pool,
		  struct vlb_at *ret_at);
void vlb_copy_in(const struct vlb_at *at, const struct vlb_seg *seg, const void *pool, u32 len);
u8 *vlb_at_piece(const struct vlb_at *at, u32 *ret_len);
u8 *vlb_at_next_piece(const struct vlb_at *at, u32 *ret_len);
u8 *vlb_chain_piece(const struct vring *vring, u16 head, u32 *ret_len);
void vlb_plan_preset(const struct vlb_plan *plan, void *pool, const struct vlb_role *role);
u32 vlb_chain_fail(const struct vring *vring, u16 head, const struct vlb_role *role);

#endif
