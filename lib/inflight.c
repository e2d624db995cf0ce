/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of requests in flight, which outlives this process: the front-end keeps the memory and
 * hands it to the next back-end (vhost-user.rst, "Inflight I/O tracking"; split rings only).
 *
 * A request is marked when it is taken. When a batch is completed, its heads are first chained
 * from last_batch_head, then the used index is published, then the marks are cleared, then
 * used_idx follows. A successor that finds used_idx behind the used index clears the marks of the
 * chain itself; what is still marked after that is taken again, in the order of the counters.
 *
 * The front-end can write this memory too, so the successor believes nothing in it but numbers that
 * it has checked; the worst that can come of it is a request that is done twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define INFLIGHT_VERSION	1
#define INFLIGHT_ALIGN		64U

/* Layouts of vhost-user.rst. */
struct inflight_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct inflight_queue {
	uint64_t features;
	uint16_t version;	/* 0: never used */
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct inflight_desc desc[];
};

_Static_assert(sizeof(struct inflight_desc) == 16, "vhost-user.rst");
_Static_assert(sizeof(struct inflight_queue) == 16, "vhost-user.rst");

static size_t queue_bytes(uint16_t queue_size)
{
	size_t bytes = sizeof(struct inflight_queue) +
		       (size_t)queue_size * sizeof(struct inflight_desc);

	return (bytes + INFLIGHT_ALIGN - 1) & ~(size_t)(INFLIGHT_ALIGN - 1);
}

static int check_info(const struct vloop_dev *dev, const struct vhost_user_inflight *info)
{
	if (info->num_queues == 0 || info->num_queues > dev->num_queues || info->queue_size == 0 ||
	    info->queue_size > dev->queue_size_max)
		return -EPROTO;
	return 0;
}

/*
 * GET_INFLIGHT_FD: make the memory and use it. Packed rings keep no record: the answer then
 * is a size of 0, which front-ends take as "none".
 */
int inflight_create(struct vloop_dev *dev, struct vhost_user_inflight *info, int *ret_fd)
{
	size_t len;
	int fd, r;

	*ret_fd = -1;
	r = check_info(dev, info);
	if (r < 0)
		return r;
	info->mmap_offset = 0;
	info->mmap_size = 0;
	if (dev->acked & BIT64(F_RING_PACKED))
		return 0;
	len = queue_bytes(info->queue_size) * info->num_queues;
	fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* The front-end gets the file: made smaller, it would be SIGBUS here. */
	if (ftruncate(fd, (off_t)len) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	info->mmap_size = len;
	r = inflight_set(dev, info, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* SET_INFLIGHT_FD. The caller sees to it that no queue runs. @fd stays the caller's. */
int inflight_set(struct vloop_dev *dev, const struct vhost_user_inflight *info, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), size = info->mmap_size;
	struct stat st;
	void *map;
	int r;

	r = check_info(dev, info);
	if (r < 0)
		return r;
	if (size < queue_bytes(info->queue_size) * info->num_queues || size > INT64_MAX / 2 ||
	    info->mmap_offset % page || info->mmap_offset > INT64_MAX / 2)
		return -EPROTO;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < info->mmap_offset + size)
		return -EPROTO;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)info->mmap_offset);
	if (map == MAP_FAILED)
		return -errno;
	inflight_unmap(dev);
	dev->inflight_map = map;
	dev->inflight_map_len = size;
	dev->inflight_queues = info->num_queues;
	dev->inflight_size = info->queue_size;
	return 0;
}

void inflight_unmap(struct vloop_dev *dev)
{
	if (dev->inflight_map)
		munmap(dev->inflight_map, dev->inflight_map_len);
	dev->inflight_map = NULL;
}

/* Whether the queue's record was used before: by another process, or until the queue was stopped. */
bool inflight_left(const struct vloop_queue *queue)
{
	const struct vloop_dev *dev = queue->dev;
	const struct inflight_queue *record;

	if (!dev->inflight_map || queue->index >= dev->inflight_queues)
		return false;
	record = (const void *)((const uint8_t *)dev->inflight_map +
				queue->index * queue_bytes(dev->inflight_size));
	return record->version == INFLIGHT_VERSION;
}

struct marked {
	uint16_t head;
	uint64_t counter;
};

