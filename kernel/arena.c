// SPDX-License-Identifier: GPL-2.0-only
/* The page allocator of a queue's arena: lowest first, so that it stays cache-hot. */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/mm.h>

#include "arena.h"

/**
 * vlb_arena_init - make an empty arena
 * @arena: to be filled in
 * @npages: its size
 *
 * Return: 0 or -ENOMEM.
 */
int vlb_arena_init(struct vlb_arena *arena, u32 npages)
{
	arena->map = kvcalloc(BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL);
	if (!arena->map)
		return -ENOMEM;
	arena->npages = npages;
	arena->nfree = npages;
	return 0;
}

/**
 * vlb_arena_exit - free what vlb_arena_init() made; fine on a zeroed arena
 * @arena: the arena
 */
void vlb_arena_exit(struct vlb_arena *arena)
{
	kvfree(arena->map);
	arena->map = NULL;
}

/* The arena has enough pages, but not in one piece: take the lowest pieces. */
static int alloc_scattered(struct vlb_arena *arena, u32 npages, struct vlb_run *ret_runs)
{
	unsigned int nruns = 0;
	u32 pos = 0;

	while (npages) {
		u32 start = find_next_zero_bit(arena->map, arena->npages, pos);
		u32 end;

		if (start >= arena->npages || nruns == VLB_RUNS_MAX) {
			vlb_arena_free(arena, ret_runs, nruns);
			return -ENOSPC;
		}
		end = find_next_bit(arena->map, min(arena->npages, start + npages), start);
		bitmap_set(arena->map, start, end - start);
		arena->nfree -= end - start;
		ret_runs[nruns].start = start;
		ret_runs[nruns++].npages = end - start;
		npages -= end - start;
		pos = end;
	}
	return nruns;
}

/**
 * vlb_arena_alloc - take pages
 * @arena: the arena
 * @npages: how many; 0 takes none
 * @ret_runs: room for VLB_RUNS_MAX runs
 *
 * Return: the number of runs in @ret_runs, or -ENOSPC: not enough pages are free, or they
 * are too scattered.
 */
int vlb_arena_alloc(struct vlb_arena *arena, u32 npages, struct vlb_run *ret_runs)
{
	unsigned long start;

	if (!npages)
		return 0;
	if (npages > arena->nfree)
		return -ENOSPC;

	if (npages == 1) {
		start = find_first_zero_bit(arena->map, arena->npages);
		__set_bit(start, arena->map);
	} else {
		start = bitmap_find_next_zero_area(arena->map, arena->npages, 0, npages, 0);
		if (start >= arena->npages)
			return alloc_scattered(arena, npages, ret_runs);
		bitmap_set(arena->map, start, npages);
	}
	arena->nfree -= npages;
	ret_runs->start = start;
	ret_runs->npages = npages;
	return 1;
}

/**
 * vlb_arena_free - give pages back
 * @arena: the arena
 * @runs: what vlb_arena_alloc() gave
 * @nruns: its return value
 */
void vlb_arena_free(struct vlb_arena *arena, const struct vlb_run *runs, unsigned int nruns)
{
	unsigned int i;

	for (i = 0; i < nruns; i++) {
		if (runs[i].npages == 1)
			__clear_bit(runs[i].start, arena->map);
		else
			bitmap_clear(arena->map, runs[i].start, runs[i].npages);
		arena->nfree += runs[i].npages;
	}
}
