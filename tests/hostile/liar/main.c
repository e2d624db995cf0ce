/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "liar.h"
#include "log.h"
#include "parse.h"
#include "sock.h"

static void help(void)
{
	printf("Usage: liar --socket-path PATH [OPTION...]\n"
	       "\n"
	       "A vhost-user disk in memory that serves correctly, until it lies.\n"
	       "\n"
	       "  --socket-path PATH  listen here; one front-end after the other\n"
	       "  --file PATH         keep the disk in this file, which is made as large as the "
	       "disk\n"
	       "  --size SIZE         of the disk (32M)\n"
	       "  --queues N          1 to 8 (1)\n"
	       "  --lie NAME          see below\n"
	       "  --after N           lie from completion N on (0)\n"
	       "  --message NAME      the message that reply-... is about, such as GET_FEATURES\n"
	       "  --seed N            of what is random\n"
	       "  --no-indirect       do not offer indirect descriptors\n"
	       "  --no-event-idx      do not offer event indexes\n"
	       "  --verbose           more messages\n"
	       "\n"
	       "Lies:\n");
	lie_list();
}

static uint32_t message_number(const char *name)
{
	uint32_t i;

	for (i = 1; i < VHOST_USER_REQUEST_END; i++)
		if (!strcmp(vhost_user_msg_name(VHOST_USER_KIND_REQUEST, i), name))
			return i;
	return 0;
}

static int usage_error(const char *option, const char *value)
{
	vl_error("--%s: '%s' is not a value for it; see --help", option, value);
	return 2;
}

static void disconnect(struct liar *liar)
{
	uint64_t count;

	for (uint32_t i = 0; i < QUEUES_MAX; i++)
		queue_close(&liar->queues[i]);
	pool_forget(liar);
	close(liar->sock);
	if (liar->channel >= 0)
		close(liar->channel);
	liar->sock = -1;
	liar->channel = -1;
	if (read(liar->cut, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
}

/* One front-end, until it goes or the lie ends the connection. */
static void converse(struct liar *liar)
{
	struct pollfd fds[] = {
		{.fd = liar->sock, .events = POLLIN},
		{.fd = liar->cut, .events = POLLIN},
	};
	int r = 0;

	while (r == 0) {
		if (poll(fds, 2, -1) < 0)
			abort();
		if (fds[1].revents)
			break;
		/* Deaf as well: the message stays where it is. */
		if (lie_due(liar, LIE_STUCK))
			pause();
		r = control_message(liar);
	}
	vl_info("connection %u ends: %s", liar->connection, r ? strerror(-r) : "cut");
}

static void serve(struct liar *liar)
{
	struct pollfd pfd = {.fd = liar->listen, .events = POLLIN};

	for (;;) {
		if (poll(&pfd, 1, -1) < 0)
			abort();
		liar->sock = accept(liar->listen, NULL, NULL);
		if (liar->sock < 0)
			continue;
		liar->connection++;
		converse(liar);
		disconnect(liar);
	}
}

enum choice {
	OPT_SOCKET_PATH,
	OPT_FILE,
	OPT_SIZE,
	OPT_QUEUES,
	OPT_LIE,
	OPT_AFTER,
	OPT_MESSAGE,
	OPT_SEED,
	OPT_NO_INDIRECT,
	OPT_NO_EVENT_IDX,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct option options[] = {
	[OPT_SOCKET_PATH] = {"socket-path", required_argument, NULL, 0},
	[OPT_FILE] = {"file", required_argument, NULL, 0},
	[OPT_SIZE] = {"size", required_argument, NULL, 0},
	[OPT_QUEUES] = {"queues", required_argument, NULL, 0},
	[OPT_LIE] = {"lie", required_argument, NULL, 0},
	[OPT_AFTER] = {"after", required_argument, NULL, 0},
	[OPT_MESSAGE] = {"message", required_argument, NULL, 0},
	[OPT_SEED] = {"seed", required_argument, NULL, 0},
	[OPT_NO_INDIRECT] = {"no-indirect", no_argument, NULL, 0},
	[OPT_NO_EVENT_IDX] = {"no-event-idx", no_argument, NULL, 0},
	[OPT_VERBOSE] = {"verbose", no_argument, NULL, 0},
	[OPT_HELP] = {"help", no_argument, NULL, 0},
	{NULL, 0, NULL, 0},
};

/* Return: false: @value is not good for this option. */
static bool take_option(struct liar *liar, enum choice choice, const char *value)
{
	uint64_t number = 0;

	switch (choice) {
	case OPT_SIZE:
		return vl_parse_size(value, &liar->bytes) == 0 && liar->bytes >= SECTOR;
	case OPT_QUEUES:
		if (vl_parse_u64(value, 1, QUEUES_MAX, &number))
			return false;
		liar->nqueues = (uint32_t)number;
		return true;
	case OPT_LIE:
		liar->lie = lie_find(value);
		return liar->lie != LIE_END;
	case OPT_AFTER:
		return vl_parse_u64(value, 0, UINT64_MAX, &liar->after) == 0;
	case OPT_MESSAGE:
		liar->message = message_number(value);
		return liar->message;
	case OPT_SEED:
		return vl_parse_u64(value, 0, UINT32_MAX, &liar->seed) == 0;
	case OPT_NO_INDIRECT:
		liar->offered &= ~VHOST_USER_BIT(VIRTIO_RING_F_INDIRECT_DESC);
		return true;
	case OPT_NO_EVENT_IDX:
		liar->offered &= ~VHOST_USER_BIT(VIRTIO_RING_F_EVENT_IDX);
		return true;
	default:
		return true;
	}
}

static int open_disk(struct liar *liar, const char *file)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd = -1;

	if (file) {
		flags = MAP_SHARED;
		fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)liar->bytes) < 0)
			return -errno;
	}
	liar->disk = mmap(NULL, liar->bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (liar->disk == MAP_FAILED)
		return -errno;
	if (fd >= 0)
		close(fd);
	return 0;
}

