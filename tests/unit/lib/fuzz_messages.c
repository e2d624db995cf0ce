/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzer: a front-end that sends anything to a real device.
 *
 * Input: messages, each of one byte (descriptors with it, up to 7), a header of which the size
 * is kept small, and its payload. Descriptors are memory or an eventfd that has been kicked.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int kick(struct vloop_queue *queue)
{
	struct vloop_req *reqs[8];
	int n;

	while ((n = vloop_queue_pop(queue, reqs, 8)) > 0)
		for (int i = 0; i < n; i++)
			vloop_queue_complete(queue, reqs[i], 1);
	vloop_queue_flush(queue);
	return n;
}

static int config_write(struct vloop_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	return vloop_dev_set_config(dev, offset, data, len);
}

static int open_kick(void)
{
	return eventfd(1, EFD_CLOEXEC);
}

static void send_one(int sock, const uint8_t *bytes, size_t len, unsigned int num_fds,
		     unsigned int kinds)
{
	struct vhost_user_msg msg;

	memset(&msg, 0, sizeof(msg));
	memcpy(&msg.hdr, bytes, 12);
	if (msg.hdr.size > sizeof(msg.payload))
		msg.hdr.size %= sizeof(msg.payload) + 1;
	if (msg.hdr.size > len - 12)
		msg.hdr.size = (uint32_t)(len - 12);
	memcpy(&msg.payload, bytes + 12, msg.hdr.size);
	for (unsigned int i = 0; i < num_fds; i++) {
		int fd = kinds >> i & 1 ? open_kick() : memfd_create("fuzz", MFD_CLOEXEC);

		if (fd < 0 || (!(kinds >> i & 1) && ftruncate(fd, 0x10000) < 0))
			abort();
		msg.fds[msg.num_fds++] = fd;
	}
	/* The device may have closed the connection. */
	if (vhost_user_send(sock, &msg, 0) < 0)
		errno = 0;
	vhost_user_close_fds(&msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t config[16];
	struct vloop_dev_desc desc = {
		.size = sizeof(desc),
		.name = "fuzz",
		.num_queues = 2,
		.queue_size_max = 64,
		.segments_max = 16,
		.config = config,
		.config_len = sizeof(config),
	};
	struct vloop_dev_ops ops = {
		.size = sizeof(ops),
		.queue_kick = kick,
		.config_write = config_write,
	};
	struct vloop_dev *dev;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    vloop_dev_new(&dev, &desc, &ops, NULL) < 0 || vloop_dev_take_fd(dev, pair[1]) < 0)
		abort();
	while (size >= 13) {
		size_t len = size - 1;

		send_one(pair[0], data + 1, len, data[0] & 7, data[0] >> 3);
		len = 12 + data[9] + (size_t)(data[10] & 1) * 256;
		if (len > size - 1)
			len = size - 1;
		data += 1 + len;
		size -= 1 + len;
		if (vloop_dev_process(dev) < 0)
			break;
	}
	close(pair[0]);
	while (vloop_dev_process(dev) == 0)
		;
	vloop_dev_unref(dev);
	return 0;
}
