/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* assert() of the fixtures has to work in every build. */
#undef NDEBUG
#include <assert.h>

#include "fixture.h"

static int kick(struct vloop_queue *queue)
{
	(void)queue;
	return 0;
}

static const struct vloop_dev_ops ops = { .size = sizeof(ops), .queue_kick = kick };

static void open_queue(struct fixture *f, uint16_t size)
{
	struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.name = "test",
		.num_queues = 1,
		.queue_size_max = 32768,
		.segments_max = 64,
	};
	/* Two regions that meet in the middle, as memory of a machine does. */
	struct vhost_user_region low = { GUEST_BASE, MEM_SIZE / 2, USER_BASE, 0 };
	struct vhost_user_region high = { GUEST_BASE + MEM_SIZE / 2, MEM_SIZE / 2,
					  USER_BASE + MEM_SIZE / 2, MEM_SIZE / 2 };
	struct vloop_queue *queue;
	int r;

	r = vloop_dev_new(&f->dev, &desc, &ops, NULL);
	assert(r == 0);
	assert(mem_add(&f->dev->mem, &low, f->memfd) == 0);
	assert(mem_add(&f->dev->mem, &high, f->memfd) == 0);
	f->dev->acked = f->features;
	queue = vloop_dev_queue(f->dev, 0);
	queue->num = size;
	queue->desc_addr = USER_BASE + DESC_OFFSET;
	queue->avail_addr = USER_BASE + AVAIL_OFFSET;
	queue->used_addr = USER_BASE + USED_OFFSET;
	queue->base = driver_base(&f->driver);
	r = queue_set_call(queue, dup(f->call_fd));
	assert(r == 0);
	f->queue = queue;
}

static void run_queue(struct fixture *f)
{
	int r = ring_open(f->queue);

	assert(r == 0);
	f->queue->running = true;
	fixture_calls(f);
}

void fixture_init(struct fixture *f, uint64_t features, uint16_t size)
{
	int r;

	memset(f, 0, sizeof(*f));
	f->features = features;
	f->memfd = memfd_create("test", MFD_CLOEXEC);
	r = ftruncate(f->memfd, MEM_SIZE);
	assert(f->memfd >= 0 && r == 0);
	f->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	assert(f->mem != MAP_FAILED);
	f->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(f->call_fd >= 0);
	driver_init(&f->driver, f->mem, features & BIT64(F_RING_PACKED), size);
	open_queue(f, size);
	run_queue(f);
}

static void drop(struct fixture *f)
{
	f->queue->running = false;
	inflight_close(f->queue);
	inflight_unmap(f->dev);
	mem_clear(&f->dev->mem);
	vloop_dev_unref(f->dev);
}

void fixture_reopen(struct fixture *f)
{
	struct vhost_user_inflight info = { .num_queues = 1, .queue_size = f->driver.size };
	bool record = f->dev->inflight_map;
	int fd = -1, r;

	/* The front-end keeps the record and hands it to the successor. */
	if (record) {
		info.mmap_size = f->dev->inflight_map_len;
		fd = memfd_create("record", MFD_CLOEXEC);
		assert(fd >= 0);
		r = (int)write(fd, f->dev->inflight_map, f->dev->inflight_map_len);
		assert(r == (int)f->dev->inflight_map_len);
	}
	drop(f);
	open_queue(f, f->driver.size);
	if (record) {
		r = inflight_set(f->dev, &info, fd);
		assert(r == 0);
		close(fd);
	}
	f->queue->base = f->driver.packed ? driver_base(&f->driver) :
					    le16toh(f->driver.used->idx);
	run_queue(f);
}

void fixture_free(struct fixture *f)
{
	drop(f);
	munmap(f->mem, MEM_SIZE);
	close(f->memfd);
	close(f->call_fd);
}

uint64_t fixture_calls(struct fixture *f)
{
	uint64_t n;

	return read(f->call_fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
