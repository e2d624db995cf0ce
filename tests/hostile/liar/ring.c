/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues, as a device sees them. Whatever the pool holds is checked before it is used: some of
 * the lies make this program's own view of it random.
 */
#include <endian.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "liar.h"
#include "log.h"

/* Kicks may be missing when the lie is about asking for them. */
#define POLL_MS 20

/* So many polls without a request, and this device is idle. */
#define QUIET_POLLS 10

static uint8_t *pool_at(const struct pool *pool, uint64_t guest, uint64_t len)
{
	uint64_t off = guest - pool->guest;

	if (guest < pool->guest || off > pool->size || len > pool->size - off)
		return NULL;
	return pool->map + off;
}

/* Walk a chain; the number of pieces, 0 when it is not sound. */
static unsigned int gather(struct queue *queue, uint16_t head, struct seg *segs)
{
	const struct pool *pool = &queue->liar->pool;
	const struct vring_desc *table = queue->desc;
	unsigned int n = 0, room = queue->num;
	struct vring_desc desc = table[head];

	if (le16toh(desc.flags) & VRING_DESC_F_INDIRECT) {
		room = le32toh(desc.len) / (uint32_t)sizeof(desc);
		table = (const void *)pool_at(pool, le64toh(desc.addr), le32toh(desc.len));
		if (!table || !room)
			return 0;
		desc = table[0];
	}
	for (;;) {
		uint16_t flags = le16toh(desc.flags), next = le16toh(desc.next);

		if (n == SEGS_MAX)
			return 0;
		segs[n].len = le32toh(desc.len);
		segs[n].write = flags & VRING_DESC_F_WRITE;
		segs[n].at = pool_at(pool, le64toh(desc.addr), segs[n].len);
		if (!segs[n++].at)
			return 0;
		if (!(flags & VRING_DESC_F_NEXT))
			return n;
		if (next >= room)
			return 0;
		desc = table[next];
	}
}

static void put_element(struct queue *queue, uint32_t id, uint32_t len)
{
	struct vring_used_elem *elem = &queue->used->ring[queue->used_idx & (queue->num - 1)];

	elem->id = htole32(id);
	elem->len = htole32(len);
	queue->used_idx++;
}

static void publish(struct queue *queue, uint16_t idx)
{
	__atomic_store_n(&queue->used->idx, htole16(idx), __ATOMIC_RELEASE);
}

/* Behind the used ring: when the front-end is to kick (virtio 1.3, 2.7.8). */
static void put_avail_event(struct queue *queue, uint16_t value)
{
	memcpy(&queue->used->ring[queue->num], &value, sizeof(value));
}

static void call(struct queue *queue)
{
	uint64_t one = 1;

	if (queue->call >= 0 && write(queue->call, &one, sizeof(one)) < 0)
		vl_warning("queue %u: the call descriptor takes no write", queue->index);
}

/*
 * The front-end has taken all completions: it asks for the next call with the used_event that lies
 * behind its available ring (virtio 1.3, 2.7.10).
 */
static bool all_taken(const struct queue *queue)
{
	const __virtio16 *event = &queue->avail->ring[queue->num];

	return le16toh(__atomic_load_n(event, __ATOMIC_ACQUIRE)) == queue->used_idx;
}

/*
 * Nothing is in flight, and nothing has been for a while: change what the last request brought. Not
 * sooner, since its memory may belong to the next request already.
 */
static void write_late(struct queue *queue)
{
	if (queue->quiet++ != QUIET_POLLS || !all_taken(queue))
		return;
	for (unsigned int i = 0; i < queue->nlast; i++)
		memset(queue->last[i].at, 0xee, queue->last[i].len);
	vl_info("queue %u: changed a request that is over", queue->index);
}

