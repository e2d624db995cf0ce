/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* assert() has to work in every build. */
#undef NDEBUG
#include <assert.h>

#include "frontend.h"
#include "sock.h"

void frontend_take(struct frontend *fe, int sock)
{
	int r;

	memset(fe, 0, sizeof(*fe));
	fe->sock = sock;
	fe->memfd = memfd_create("frontend", MFD_CLOEXEC);
	r = ftruncate(fe->memfd, FRONTEND_QUEUES * MEM_SIZE);
	assert(fe->memfd >= 0 && r == 0);
	fe->mem = mmap(NULL, FRONTEND_QUEUES * MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       fe->memfd, 0);
	assert(fe->mem != MAP_FAILED);
	for (unsigned int q = 0; q < FRONTEND_QUEUES; q++) {
		fe->kick_fd[q] = eventfd(0, EFD_CLOEXEC);
		fe->call_fd[q] = eventfd(0, EFD_CLOEXEC);
		assert(fe->kick_fd[q] >= 0 && fe->call_fd[q] >= 0);
	}
}

void frontend_connect(struct frontend *fe, const char *path)
{
	int sock = -1;

	for (int tries = 0; tries < ANSWER_MS / 10; tries++) {
		sock = vl_sock_connect(path);
		if (sock >= 0)
			break;
		usleep(10000);
	}
	assert(sock >= 0);
	frontend_take(fe, sock);
}

void frontend_close(struct frontend *fe)
{
	for (unsigned int q = 0; q < FRONTEND_QUEUES; q++) {
		close(fe->kick_fd[q]);
		close(fe->call_fd[q]);
	}
	close(fe->sock);
	close(fe->memfd);
	munmap(fe->mem, FRONTEND_QUEUES * MEM_SIZE);
}

static void fill(struct vhost_user_msg *msg, uint32_t request, const void *payload, uint32_t size,
		 int fd)
{
	vhost_user_init(msg, request, size);
	if (size)
		memcpy(msg->payload.bytes, payload, size);
	if (fd >= 0) {
		msg->fds[0] = fd;
		msg->num_fds = 1;
	}
}

void frontend_send(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		   int fd)
{
	struct vhost_user_msg msg;
	int r;

	fill(&msg, request, payload, size, fd);
	r = vhost_user_call(fe->sock, &msg, ANSWER_MS);
	assert(r == 0);
}

uint64_t frontend_ack(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		      int fd)
{
	struct vhost_user_msg msg;
	int r;

	fill(&msg, request, payload, size, fd);
	msg.hdr.flags |= VHOST_USER_FLAG_NEED_REPLY;
	r = vhost_user_call(fe->sock, &msg, ANSWER_MS);
	assert(r == 0 || r == -EREMOTEIO);
	return msg.payload.u64;
}

uint64_t frontend_get(struct frontend *fe, uint32_t request)
{
	struct vhost_user_msg msg;
	int r;

	vhost_user_init(&msg, request, 0);
	r = vhost_user_call(fe->sock, &msg, ANSWER_MS);
	assert(r == 0);
	return msg.payload.u64;
}

void frontend_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol)
{
	uint64_t offered = frontend_get(fe, VHOST_USER_GET_FEATURES);

	fe->features = offered & features;
	if (fe->features & BIT64(VHOST_USER_F_PROTOCOL_FEATURES)) {
		fe->protocol = frontend_get(fe, VHOST_USER_GET_PROTOCOL_FEATURES) & protocol;
		frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &fe->protocol, 8, -1);
	}
	frontend_send(fe, VHOST_USER_SET_OWNER, NULL, 0, -1);
	frontend_send(fe, VHOST_USER_SET_FEATURES, &fe->features, 8, -1);
}

void frontend_set_memory(struct frontend *fe)
{
	struct vhost_user_mem_table table = {
		.num = 1,
		.regions[0] = { GUEST_BASE, FRONTEND_QUEUES * MEM_SIZE, USER_BASE, 0 },
	};

	frontend_send(fe, VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, fe->memfd);
}

