/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request, step by step. See struct blk_op.
 *
 * Errors of the file become VIRTIO_BLK_S_IOERR; virtio has no finer ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "uring.h"

/* With O_DIRECT and buffers that are not aligned, a request goes in pieces of this size. */
#define BOUNCE_SIZE	(128U << 10)
#define BOUNCE_ALIGN	4096U
#define ZEROES_SIZE	(256U << 10)

/* Never written to; not const, so that it takes no room in the program file. */
static uint8_t zeroes[ZEROES_SIZE] __attribute__((aligned(BOUNCE_ALIGN)));

static bool finish(struct blk_worker *worker, struct blk_op *op, uint8_t status)
{
	uint32_t used = 0;

	if (op->request.action != BLK_LOST)
		used = blk_finish(&op->request, status);
	vloop_queue_complete(worker->queue, op->req, used);
	op->req = NULL;
	return true;
}

/* File 0 of those that the ring has: the only one. */
static bool submitted(struct io_uring_sqe *sqe, struct blk_op *op)
{
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, op);
	return false;
}

/* ---- flush ---- */

static bool sync_file(struct blk_worker *worker, struct blk_op *op)
{
	struct io_uring_sqe *sqe = blk_worker_sqe(worker);

	op->syncing = true;
	io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	return submitted(sqe, op);
}

static bool write_through(const struct blk_worker *worker)
{
	return atomic_load_explicit(&worker->blk->write_through, memory_order_relaxed);
}

/* ---- read and write ---- */

static bool needs_bounce(const struct blk_worker *worker, const struct blk_vec *vec)
{
	const struct blk_source *source = &worker->blk->source;

	return source->direct && !blk_vec_aligned(vec, source->mem_align, source->block_size);
}

static bool bounce(struct blk_worker *worker, struct blk_op *op)
{
	struct blk_request *r = &op->request;
	struct io_uring_sqe *sqe;

	if (!op->bounce)
		op->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_SIZE);
	if (!op->bounce)
		return finish(worker, op, VIRTIO_BLK_S_IOERR);
	op->bounced = r->len < BOUNCE_SIZE ? (uint32_t)r->len : BOUNCE_SIZE;
	sqe = blk_worker_sqe(worker);
	if (r->action == BLK_READ) {
		io_uring_prep_read(sqe, 0, op->bounce, op->bounced, r->offset);
	} else {
		blk_vec_load(&r->out, op->bounce, op->bounced);
		io_uring_prep_write(sqe, 0, op->bounce, op->bounced, r->offset);
		if (write_through(worker))
			sqe->rw_flags = RWF_DSYNC;
	}
	return submitted(sqe, op);
}

static bool transfer(struct blk_worker *worker, struct blk_op *op)
{
	struct blk_request *r = &op->request;
	const struct blk_vec *vec = r->action == BLK_READ ? &r->in : &r->out;
	struct io_uring_sqe *sqe;

	if (needs_bounce(worker, vec))
		return bounce(worker, op);
	op->bounced = 0;
	sqe = blk_worker_sqe(worker);
	if (r->action == BLK_READ && vec->n == 1)
		io_uring_prep_read(sqe, 0, vec->iov->iov_base, (unsigned int)r->len, r->offset);
	else if (r->action == BLK_READ)
		io_uring_prep_readv(sqe, 0, vec->iov, vec->n, r->offset);
	else if (vec->n == 1)
		io_uring_prep_write(sqe, 0, vec->iov->iov_base, (unsigned int)r->len, r->offset);
	else
		io_uring_prep_writev(sqe, 0, vec->iov, vec->n, r->offset);
	if (r->action == BLK_WRITE && write_through(worker))
		sqe->rw_flags = RWF_DSYNC;
	return submitted(sqe, op);
}

static bool transfer_done(struct blk_worker *worker, struct blk_op *op, int result)
{
	struct blk_request *r = &op->request;
	struct blk_vec *vec = r->action == BLK_READ ? &r->in : &r->out;

	if (result == -EINTR || result == -EAGAIN)
		return transfer(worker, op);
	/* Nothing at all is the end of a file that became shorter than the driver was told. */
	if (result <= 0)
		return finish(worker, op, VIRTIO_BLK_S_IOERR);
	if (op->bounced && r->action == BLK_READ)
		blk_vec_store(vec, op->bounce, (size_t)result);
	if ((uint64_t)result < r->len) {
		blk_vec_advance(vec, (uint64_t)result);
		r->offset += (uint64_t)result;
		r->len -= (uint64_t)result;
		return transfer(worker, op);
	}
	if (r->action == BLK_READ)
		vec->n = 0;
	return finish(worker, op, VIRTIO_BLK_S_OK);
}