static int by_counter(const void *a, const void *b)
{
	const struct marked *x = a, *y = b;

	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

/* The predecessor published a batch and could not clear its marks any more. */
static void finish_batch(struct vloop_queue *queue)
{
	struct inflight_queue *record = queue->inflight;
	uint16_t used = queue->split.used_idx, n = used - record->used_idx;
	uint16_t head = record->last_batch_head;

	for (; n && head < queue->size; n--) {
		record->desc[head].inflight = 0;
		head = record->desc[head].next;
	}
	record->used_idx = used;
}

/* Collect what is still marked, in the order in which it had been taken. */
static int collect(struct vloop_queue *queue)
{
	struct inflight_queue *record = queue->inflight;
	struct marked *marked;
	unsigned int n = 0;

	marked = calloc(queue->size, sizeof(*marked));
	if (!marked)
		return -ENOMEM;
	for (uint16_t i = 0; i < queue->size; i++) {
		if (record->desc[i].inflight != 1)
			continue;
		marked[n].head = i;
		marked[n++].counter = record->desc[i].counter;
	}
	qsort(marked, n, sizeof(*marked), by_counter);
	for (unsigned int i = 0; i < n; i++)
		queue->resubmit[i] = marked[i].head;
	if (n)
		queue->inflight_counter = marked[n - 1].counter + 1;
	free(marked);
	queue->resubmit_num = n;
	/* Everything before had been taken and either completed or marked. */
	queue->split.last_avail = (uint16_t)(queue->split.used_idx + n);
	queue->split.seen_avail = queue->split.last_avail;
	return 0;
}

/* After an error the caller calls inflight_close(). */
int inflight_open(struct vloop_queue *queue)
{
	struct vloop_dev *dev = queue->dev;
	struct inflight_queue *record;

	queue->resubmit_num = 0;
	queue->resubmit_next = 0;
	queue->batch_num = 0;
	queue->inflight_counter = 0;
	if (!dev->inflight_map || queue->index >= dev->inflight_queues)
		return 0;
	if (queue->size > dev->inflight_size)
		return ring_error(queue, "larger than the record of requests in flight");
	queue->resubmit = calloc(queue->size, sizeof(*queue->resubmit));
	queue->batch = calloc(queue->size, sizeof(*queue->batch));
	if (!queue->resubmit || !queue->batch)
		return -ENOMEM;
	record = (void *)((uint8_t *)dev->inflight_map +
			  queue->index * queue_bytes(dev->inflight_size));
	queue->inflight = record;
	if (record->version != INFLIGHT_VERSION) {
		memset(record, 0, queue_bytes(dev->inflight_size));
		record->version = INFLIGHT_VERSION;
		record->desc_num = queue->size;
		record->used_idx = queue->split.used_idx;
		return 0;
	}
	finish_batch(queue);
	return collect(queue);
}

void inflight_close(struct vloop_queue *queue)
{
	free(queue->resubmit);
	free(queue->batch);
	queue->resubmit = NULL;
	queue->batch = NULL;
	queue->resubmit_num = 0;
	queue->resubmit_next = 0;
	queue->batch_num = 0;
	queue->inflight = NULL;
}

void inflight_taken(struct vloop_queue *queue, uint16_t head)
{
	struct inflight_desc *desc = &queue->inflight->desc[head];

	desc->counter = queue->inflight_counter++;
	/* The process may end between any two stores: a mark without its counter is useless. */
	__atomic_store_n(&desc->inflight, 1, __ATOMIC_RELEASE);
}

void inflight_completed(struct vloop_queue *queue, uint16_t head)
{
	struct inflight_queue *record = queue->inflight;
	struct inflight_desc *desc = &record->desc[head];

	__atomic_store_n(&desc->next, queue->batch_num ? queue->batch[queue->batch_num - 1] : head,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&record->last_batch_head, head, __ATOMIC_RELEASE);
	queue->batch[queue->batch_num++] = head;
}

/* The used index has just been published. */
void inflight_published(struct vloop_queue *queue)
{
	struct inflight_queue *record = queue->inflight;

	atomic_thread_fence(memory_order_release);
	for (unsigned int i = 0; i < queue->batch_num; i++)
		__atomic_store_n(&record->desc[queue->batch[i]].inflight, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&record->used_idx, queue->split.used_idx, __ATOMIC_RELEASE);
	queue->batch_num = 0;
}
