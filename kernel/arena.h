/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VLB_ARENA_H
#define VLB_ARENA_H

#include <linux/types.h>

/* Pieces that one request may be scattered over when the arena is fragmented. */
#define VLB_RUNS_MAX	8

/**
 * struct vlb_run - pages next to each other in an arena
 * @start: first page, counted from the arena's beginning
 * @npages: how many
 */
struct vlb_run {
	u32 start;
	u32 npages;
};

/**
 * struct vlb_arena - pages of a queue's part of the pool
 * @map: one bit per page, set when taken
 * @npages: size
 * @nfree: clear bits in @map
 *
 * Locking is the caller's.
 */
struct vlb_arena {
	unsigned long *map;
	u32 npages;
	u32 nfree;
};

int vlb_arena_init(struct vlb_arena *arena, u32 npages);
void vlb_arena_exit(struct vlb_arena *arena);
int vlb_arena_alloc(struct vlb_arena *arena, u32 npages, struct vlb_run *ret_runs);
void vlb_arena_free(struct vlb_arena *arena, const struct vlb_run *runs, unsigned int nruns);

#endif