/* ---- discard and write-zeroes ---- */

/*
 * Devices have no asynchronous discard before Linux 6.12: this waits, for a range that is bounded by
 * what the driver was told.
 */
static int discard_device(const struct blk_worker *worker, const struct blk_range *range)
{
	uint64_t bounds[2] = { range->offset, range->len };

	return ioctl(worker->blk->source.fd, BLKDISCARD, bounds) < 0 ? -errno : 0;
}

static bool zero_by_writing(struct blk_worker *worker, struct blk_op *op,
			    const struct blk_range *range)
{
	uint32_t len = range->len < ZEROES_SIZE ? (uint32_t)range->len : ZEROES_SIZE;
	struct io_uring_sqe *sqe = blk_worker_sqe(worker);

	io_uring_prep_write(sqe, 0, zeroes, len, range->offset);
	return submitted(sqe, op);
}

/* fallocate(2) of a block device is BLKZEROOUT, with and without permission to unmap. */
static bool fallocate_range(struct blk_worker *worker, struct blk_op *op,
			    const struct blk_range *range)
{
	bool punch = op->request.action == BLK_DISCARD || range->unmap;
	int mode = FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	struct io_uring_sqe *sqe = blk_worker_sqe(worker);

	io_uring_prep_fallocate(sqe, 0, mode, (off_t)range->offset, (off_t)range->len);
	return submitted(sqe, op);
}

static uint8_t range_status(int error)
{
	return error == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static bool next_range(struct blk_worker *worker, struct blk_op *op)
{
	struct blk_request *r = &op->request;

	for (; op->range < r->n_ranges; op->range++) {
		struct blk_range *range = &r->ranges[op->range];
		int error;

		if (range->len == 0)
			continue;
		if (op->by_writing)
			return zero_by_writing(worker, op, range);
		if (r->action == BLK_WRITE_ZEROES || !worker->blk->source.is_device)
			return fallocate_range(worker, op, range);
		error = discard_device(worker, range);
		if (error < 0)
			return finish(worker, op, range_status(error));
	}
	if (r->action == BLK_WRITE_ZEROES && write_through(worker))
		return sync_file(worker, op);
	return finish(worker, op, VIRTIO_BLK_S_OK);
}

static bool range_done(struct blk_worker *worker, struct blk_op *op, int result)
{
	struct blk_range *range = &op->request.ranges[op->range];

	if (result == -EINTR || result == -EAGAIN)
		return next_range(worker, op);
	if (result == -EOPNOTSUPP && op->request.action == BLK_WRITE_ZEROES && !op->by_writing) {
		op->by_writing = true;
		return next_range(worker, op);
	}
	if (result < 0 || (op->by_writing && result == 0))
		return finish(worker, op, range_status(result));
	if (op->by_writing) {
		range->offset += (uint64_t)result;
		range->len -= (uint64_t)result;
	} else {
		range->len = 0;
	}
	return next_range(worker, op);
}

/* ---- all ---- */

bool blk_op_start(struct blk_worker *worker, struct blk_op *op, struct vloop_req *req)
{
	struct blk_request *r = &op->request;

	op->req = req;
	op->range = 0;
	op->by_writing = false;
	op->syncing = false;
	blk_parse(req, &worker->limits, r);
	switch (r->action) {
	case BLK_LOST:
	case BLK_ANSWERED:
		return finish(worker, op, r->status);
	case BLK_READ:
	case BLK_WRITE:
		return transfer(worker, op);
	case BLK_FLUSH:
		return sync_file(worker, op);
	case BLK_GET_ID:
		blk_vec_store(&r->in, worker->blk->options.serial, BLK_ID_LEN);
		r->in.n = 0;
		return finish(worker, op, VIRTIO_BLK_S_OK);
	case BLK_DISCARD:
	case BLK_WRITE_ZEROES:
		return next_range(worker, op);
	}
	return finish(worker, op, VIRTIO_BLK_S_UNSUPP);
}

bool blk_op_done(struct blk_worker *worker, struct blk_op *op, int result)
{
	if (op->syncing) {
		if (result == -EINTR || result == -EAGAIN)
			return sync_file(worker, op);
		return finish(worker, op, result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	}
	if (op->request.action == BLK_READ || op->request.action == BLK_WRITE)
		return transfer_done(worker, op, result);
	return range_done(worker, op, result);
}
