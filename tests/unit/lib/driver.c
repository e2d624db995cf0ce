/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#define P_AVAIL (1U << 7)
#define P_USED	(1U << 15)

void driver_init(struct driver *d, void *mem, bool packed, uint16_t size)
{
	memset(d, 0, sizeof(*d));
	memset(mem, 0, DATA_OFFSET);
	d->mem = mem;
	d->packed = packed;
	d->size = size;
	d->desc = (void *)(d->mem + DESC_OFFSET);
	d->avail = (void *)(d->mem + AVAIL_OFFSET);
	d->used = (void *)(d->mem + USED_OFFSET);
	d->pdesc = (void *)(d->mem + DESC_OFFSET);
	d->driver_event = (void *)(d->mem + AVAIL_OFFSET);
	d->device_event = (void *)(d->mem + USED_OFFSET);
	d->wrap = true;
	d->used_wrap = true;
	d->room = size;
	for (uint16_t i = 0; i < size; i++)
		d->free[d->num_free++] = (uint16_t)(size - 1 - i);
}

uint32_t driver_base(const struct driver *d)
{
	return d->packed ? 0x80008000U : 0;
}

static void fill_split(struct split_desc *desc, const struct buffer *b, bool more, uint16_t next)
{
	desc->addr = htole64(b->guest);
	desc->len = htole32(b->len);
	desc->flags = htole16((b->write ? DESC_WRITE : 0) | (more ? DESC_NEXT : 0));
	desc->next = htole16(next);
}

static int add_split(struct driver *d, const struct buffer *buffers, unsigned int n, bool indirect)
{
	unsigned int need = indirect ? 1 : n;
	uint16_t head;

	if (d->num_free < need)
		return -1;
	head = d->free[d->num_free - 1];
	d->count[head] = (uint16_t)need;
	for (unsigned int i = 0; i < need; i++)
		d->chain[head][i] = d->free[--d->num_free];
	if (indirect) {
		uint32_t offset = TABLE_OFFSET + head * TABLE_BYTES;
		struct split_desc *table = (void *)(d->mem + offset);
		struct buffer b = { guest_of(offset), n * (uint32_t)sizeof(*table), false };

		for (unsigned int i = 0; i < n; i++)
			fill_split(&table[i], &buffers[i], i + 1 < n, (uint16_t)(i + 1));
		fill_split(&d->desc[head], &b, false, 0);
		d->desc[head].flags = htole16(DESC_INDIRECT);
	} else {
		for (unsigned int i = 0; i < n; i++)
			fill_split(&d->desc[d->chain[head][i]], &buffers[i], i + 1 < n,
				   i + 1 < n ? d->chain[head][i + 1] : 0);
	}
	d->avail->ring[d->avail_idx++ % d->size] = htole16(head);
	return head;
}

static void put_packed(struct driver *d, const struct buffer *b, uint16_t id, uint16_t flags)
{
	struct packed_desc *desc = &d->pdesc[d->next];

	flags |= d->wrap ? P_AVAIL : P_USED;
	desc->addr = htole64(b->guest);
	desc->len = htole32(b->len);
	desc->id = htole16(id);
	if (!d->holding) {
		d->holding = true;
		d->hold_at = d->next;
		d->hold_flags = flags;
	} else {
		__atomic_store_n(&desc->flags, htole16(flags), __ATOMIC_RELEASE);
	}
	d->room--;
	if (++d->next == d->size) {
		d->next = 0;
		d->wrap = !d->wrap;
	}
}

static int add_packed(struct driver *d, const struct buffer *buffers, unsigned int n, bool indirect)
{
	unsigned int need = indirect ? 1 : n;
	uint16_t id;

	if (d->room < need || d->num_free == 0)
		return -1;
	id = d->free[--d->num_free];
	d->count[id] = (uint16_t)need;
	if (indirect) {
		uint32_t offset = TABLE_OFFSET + id * TABLE_BYTES;
		struct packed_desc *table = (void *)(d->mem + offset);
		struct buffer b = { guest_of(offset), n * (uint32_t)sizeof(*table), false };

		for (unsigned int i = 0; i < n; i++) {
			table[i].addr = htole64(buffers[i].guest);
			table[i].len = htole32(buffers[i].len);
			table[i].id = 0;
			table[i].flags = htole16(buffers[i].write ? DESC_WRITE : 0);
		}
		put_packed(d, &b, id, DESC_INDIRECT);
		return id;
	}
	for (unsigned int i = 0; i < n; i++)
		put_packed(d, &buffers[i], i + 1 < n ? 0xffff : id,
			   (uint16_t)((buffers[i].write ? DESC_WRITE : 0) |
				      (i + 1 < n ? DESC_NEXT : 0)));
	return id;
}

