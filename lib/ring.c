/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data path, as far as it is the same for split and packed rings.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

/* Say what is wrong, once, and take nothing more from this queue. */
int ring_error(struct vloop_queue *queue, const char *what)
{
	dev_error(queue->dev, "queue %u: the driver's ring is bad: %s", queue->index, what);
	queue->broken = true;
	return queue_fail(queue, -EPROTO);
}

/* The request structure for a chain; NULL when the driver offers one that it has not got back. */
struct vloop_req *ring_begin(struct vloop_queue *queue, uint16_t id)
{
	struct vloop_req *req = &queue->reqs[id];

	if (req->in_flight_)
		return NULL;
	req->readable = &queue->iovs[(size_t)id * queue->segments_max];
	req->writable = req->readable;
	req->n_readable = 0;
	req->n_writable = 0;
	req->readable_len = 0;
	req->writable_len = 0;
	req->user = NULL;
	req->id_ = id;
	req->num_desc_ = 0;
	return req;
}

/* Append a buffer. It becomes more than one piece where memory regions meet. */
int ring_add(struct vloop_queue *queue, struct vloop_req *req, uint64_t addr, uint32_t len,
	     bool write)
{
	uint64_t left = len;

	if (!write && req->n_writable)
		return ring_error(queue, "readable buffer behind a writable one");
	while (left) {
		uint64_t now = left;
		void *host = mem_guest(&queue->dev->mem, &queue->hint, addr, &now);
		struct iovec *iov;

		if (!host)
			return ring_error(queue, "buffer outside of the shared memory");
		if (req->n_readable + req->n_writable == queue->segments_max)
			return ring_error(queue, "request of too many segments");
		iov = &req->readable[req->n_readable + req->n_writable];
		iov->iov_base = host;
		iov->iov_len = now;
		if (write) {
			req->n_writable++;
			req->writable_len += now;
		} else {
			req->n_readable++;
			req->readable_len += now;
			req->writable++;
		}
		addr += now;
		left -= now;
	}
	return 0;
}

/* An indirect table: whole descriptors, not empty, in one piece (virtio 1.3, 2.7.5.3, 2.8.7). */
const void *ring_indirect(struct vloop_queue *queue, uint64_t addr, uint32_t len)
{
	uint64_t now = len;
	const void *table;

	if (!queue->indirect) {
		ring_error(queue, "indirect descriptor that was not negotiated");
		return NULL;
	}
	if (len == 0 || len % sizeof(struct split_desc)) {
		ring_error(queue, "indirect table of a wrong size");
		return NULL;
	}
	table = mem_guest(&queue->dev->mem, &queue->hint, addr, &now);
	if (!table || now != len) {
		ring_error(queue, "indirect table outside of the shared memory");
		return NULL;
	}
	return table;
}

void ring_free(struct vloop_queue *queue)
{
	free(queue->reqs);
	if (queue->iovs)
		munmap(queue->iovs, queue->iovs_len);
	queue->reqs = NULL;
	queue->iovs = NULL;
	queue->reqs_num = 0;
}

/*
 * Requests and their iovecs are made when the queue starts, so that the data path does not allocate.
 * Only the pages that requests really use become memory.
 */
static int make_reqs(struct vloop_queue *queue)
{
	size_t len = (size_t)queue->size * queue->segments_max * sizeof(struct iovec);
	void *iovs;

	if (queue->reqs_num == queue->size)
		return 0;
	ring_free(queue);
	queue->reqs = calloc(queue->size, sizeof(*queue->reqs));
	if (!queue->reqs)
		return -ENOMEM;
	iovs = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (iovs == MAP_FAILED) {
		ring_free(queue);
		return -ENOMEM;
	}
	queue->iovs = iovs;
	queue->iovs_len = len;
	queue->reqs_num = queue->size;
	return 0;
}

int ring_open(struct vloop_queue *queue)
{
	const struct vloop_dev *dev = queue->dev;
	int r;

	queue->size = (uint16_t)queue->num;
	queue->segments_max = dev->segments_max;
	queue->is_packed = dev->acked & BIT64(F_RING_PACKED);
	queue->event_idx = dev->acked & BIT64(F_EVENT_IDX);
	queue->indirect = dev->acked & BIT64(F_INDIRECT_DESC);
	queue->armed = false;
	queue->broken = false;
	queue->hint = 0;
	r = make_reqs(queue);
	if (r < 0)
		return r;
	if (queue->is_packed)
		return packed_open(queue);
	r = split_open(queue);
	return r < 0 ? r : inflight_open(queue);
}

/* The queue stopped: remember where to go on. */
void ring_close(struct vloop_queue *queue)
{
	queue->base = queue->is_packed ? packed_base(queue) : split_base(queue);
	inflight_close(queue);
}

int vloop_queue_pop(struct vloop_queue *queue, struct vloop_req **ret_reqs, unsigned int max)
{
	int n;

	if (queue->broken)
		return -EPROTO;
	if (!queue->running)
		return -ESHUTDOWN;
	if (max > queue->size)
		max = queue->size;
	n = queue->is_packed ? packed_pop(queue, ret_reqs, max) : split_pop(queue, ret_reqs, max);
	if (n > 0)
		queue->in_flight += (unsigned int)n;
	return n;
}

void vloop_queue_complete(struct vloop_queue *queue, struct vloop_req *req, uint32_t written)
{
	if (written > req->writable_len)
		written = (uint32_t)req->writable_len;
	if (queue->is_packed)
		packed_complete(queue, req, written);
	else
		split_complete(queue, req, written);
	req->in_flight_ = 0;
	queue->in_flight--;
}

void vloop_queue_flush(struct vloop_queue *queue)
{
	if (queue->is_packed ? packed_flush(queue) : split_flush(queue))
		queue_signal(queue);
}

unsigned int vloop_queue_in_flight(const struct vloop_queue *queue)
{
	return queue->in_flight;
}

static size_t copy_iovs(const struct iovec *iov, uint32_t n, size_t offset, uint8_t *buf, size_t len,
			bool write)
{
	size_t done = 0;

	for (uint32_t i = 0; i < n && done < len; i++) {
		size_t now = iov[i].iov_len;

		if (offset >= now) {
			offset -= now;
			continue;
		}
		now -= offset;
		if (now > len - done)
			now = len - done;
		if (write)
			memcpy((uint8_t *)iov[i].iov_base + offset, buf + done, now);
		else
			memcpy(buf + done, (uint8_t *)iov[i].iov_base + offset, now);
		done += now;
		offset = 0;
	}
	return done;
}

size_t vloop_req_read(const struct vloop_req *req, size_t offset, void *buf, size_t len)
{
	return copy_iovs(req->readable, req->n_readable, offset, buf, len, false);
}

size_t vloop_req_write(struct vloop_req *req, size_t offset, const void *buf, size_t len)
{
	return copy_iovs(req->writable, req->n_writable, offset, (uint8_t *)(uintptr_t)buf, len,
			 true);
}
