/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzer: a driver that writes anything into its ring.
 *
 * Input: one byte of ring features, then the memory that ring and tables lie in.
 */
#include <stdlib.h>

#include "fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PART 0x400U

static void scatter(struct fixture *f, const uint8_t *data, size_t size)
{
	static const uint32_t parts[] = { DESC_OFFSET, AVAIL_OFFSET, TABLE_OFFSET, USED_OFFSET };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && size; i++) {
		size_t now = size < PART ? size : PART;

		memcpy(f->mem + parts[i], data, now);
		data += now;
		size -= now;
	}
}

/* One queue for all inputs: what it is made of takes much longer than one input. */
static void reopen(struct fixture *f, uint8_t features)
{
	struct vloop_queue *queue = f->queue;
	bool packed = features & 1;

	memset(f->mem, 0, TABLE_OFFSET + 16 * TABLE_BYTES);
	f->dev->acked = (packed ? BIT64(F_RING_PACKED) : 0) |
			(features & 2 ? BIT64(F_EVENT_IDX) : 0) |
			(features & 4 ? BIT64(F_INDIRECT_DESC) : 0);
	queue->base = packed ? 0x80008000U : 0;
	atomic_store(&queue->error, 0);
	if (ring_open(queue) < 0)
		abort();
	queue->running = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fixture f;
	struct vloop_req *reqs[16];
	int n;

	if (size < 1)
		return 0;
	if (!f.dev)
		fixture_init(&f, 0, 16);
	reopen(&f, data[0]);
	scatter(&f, data + 1, size - 1);
	for (int rounds = 0; rounds < 64; rounds++) {
		n = vloop_queue_pop(f.queue, reqs, 16);
		if (n <= 0)
			break;
		while (n--) {
			/* Every byte of a request has to be memory. */
			for (uint32_t i = 0; i < reqs[n]->n_readable; i++) {
				const volatile uint8_t *p = reqs[n]->readable[i].iov_base;

				(void)p[0];
				(void)p[reqs[n]->readable[i].iov_len - 1];
			}
			for (uint32_t i = 0; i < reqs[n]->n_writable; i++) {
				volatile uint8_t *p = reqs[n]->writable[i].iov_base;

				p[0] = 0x5a;
				p[reqs[n]->writable[i].iov_len - 1] = 0x5a;
			}
			vloop_queue_complete(f.queue, reqs[n], UINT32_MAX);
		}
		vloop_queue_flush(f.queue);
	}
	if (vloop_queue_in_flight(f.queue))
		abort();
	return 0;
}
