/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue's thread with a file. It sleeps in one place, io_uring_submit_and_wait(), for the file,
 * for the driver and for the order to stop, and goes round like this:
 *
 *   take      requests from the driver's ring, until it is empty (the driver then kicks again)
 *   flush     what completed, with at most one call
 *   submit    what was started, and wait
 *   reap      completions
 *
 * To stop means to take nothing more and to go round until nothing is in flight.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "uring.h"

#define BATCH	64

/* Tags of what is not a request; a struct blk_op is aligned and so never one of them. */
enum {
	TAG_KICK = 1,
	TAG_STOP = 2,
};

/*
 * The kernel does work of completions only where this thread waits for them anyway; kernels before
 * 6.1 do not know these flags.
 */
static int init_ring(struct io_uring *ring, unsigned int entries)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && r == -EINVAL; i++)
		r = io_uring_queue_init(entries, ring, flags[i]);
	return r;
}

int blk_uring_probe(void)
{
	static const int needed[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
				      IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
				      IORING_OP_POLL_ADD };
	struct io_uring_probe *probe;
	struct io_uring ring;
	int r;

	r = init_ring(&ring, 2);
	if (r < 0)
		return r;
	probe = io_uring_get_probe_ring(&ring);
	if (!probe)
		r = -EOPNOTSUPP;
	for (size_t i = 0; r == 0 && i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!io_uring_opcode_supported(probe, needed[i]))
			r = -EOPNOTSUPP;
	io_uring_free_probe(probe);
	io_uring_queue_exit(&ring);
	return r;
}

struct io_uring_sqe *blk_worker_sqe(struct blk_worker *worker)
{
	return io_uring_get_sqe(&worker->ring);
}

static void poll_for(struct blk_worker *worker, int fd, uintptr_t tag)
{
	struct io_uring_sqe *sqe = blk_worker_sqe(worker);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, (void *)tag);
}

static void take(struct blk_worker *worker)
{
	struct vloop_req *reqs[BATCH];

	blk_disk_limits(worker->blk, &worker->limits);
	while (worker->look && !worker->stop && worker->num_idle) {
		unsigned int room = worker->num_idle < BATCH ? worker->num_idle : BATCH;
		int n = vloop_queue_pop(worker->queue, reqs, room);

		if (n <= 0) {
			worker->look = false;
			worker->error = n;
			worker->stop = n < 0;
			return;
		}
		for (int i = 0; i < n; i++) {
			struct blk_op *op = worker->idle[--worker->num_idle];

			if (blk_op_start(worker, op, reqs[i]))
				worker->idle[worker->num_idle++] = op;
		}
	}
}

/*
 * The poll is for one kick and is renewed after taking note of it: before, it would see the
 * same kick again.
 */
static void kicked(struct blk_worker *worker, int result)
{
	if (result < 0) {
		worker->error = result;
		worker->stop = true;
		return;
	}
	vloop_queue_ack_kick(worker->queue);
	worker->look = true;
	poll_for(worker, vloop_queue_kick_fd(worker->queue), TAG_KICK);
}

static void reap(struct blk_worker *worker)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(&worker->ring, head, cqe) {
		uintptr_t tag = (uintptr_t)io_uring_cqe_get_data(cqe);

		n++;
		if (tag == TAG_KICK) {
			kicked(worker, cqe->res);
		} else if (tag == TAG_STOP) {
			worker->stop = true;
		} else {
			struct blk_op *op = (struct blk_op *)tag;

			if (blk_op_done(worker, op, cqe->res))
				worker->idle[worker->num_idle++] = op;
		}
	}
	io_uring_cq_advance(&worker->ring, n);
}

/*
 * Return: 0 (stopped, nothing is in flight); negative errno. When the io_uring itself fails, the
 * kernel may still use the buffers of requests in flight: they are not completed, and the
 * library does not let go of the memory.
 */
static int serve(struct blk_worker *worker)
{
	poll_for(worker, vloop_queue_kick_fd(worker->queue), TAG_KICK);
	poll_for(worker, vloop_queue_stop_fd(worker->queue), TAG_STOP);
	for (;;) {
		int r;

		if (vloop_queue_stopping(worker->queue))
			worker->stop = true;
		take(worker);
		vloop_queue_flush(worker->queue);
		if (worker->stop && worker->num_idle == worker->num_ops)
			return worker->error;
		r = io_uring_submit_and_wait(&worker->ring, 1);
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
			return r;
		reap(worker);
	}
}

static int open_worker(struct blk_worker *worker)
{
	unsigned int num = vloop_queue_size(worker->queue);
	int r;

	/* As many as there can be requests in flight. */
	worker->ops = calloc(num, sizeof(*worker->ops));
	worker->idle = calloc(num, sizeof(struct blk_op *));
	if (!worker->ops || !worker->idle)
		return -ENOMEM;
	for (unsigned int i = 0; i < num; i++)
		worker->idle[i] = &worker->ops[i];
	worker->num_ops = num;
	worker->num_idle = num;
	/* In this thread: with SINGLE_ISSUER the ring belongs to who makes it. */
	r = init_ring(&worker->ring, num + 2);
	if (r < 0)
		return r;
	r = io_uring_register_files(&worker->ring, &worker->blk->source.fd, 1);
	if (r < 0)
		io_uring_queue_exit(&worker->ring);
	return r;
}

static void free_worker(struct blk_worker *worker)
{
	for (unsigned int i = 0; i < worker->num_ops; i++)
		free(worker->ops[i].bounce);
	free(worker->idle);
	free(worker->ops);
}

int blk_uring_run(struct vloop_queue *queue)
{
	struct blk_worker worker = {
		.blk = vloop_dev_user(vloop_queue_dev(queue)),
		.queue = queue,
		.look = true,	/* requests may be there from before */
	};
	int r;

	r = open_worker(&worker);
	if (r < 0) {
		vloop_program_error(&blk_program, "queue %u: no io_uring: %s",
				    vloop_queue_index(queue), strerror(-r));
		free_worker(&worker);
		return r;
	}
	r = serve(&worker);
	if (worker.num_idle != worker.num_ops) {
		vloop_program_error(&blk_program, "queue %u: io_uring fails: %s",
				    vloop_queue_index(queue), strerror(-r));
		return r;	/* the buffers of these requests are the kernel's still */
	}
	io_uring_queue_exit(&worker.ring);
	free_worker(&worker);
	return r;
}