int driver_add(struct driver *d, const struct buffer *buffers, unsigned int n, bool indirect)
{
	return d->packed ? add_packed(d, buffers, n, indirect) :
			   add_split(d, buffers, n, indirect);
}

void driver_publish(struct driver *d)
{
	if (!d->packed) {
		__atomic_store_n(&d->avail->idx, htole16(d->avail_idx), __ATOMIC_RELEASE);
	} else if (d->holding) {
		__atomic_store_n(&d->pdesc[d->hold_at].flags, htole16(d->hold_flags),
				 __ATOMIC_RELEASE);
		d->holding = false;
	}
	atomic_thread_fence(memory_order_seq_cst);
}

static bool used_split(struct driver *d, uint32_t *ret_id, uint32_t *ret_len)
{
	const struct split_used_elem *elem = &d->used->ring[d->last_used % d->size];

	if (le16toh(__atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE)) == d->last_used)
		return false;
	*ret_id = le32toh(elem->id);
	*ret_len = le32toh(elem->len);
	d->last_used++;
	for (unsigned int i = d->count[*ret_id]; i-- > 0;)
		d->free[d->num_free++] = d->chain[*ret_id][i];
	return true;
}

static bool used_packed(struct driver *d, uint32_t *ret_id, uint32_t *ret_len)
{
	struct packed_desc *desc = &d->pdesc[d->used_at];
	uint16_t flags = le16toh(__atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE));

	if (!!(flags & P_USED) != d->used_wrap || !!(flags & P_AVAIL) != d->used_wrap)
		return false;
	*ret_id = le16toh(desc->id);
	*ret_len = le32toh(desc->len);
	d->room += d->count[*ret_id];
	d->used_at += d->count[*ret_id];
	if (d->used_at >= d->size) {
		d->used_at -= d->size;
		d->used_wrap = !d->used_wrap;
	}
	d->free[d->num_free++] = (uint16_t)*ret_id;
	return true;
}

bool driver_used(struct driver *d, uint32_t *ret_id, uint32_t *ret_len)
{
	return d->packed ? used_packed(d, ret_id, ret_len) : used_split(d, ret_id, ret_len);
}

bool driver_wants_kick(const struct driver *d, bool event_idx, uint16_t added)
{
	uint32_t event;
	uint16_t at;

	if (!d->packed) {
		if (!event_idx)
			return !(le16toh(d->used->flags) & 1);
		memcpy(&at, &d->used->ring[d->size], sizeof(at));
		at = le16toh(at);
		return need_event(at, d->avail_idx, (uint16_t)(d->avail_idx - added));
	}
	event = le32toh(*d->device_event);
	if (event >> 16 == 1)
		return false;
	if (event >> 16 == 0)
		return true;
	at = event & 0x7fff;
	if ((event >> 15 & 1) != d->wrap)
		at -= d->size;
	return need_event(at, d->next, (uint16_t)(d->next - added));
}

void driver_calls_off(struct driver *d)
{
	if (d->packed)
		*d->driver_event = htole32(1U << 16);
	else
		d->avail->flags = htole16(1);
}

void driver_calls_on(struct driver *d)
{
	if (d->packed)
		*d->driver_event = 0;
	else
		d->avail->flags = 0;
}

void driver_call_after(struct driver *d, uint16_t more)
{
	uint32_t at;
	bool wrap;

	if (!d->packed) {
		d->avail->ring[d->size] = htole16(d->last_used + more - 1);
		return;
	}
	at = d->used_at + more - 1U;
	wrap = d->used_wrap;
	if (at >= d->size) {
		at -= d->size;
		wrap = !wrap;
	}
	*d->driver_event = htole32(at | (uint32_t)wrap << 15 | 2U << 16);
}