static void liar_init(struct liar *liar)
{
	liar->bytes = 32 << 20;
	liar->nqueues = 1;
	liar->offered = VHOST_USER_BIT(VIRTIO_F_VERSION_1) |
			VHOST_USER_BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
			VHOST_USER_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			VHOST_USER_BIT(VIRTIO_RING_F_EVENT_IDX) |
			VHOST_USER_BIT(VIRTIO_BLK_F_SEG_MAX) | VHOST_USER_BIT(VIRTIO_BLK_F_FLUSH) |
			VHOST_USER_BIT(VIRTIO_BLK_F_MQ);
	liar->sock = -1;
	liar->channel = -1;
	liar->pool.fd = -1;
	for (uint32_t i = 0; i < QUEUES_MAX; i++) {
		liar->queues[i].liar = liar;
		liar->queues[i].index = i;
		liar->queues[i].kick = -1;
		liar->queues[i].call = -1;
	}
}

int main(int argc, char **argv)
{
	static struct liar liar;
	const char *path = NULL, *file = NULL;
	int index = 0, level = VL_LOG_INFO, c;

	liar_init(&liar);
	vl_log_init("liar", level);
	while ((c = getopt_long(argc, argv, "", options, &index)) == 0) {
		switch (index) {
		case OPT_HELP:
			help();
			return 0;
		case OPT_SOCKET_PATH:
			path = optarg;
			break;
		case OPT_FILE:
			file = optarg;
			break;
		case OPT_VERBOSE:
			level = VL_LOG_DEBUG;
			break;
		default:
			if (!take_option(&liar, (enum choice)index, optarg))
				return usage_error(options[index].name, optarg);
		}
	}
	if (c != -1 || optind != argc || !path) {
		vl_error("--socket-path and no other argument is needed; see --help");
		return 2;
	}
	if ((liar.lie >= LIE_REPLY_NONE && liar.lie <= LIE_REPLY_VALUE) != !!liar.message) {
		vl_error("--message goes with the lies reply-..., and with those only");
		return 2;
	}
	vl_log_init("liar", level);
	signal(SIGPIPE, SIG_IGN);
	srandom((unsigned int)liar.seed);
	liar.cut = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	liar.listen = vl_sock_listen(path, 8);
	if (open_disk(&liar, file) < 0 || liar.cut < 0 || liar.listen < 0) {
		vl_error("cannot begin to serve on %s", path);
		return 1;
	}
	vl_info("lie: %s", lie_name(liar.lie));
	serve(&liar);
}
