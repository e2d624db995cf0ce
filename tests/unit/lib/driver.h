/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a virtqueue, for the tests: split or packed, with all that virtio 1.3,
 * 2.7 and 2.8 allow, and open enough to be made to lie.
 *
 * Ring and tables lie at the beginning of a piece of shared memory, buffers behind DATA_OFFSET.
 * Guest and user addresses are the offset plus a base each, so that the two cannot be mixed up.
 */
#ifndef TESTS_DRIVER_H
#define TESTS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal.h"

#define GUEST_BASE	0x100000000ULL
#define USER_BASE	0x7f0000000000ULL
#define MEM_SIZE	0x400000U
#define DESC_OFFSET	0x0000U
#define AVAIL_OFFSET	0x8000U
#define USED_OFFSET	0x10000U
#define TABLE_OFFSET	0x20000U	/* indirect tables, TABLE_BYTES for each head */
#define TABLE_BYTES	0x200U
#define DATA_OFFSET	0x100000U
#define DRIVER_SIZE_MAX	256U

struct buffer {
	uint64_t guest;
	uint32_t len;
	bool write;
};

struct driver {
	uint8_t *mem;
	bool packed;
	uint16_t size;
	/* split */
	struct split_desc *desc;
	struct split_avail *avail;
	struct split_used *used;
	uint16_t avail_idx;	/* not published yet beyond avail->idx */
	uint16_t last_used;
	uint16_t free[DRIVER_SIZE_MAX];
	unsigned int num_free;
	/* packed */
	struct packed_desc *pdesc;
	packed_event *driver_event;
	packed_event *device_event;
	uint16_t next;
	bool wrap;
	uint16_t used_at;
	bool used_wrap;
	unsigned int room;
	uint16_t hold_at;	/* first descriptor that is not published yet */
	uint16_t hold_flags;
	bool holding;
	/* both */
	uint16_t count[DRIVER_SIZE_MAX];	/* descriptors of a request, by its id */
	uint16_t chain[DRIVER_SIZE_MAX][DRIVER_SIZE_MAX];
};

void driver_init(struct driver *d, void *mem, bool packed, uint16_t size);

/* Prepare a request; driver_publish() makes it visible. Return: its id, or -1 when the ring is full. */
int driver_add(struct driver *d, const struct buffer *buffers, unsigned int n, bool indirect);
void driver_publish(struct driver *d);

/* Take back a used request. */
bool driver_used(struct driver *d, uint32_t *ret_id, uint32_t *ret_len);

/* Whether the device asked to be kicked for the @added descriptors that were published last. */
bool driver_wants_kick(const struct driver *d, bool event_idx, uint16_t added);

/* Ask for no call, for one at once, or (event index) for one when @more requests are used. */
void driver_calls_off(struct driver *d);
void driver_calls_on(struct driver *d);
void driver_call_after(struct driver *d, uint16_t more);

/* Base for SET_VRING_BASE at the very beginning. */
uint32_t driver_base(const struct driver *d);

static inline uint64_t guest_of(uint32_t offset)
{
	return GUEST_BASE + offset;
}

#endif
