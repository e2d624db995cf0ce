/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The null source: requests complete at once and nothing is stored, so that what is measured is
 * the way to here and back. Per kick: one read(2), one write(2), and what the ring costs.
 */
#include <string.h>

#include "blk.h"

#define BATCH	64

static void serve(struct blk *blk, struct vloop_queue *queue, const struct blk_limits *limits,
		  struct vloop_req *req)
{
	struct blk_request r;
	uint8_t status = VIRTIO_BLK_S_OK;

	blk_parse(req, limits, &r);
	switch (r.action) {
	case BLK_LOST:
		vloop_queue_complete(queue, req, 0);
		return;
	case BLK_ANSWERED:
		status = r.status;
		break;
	case BLK_READ:
		/* The buffer stays as it is: filling it is what a real source would be measured by. */
		r.in.n = 0;
		break;
	case BLK_GET_ID:
		blk_vec_store(&r.in, blk->options.serial, BLK_ID_LEN);
		r.in.n = 0;
		break;
	default:
		break;
	}
	vloop_queue_complete(queue, req, blk_finish(&r, status));
}

int blk_null_run(struct vloop_queue *queue)
{
	struct blk *blk = vloop_dev_user(vloop_queue_dev(queue));
	struct vloop_req *reqs[BATCH];
	struct blk_limits limits;
	int n;

	blk_disk_limits(blk, &limits);
	while ((n = vloop_queue_wait(queue)) > 0) {
		while ((n = vloop_queue_pop(queue, reqs, BATCH)) > 0) {
			for (int i = 0; i < n; i++)
				serve(blk, queue, &limits, reqs[i]);
			vloop_queue_flush(queue);
			/* A driver that never pauses must not keep its queue from stopping. */
			if (vloop_queue_stopping(queue))
				return 0;
		}
		if (n < 0)
			return n;
	}
	return n;
}
