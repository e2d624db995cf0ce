/* SPDX-License-Identifier: BSD-3-Clause */
/* Attacks on drivers by what is in their queues, or is not. */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

/*
 * The driver's control queue is not where the number of queues says: there is one pair, and room
 * for two. Nobody answers on it, and the driver waits with the lock of the whole network stack.
 */
int net_control(void)
{
	struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_CTRL_VQ |
				  1ULL << VIRTIO_NET_F_CTRL_RX;
	struct vlb_event event;
	struct vlb_status status;
	uint64_t pool_len;
	char command[200];
	int fd = ctl_open(), r;

	r = create(fd, VIRTIO_ID_NET, "ctrl", 5, features, &config, sizeof(config), 3000,
		   &pool_len);
	if (!r)
		r = ctl_simple(fd, VLB_IOC_REGISTER);
	if (r == -EPROTO || r == -EINVAL)
		return 0; /* refused: as good */
	if (!r)
		r = ctl_event(fd, VLB_EVENT_REGISTERED, LONG_MS, &event);
	if (!r)
		r = ctl_status(fd, &status);
	if (r)
		return failed("making a network device", r);
	snprintf(command, sizeof(command),
		 "ip link set dev $(ls /sys/bus/virtio/devices/%.31s/net) up promisc on",
		 status.out_virtio);
	if (fork() == 0)
		_exit(system(command) != 0);
	/* Where the driver would spin for the answer, it is not told of the queue. */
	if (status.out_driver_features & 1ULL << VIRTIO_NET_F_CTRL_VQ)
		r = ctl_event(fd, VLB_EVENT_BROKEN, LONG_MS, &event);
	if (r)
		failed("waiting for the end of the driver's patience", r);
	if (bury(fd))
		return failed("removing it", -ETIMEDOUT);
	wait(NULL);
	return r != 0;
}

/* Answer the next request of a queue with @bytes, and say that it were @len. False: there is none.
 */
static bool answer(struct ctl_session *session, unsigned int queue, const void *bytes, size_t size,
		   uint32_t len)
{
	const struct vlb_session_queue *q = &session->queue[queue];
	struct vring_desc *desc = (void *)(session->pool + q->out_desc);
	volatile struct vring_avail *avail = (void *)(session->pool + q->out_avail);
	volatile struct vring_used *used = (void *)(session->pool + q->out_used);
	uint64_t one = 1;
	uint16_t head;

	for (int i = 0; avail->idx == used->idx; i++) {
		if (i == 1000)
			return false;
		usleep(1000);
	}
	head = avail->ring[used->idx % q->out_num];
	memcpy(session->pool + desc[head].addr - session->base, bytes, size);
	used->ring[used->idx % q->out_num].id = head;
	used->ring[used->idx % q->out_num].len = len;
	atomic_thread_fence(memory_order_seq_cst);
	used->idx++;
	return write((int)q->out_call, &one, sizeof(one)) == sizeof(one);
}

/*
 * Packets that fill each receive buffer to its last byte, and are said to be longer. A driver that
 * makes buffers for the largest packets in pages of their own has one page more there than a packet
 * may have.
 */
int net_receive(void)
{
	const struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
	const uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
				  1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;
	const struct virtio_net_hdr_v1 header = {0};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	bool ok = true;

	r = start_served(fd, VIRTIO_ID_NET, "large", 2, features, &config, sizeof(config),
			 &session);
	if (r)
		return failed("starting a network device", r);
	if (system("ip link set dev $(ls /sys/class/virtio-loopback/large/virtio*/net) up") != 0)
		return failed("raising the interface", -EIO);
	for (int i = 0; ok && i < 100; i++)
		ok = answer(&session, 0, &header, sizeof(header), UINT32_MAX);
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("giving packets to the driver", -EPIPE);
}

/*
 * The driver of a console with several ports believes that each control message is as long as it
 * has to be: a name that is shorter than its header is written to before its buffer. And it spins
 * for the output of what it is told to be a console, which may have been something else a moment
 * ago.
 */
int console_control(void)
{
	const struct virtio_console_config config = {.max_nr_ports = 2};
	const uint16_t events[] = {VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_RESIZE,
				   VIRTIO_CONSOLE_PORT_OPEN, VIRTIO_CONSOLE_CONSOLE_PORT};
	struct virtio_console_control msg = {.event = VIRTIO_CONSOLE_PORT_ADD, .value = 1};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	bool ok;

	r = start_served(fd, VIRTIO_ID_CONSOLE, "ports", 6, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT,
			 &config, sizeof(config), &session);
	if (r)
		return failed("starting a console", r);
	ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		msg.event = events[i];
		for (uint32_t len = 0; ok && len < sizeof(msg); len++)
			ok = answer(&session, 2, &msg, sizeof(msg), len);
	}
	/* Ports that there are, that there are not, and again. */
	for (uint32_t id = 0; ok && id < 400; id++) {
		msg.id = id < 200 ? id % 4 : id * 0x01010101U;
		msg.event = (uint16_t)(id % 10);
		ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	}
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("sending control messages", -EPIPE);
}

/* Gives all that a queue is offered back at once, again and again. */
static void *give_back(void *arg)
{
	const struct ctl_session *session = arg;
	const struct vlb_session_queue *q = &session->queue[4];
	volatile struct vring_avail *avail = (void *)(session->pool + q->out_avail);
	volatile struct vring_used *used = (void *)(session->pool + q->out_used);
	uint16_t next = 0;
	uint64_t one = 1;

	while (!over) {
		const uint16_t end = avail->idx;

		if (next == end) {
			sched_yield();
			continue;
		}
		atomic_thread_fence(memory_order_seq_cst);
		for (; next != end; next++) {
			used->ring[next % q->out_num].id = avail->ring[next % q->out_num];
			used->ring[next % q->out_num].len = 16;
		}
		atomic_thread_fence(memory_order_seq_cst);
		used->idx = next;
		if (write((int)q->out_call, &one, sizeof(one)) != sizeof(one))
			break;
	}
	return NULL;
}

/*
 * Input for a port that comes and goes. A driver that is called for a queue of no port that it
 * knows frees what it finds there, and may be filling or emptying that queue at the same moment.
 */
int console_ports(void)
{
	const struct virtio_console_config config = {.max_nr_ports = 2};
	struct virtio_console_control msg = {.id = 1, .value = 1};
	static struct ctl_session session;
	int fd = ctl_open(), r;
	pthread_t thread;
	bool ok = true;

	r = start_served(fd, VIRTIO_ID_CONSOLE, "plugs", 6, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT,
			 &config, sizeof(config), &session);
	if (r)
		return failed("starting a console", r);
	pthread_create(&thread, NULL, give_back, &session);
	for (int i = 0; ok && i < 1001; i++) {
		msg.event = i % 2 ? VIRTIO_CONSOLE_PORT_REMOVE : VIRTIO_CONSOLE_PORT_ADD;
		ok = answer(&session, 2, &msg, sizeof(msg), sizeof(msg));
	}
	over = true;
	pthread_join(thread, NULL);
	/* A queue whose list of free entries was destroyed is broken: no buffer comes any more. */
	for (int i = 0; ok && i < 100; i++) {
		const uint8_t byte = 0;

		ok = answer(&session, 4, &byte, sizeof(byte), sizeof(byte));
	}
	r = bury(fd);
	if (r)
		return failed("removing it", r);
	return ok ? 0 : failed("adding, filling and removing a port", -EPIPE);
}