void frontend_offer_queue(struct frontend *fe, unsigned int q, uint32_t base)
{
	struct vhost_user_vring_state state = { q, fe->driver[q].size };
	uint64_t user = USER_BASE + q * MEM_SIZE, index = q;
	struct vhost_user_vring_addr addr = {
		.index = q,
		.desc = user + DESC_OFFSET,
		.avail = user + AVAIL_OFFSET,
		.used = user + USED_OFFSET,
	};

	frontend_send(fe, VHOST_USER_SET_VRING_NUM, &state, sizeof(state), -1);
	state.num = base;
	frontend_send(fe, VHOST_USER_SET_VRING_BASE, &state, sizeof(state), -1);
	frontend_send(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	frontend_send(fe, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), fe->call_fd[q]);
	frontend_send(fe, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), fe->kick_fd[q]);
	state.num = 1;
	if (fe->features & BIT64(VHOST_USER_F_PROTOCOL_FEATURES))
		frontend_send(fe, VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state), -1);
}

void frontend_resume_queue(struct frontend *fe, unsigned int q, uint32_t base)
{
	frontend_offer_queue(fe, q, base);
	frontend_kick(fe, q);
}

void frontend_start_queue(struct frontend *fe, unsigned int q, uint16_t size)
{
	struct driver *d = &fe->driver[q];

	driver_init(d, fe->mem + q * MEM_SIZE, fe->features & BIT64(F_RING_PACKED), size);
	frontend_resume_queue(fe, q, driver_base(d));
}

uint32_t frontend_stop_queue(struct frontend *fe, unsigned int q)
{
	struct vhost_user_msg msg;
	struct vhost_user_vring_state state = { q, 0 };
	int r;

	fill(&msg, VHOST_USER_GET_VRING_BASE, &state, sizeof(state), -1);
	r = vhost_user_call(fe->sock, &msg, ANSWER_MS);
	assert(r == 0 && msg.payload.state.index == q);
	return msg.payload.state.num;
}

void frontend_kick(struct frontend *fe, unsigned int q)
{
	uint64_t one = 1;
	ssize_t n = write(fe->kick_fd[q], &one, sizeof(one));

	assert(n == sizeof(one));
}

uint32_t frontend_wait_used(struct frontend *fe, unsigned int q, uint32_t *ret_id)
{
	struct pollfd pfd = { .fd = fe->call_fd[q], .events = POLLIN };
	uint32_t len;

	while (!driver_used(&fe->driver[q], ret_id, &len)) {
		uint64_t count;
		ssize_t n;
		int r = poll(&pfd, 1, ANSWER_MS);

		assert(r == 1);
		n = read(fe->call_fd[q], &count, sizeof(count));
		assert(n == sizeof(count));
	}
	if (fe->features & BIT64(F_EVENT_IDX))
		driver_call_after(&fe->driver[q], 1);
	return len;
}

uint32_t frontend_read_request(struct frontend *fe, unsigned int q, uint32_t len)
{
	struct buffer buffer = { frontend_guest(q, DATA_OFFSET), len, true };
	uint32_t id;

	if (fe->features & BIT64(F_EVENT_IDX))
		driver_call_after(&fe->driver[q], 1);
	if (driver_add(&fe->driver[q], &buffer, 1, false) < 0)
		abort();
	driver_publish(&fe->driver[q]);
	frontend_kick(fe, q);
	return frontend_wait_used(fe, q, &id);
}

void frontend_check(const char *path)
{
	struct frontend fe;
	uint32_t n;

	frontend_connect(&fe, path);
	frontend_negotiate(&fe, BIT64(F_VERSION_1) | BIT64(VHOST_USER_F_PROTOCOL_FEATURES), 0);
	frontend_set_memory(&fe);
	frontend_start_queue(&fe, 0, 16);
	n = frontend_read_request(&fe, 0, 100);
	assert(n == 100);
	frontend_stop_queue(&fe, 0);
	frontend_close(&fe);
}

unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
