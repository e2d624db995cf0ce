/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the loop of a queue's thread (uring.c) and the steps of its requests (op.c). */
#ifndef BLK_URING_H
#define BLK_URING_H

#include <liburing.h>

#include "blk.h"

/*
 * A request in the io_uring. It has exactly one submission on its way at any time, so a ring with
 * an entry for each of them, and for the two polls, never runs out.
 *
 *   blk_op_start()   -> submission, or finished at once
 *   blk_op_done()    -> the next submission (short transfer, next range, sync), or finished
 */
struct blk_op {
	struct vloop_req *req;
	struct blk_request request;
	uint32_t range;		/* DISCARD, WRITE_ZEROES: the one that is being done */
	bool by_writing;	/* WRITE_ZEROES: this file system cannot zero by itself */
	bool syncing;		/* the last step: fdatasync */
	uint32_t bounced;	/* bytes on their way through @bounce */
	uint8_t *bounce;	/* kept for the next request that needs one */
};

/* The thread of one queue. Nobody else touches this. */
struct blk_worker {
	struct blk *blk;
	struct vloop_queue *queue;
	struct io_uring ring;
	struct blk_limits limits;
	struct blk_op *ops;
	struct blk_op **idle;	/* those not in use */
	unsigned int num_ops;
	unsigned int num_idle;
	bool look;		/* the driver's ring may have requests */
	bool stop;
	int error;
};

/* uring.c */
struct io_uring_sqe *blk_worker_sqe(struct blk_worker *worker);

/* op.c; both finish the operation when they return true: it is idle again. */
bool blk_op_start(struct blk_worker *worker, struct blk_op *op, struct vloop_req *req);
bool blk_op_done(struct blk_worker *worker, struct blk_op *op, int result);

#endif
