/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "blk.h"

/* Since Linux 5.6; not in all headers. */
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static int check_uring(void)
{
	int r = blk_uring_probe();

	if (r == -ENOSYS)
		vloop_program_error(&blk_program,
				    "io_uring is not available: this kernel does not have it, or a seccomp filter hides it (containers often do); --file needs it");
	else if (r == -EPERM)
		vloop_program_error(&blk_program,
				    "io_uring is not allowed: look at the sysctl kernel.io_uring_disabled and at seccomp filters; --file needs it");
	else if (r < 0)
		vloop_program_error(&blk_program, "io_uring does not work here: %s", strerror(-r));
	return r;
}

static int open_source(struct blk *blk)
{
	struct blk_options *opt = &blk->options;
	char text[BLK_SOURCE_TEXT];
	int r;

	if (opt->null) {
		blk->source = (struct blk_source){ .fd = -1, .block_size = BLK_SECTOR };
		if (!opt->block_size)
			opt->block_size = BLK_SECTOR;
		return 0;
	}
	r = check_uring();
	if (r < 0)
		return r;
	r = blk_source_open(&blk->source, opt->file, opt->read_only, opt->direct, opt->block_size,
			    text);
	if (text[0])
		vloop_program_error(&blk_program, "%s: %s", opt->file, text);
	if (r == 0 && !opt->block_size)
		opt->block_size = blk->source.block_size;
	return r;
}

int main(int argc, char **argv)
{
	struct blk blk = { .source.fd = -1, .resize_fd = -1, .timer_fd = -1 };
	struct vloop_args args = { .size = sizeof(args) };
	int r;

	blk_options_init(&blk.options);
	r = vloop_program_parse(&blk_program, argc, argv, &args, &blk.options);
	if (r > 0)
		return EXIT_SUCCESS;
	if (r < 0 || blk_options_check(&blk.options) < 0 || open_source(&blk) < 0)
		return EXIT_FAILURE;
	/*
	 * Memory that this process needs must not be made free by writing to the disk that it serves.
	 * It takes CAP_SYS_RESOURCE; without it, and serving a virtual machine, it is not needed.
	 */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	r = blk_disk_open(&blk);
	if (r == 0) {
		r = vloop_program_run(&blk_program, &args, blk.dev);
		blk_disk_close(&blk);
	}
	blk_source_close(&blk.source);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
