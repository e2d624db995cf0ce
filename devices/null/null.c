/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vloop-null: the smallest device. To a driver it is an entropy device (virtio 1.3, 5.4) whose entropy
 * is zeros. doc/new-device.md explains it line by line.
 */
#include <stdlib.h>
#include <string.h>

#include <vloop/vloop.h>

static void fill(struct vloop_req *req)
{
	for (uint32_t i = 0; i < req->n_writable; i++)
		memset(req->writable[i].iov_base, 0, req->writable[i].iov_len);
}

static int kick(struct vloop_queue *queue)
{
	struct vloop_req *req;
	int n;

	while ((n = vloop_queue_pop(queue, &req, 1)) > 0) {
		fill(req);
		vloop_queue_complete(queue, req, (uint32_t)req->writable_len);
	}
	vloop_queue_flush(queue);
	return n;
}

static const struct vloop_program program = {
	.size = sizeof(program),
	.name = "vloop-null",
	.summary = "An entropy device that yields zeros, to learn from and to measure with.",
	.type = "rng",
};

static const struct vloop_dev_desc desc = {
	.size = sizeof(desc),
	.device_id = 4,
	.name = "null",
	.num_queues = 1,
	.dispatch = VLOOP_DISPATCH_LOOP,
};

static const struct vloop_dev_ops ops = {
	.size = sizeof(ops),
	.queue_kick = kick,
};

int main(int argc, char **argv)
{
	struct vloop_args args = { .size = sizeof(args) };
	struct vloop_dev *dev;
	int r;

	r = vloop_program_parse(&program, argc, argv, &args, NULL);
	if (r)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	r = vloop_dev_new(&dev, &desc, &ops, NULL);
	if (r < 0) {
		vloop_program_error(&program, "cannot make the device: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = vloop_program_run(&program, &args, dev);
	vloop_dev_unref(dev);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