static void complete(struct queue *queue, uint16_t head, uint32_t len)
{
	struct liar *liar = queue->liar;
	uint16_t skip = 0;
	uint32_t id = head;
	bool twice = false;

	liar->served++;
	switch (lie_due(liar, liar->lie) ? liar->lie : LIE_NONE) {
	case LIE_ID_RANGE:
		id = queue->num;
		break;
	case LIE_ID_MAX:
		id = UINT32_MAX;
		break;
	case LIE_ID_FREE:
		/* Depth 1 in the test, so that no other id can be in flight. */
		id = (head + queue->num / 2) & (queue->num - 1);
		break;
	case LIE_ID_TWICE:
		twice = true;
		break;
	case LIE_IDX_FAR:
		skip = (uint16_t)(queue->num + 1);
		break;
	case LIE_IDX_ONE:
		skip = 1;
		break;
	case LIE_IDX_BACK:
		skip = (uint16_t)-2;
		break;
	case LIE_LEN_LONG:
		len += 4096;
		break;
	case LIE_LEN_MAX:
		len = UINT32_MAX;
		break;
	case LIE_LEN_ZERO:
		len = 0;
		break;
	case LIE_USED_FLAGS:
		queue->used->flags = (uint16_t)random();
		break;
	case LIE_AVAIL_EVENT:
		put_avail_event(queue, (uint16_t)random());
		break;
	default:
		break;
	}
	put_element(queue, id, len);
	if (twice)
		put_element(queue, id, len);
	queue->used_idx += skip;
	publish(queue, queue->used_idx);
	call(queue);
}

/* True: this queue takes nothing any more. */
static bool gone_silent(struct queue *queue)
{
	struct liar *liar = queue->liar;

	return lie_due(liar, LIE_HANG) || lie_due(liar, LIE_STUCK) ||
	       (liar->told && liar->connection == 1 &&
		(lie_due(liar, LIE_CALL_STALE) || lie_due(liar, LIE_POOL_STALE) ||
		 lie_due(liar, LIE_FD_ORDER) || lie_due(liar, LIE_FEATURES_CHANGE)));
}

static void serve(struct queue *queue)
{
	uint16_t avail;

	avail = le16toh(__atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE));
	while (queue->last_avail != avail) {
		uint16_t head = le16toh(queue->avail->ring[queue->last_avail & (queue->num - 1)]);
		unsigned int nsegs;

		threads_begin(queue);
		if (gone_silent(queue))
			return;
		queue->last_avail++;
		if (head >= queue->num)
			continue;
		nsegs = gather(queue, head, queue->last);
		queue->nlast = nsegs;
		queue->quiet = 0;
		if (nsegs)
			complete(queue, head,
				 disk_request(queue->liar, queue->last, nsegs,
					      !lie_due(queue->liar, LIE_STATUS_NONE)));
	}
	if (!lie_due(queue->liar, LIE_AVAIL_EVENT)) {
		put_avail_event(queue, htole16(queue->last_avail));
		atomic_thread_fence(memory_order_seq_cst);
	}
}

static void *queue_thread(void *arg)
{
	struct queue *queue = arg;
	struct pollfd fds[] = {
		{.fd = queue->stop, .events = POLLIN},
		{.fd = queue->kick, .events = POLLIN},
	};
	uint64_t count;

	for (;;) {
		if (poll(fds, 2, POLL_MS) > 0 && fds[0].revents)
			return NULL;
		if (fds[1].revents && read(queue->kick, &count, sizeof(count)) < 0)
			vl_debug("queue %u: spurious kick", queue->index);
		serve(queue);
		if (lie_due(queue->liar, LIE_LATE_WRITE))
			write_late(queue);
	}
}

int queue_start(struct queue *queue)
{
	int r;

	if (queue->running || !queue->desc || !queue->num || queue->kick < 0)
		return 0;
	queue->stop = eventfd(0, EFD_CLOEXEC);
	r = pthread_create(&queue->thread, NULL, queue_thread, queue);
	queue->running = r == 0;
	return -r;
}

void queue_stop(struct queue *queue)
{
	uint64_t one = 1;

	if (!queue->running)
		return;
	if (write(queue->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(queue->thread, NULL);
	close(queue->stop);
	queue->running = false;
}

void queue_close(struct queue *queue)
{
	queue_stop(queue);
	if (queue->kick >= 0)
		close(queue->kick);
	if (queue->call >= 0)
		close(queue->call);
	queue->kick = -1;
	queue->call = -1;
	queue->desc = NULL;
	queue->num = 0;
}
