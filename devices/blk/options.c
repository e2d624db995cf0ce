/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "blk.h"

#define DEFAULT_NULL_SIZE	(1ULL << 30)
#define DEFAULT_QUEUE_DEPTH	1024U
#define DEFAULT_SEG_MAX		254U

/* An io_uring has at most 32768 entries, and room for the polls is needed too. */
#define QUEUE_DEPTH_MAX		16384U

/* readv(2) and writev(2) take 1024 pieces. */
#define SEG_MAX_MAX		1000U

enum {
	OPT_FILE = 256,
	OPT_NULL,
	OPT_SIZE,
	OPT_READ_ONLY,
	OPT_DIRECT,
	OPT_NUM_QUEUES,
	OPT_QUEUE_DEPTH,
	OPT_SEG_MAX,
	OPT_BLOCK_SIZE,
	OPT_SERIAL,
};

static const struct option options[] = {
	{ "file", required_argument, NULL, OPT_FILE },
	/* The name in vhost-user.rst, "vhost-user-blk program conventions". */
	{ "blk-file", required_argument, NULL, OPT_FILE },
	{ "null", no_argument, NULL, OPT_NULL },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "read-only", no_argument, NULL, OPT_READ_ONLY },
	{ "direct", no_argument, NULL, OPT_DIRECT },
	{ "num-queues", required_argument, NULL, OPT_NUM_QUEUES },
	{ "queue-depth", required_argument, NULL, OPT_QUEUE_DEPTH },
	{ "seg-max", required_argument, NULL, OPT_SEG_MAX },
	{ "block-size", required_argument, NULL, OPT_BLOCK_SIZE },
	{ "serial", required_argument, NULL, OPT_SERIAL },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"      --file=PATH           the disk: a regular file or a block device\n"
	"      --blk-file=PATH       the same\n"
	"      --null                a disk that stores nothing, for measuring\n"
	"      --size=SIZE           its size (1G)\n"
	"      --read-only           refuse everything that changes the disk\n"
	"      --direct              go past the page cache\n"
	"      --num-queues=N        queues, each with a thread of its own (1)\n"
	"      --queue-depth=N       largest queue, a power of two (1024)\n"
	"      --seg-max=N           largest number of data segments in a request (254)\n"
	"      --block-size=N        logical block: 512 or 4096 bytes\n"
	"      --serial=TEXT         at most 20 bytes; the serial number\n"
	"\n"
	"One of --file and --null is needed. SIGHUP makes it look at the size of the file.\n";

static const char *const capabilities[] = { "read-only", "blk-file", NULL };

void blk_options_init(struct blk_options *opt)
{
	*opt = (struct blk_options){
		.num_queues = 1,
		.queue_depth = DEFAULT_QUEUE_DEPTH,
		.seg_max = DEFAULT_SEG_MAX,
	};
}

static int wrong(const char *option, const char *arg, const char *expected)
{
	vloop_program_error(&blk_program, "--%s=%s: %s", option, arg, expected);
	return -EINVAL;
}

static int read_number(const char *arg, uint64_t min, uint64_t max, uint32_t *ret_value)
{
	uint64_t value;

	if (vloop_parse_size(arg, &value) < 0 || value < min || value > max)
		return -EINVAL;
	*ret_value = (uint32_t)value;
	return 0;
}

static int read_serial(struct blk_options *opt, const char *arg)
{
	size_t len = strlen(arg);

	if (len > sizeof(opt->serial))
		return wrong("serial", arg, "more than 20 bytes");
	memset(opt->serial, 0, sizeof(opt->serial));
	memcpy(opt->serial, arg, len);
	return 0;
}

static int read_option(void *user, int val, const char *arg)
{
	struct blk_options *opt = user;

	switch (val) {
	case OPT_FILE:
		opt->file = arg;
		return 0;
	case OPT_NULL:
		opt->null = true;
		return 0;
	case OPT_SIZE:
		if (vloop_parse_size(arg, &opt->size) < 0 || opt->size == 0)
			return wrong("size", arg, "not a size");
		return 0;
	case OPT_READ_ONLY:
		opt->read_only = true;
		return 0;
	case OPT_DIRECT:
		opt->direct = true;
		return 0;
	case OPT_NUM_QUEUES:
		if (read_number(arg, 1, VLOOP_QUEUES_MAX, &opt->num_queues) < 0)
			return wrong("num-queues", arg, "not a number from 1 to 256");
		return 0;
	case OPT_QUEUE_DEPTH:
		if (read_number(arg, 2, QUEUE_DEPTH_MAX, &opt->queue_depth) < 0 ||
		    opt->queue_depth & (opt->queue_depth - 1))
			return wrong("queue-depth", arg, "not a power of two from 2 to 16384");
		return 0;
	case OPT_SEG_MAX:
		if (read_number(arg, 1, SEG_MAX_MAX, &opt->seg_max) < 0)
			return wrong("seg-max", arg, "not a number from 1 to 1000");
		return 0;
	case OPT_BLOCK_SIZE:
		if (read_number(arg, 512, 4096, &opt->block_size) < 0 ||
		    (opt->block_size != 512 && opt->block_size != 4096))
			return wrong("block-size", arg, "neither 512 nor 4096");
		return 0;
	case OPT_SERIAL:
		return read_serial(opt, arg);
	default:
		return -EINVAL;
	}
}

int blk_options_check(struct blk_options *opt)
{
	if (opt->null == !!opt->file) {
		vloop_program_error(&blk_program, "%s; see --help",
				    opt->null ? "--file and --null exclude each other"
					      : "one of --file and --null is needed");
		return -EINVAL;
	}
	if (opt->size && !opt->null) {
		vloop_program_error(&blk_program, "--size is for --null; a file has its own size");
		return -EINVAL;
	}
	if (!opt->size)
		opt->size = DEFAULT_NULL_SIZE;
	return 0;
}

const struct vloop_program blk_program = {
	.size = sizeof(blk_program),
	.name = "vloop-blk",
	.summary = "A virtio disk from a file or a block device, as a vhost-user back-end.",
	.type = "block",
	.capabilities = capabilities,
	.options = options,
	.help = help,
	.option = read_option,
};
