/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

/* @by_convention: --evdev-path, which means to grab (vhost-user.rst, "Backend program conventions") */
struct options {
	const char *evdev;
	const char *script;
	bool by_convention;
	bool grab;
	bool no_grab;
};

enum { OPT_EVDEV = 256, OPT_EVDEV_PATH, OPT_GRAB, OPT_NO_GRAB, OPT_SCRIPT };

static const struct option long_options[] = {
	{ "evdev", required_argument, NULL, OPT_EVDEV },
	{ "evdev-path", required_argument, NULL, OPT_EVDEV_PATH },
	{ "grab", no_argument, NULL, OPT_GRAB },
	{ "no-grab", no_argument, NULL, OPT_NO_GRAB },
	{ "script", required_argument, NULL, OPT_SCRIPT },
	{ NULL, 0, NULL, 0 },
};

static int option(void *user, int val, const char *arg)
{
	struct options *opt = user;

	switch (val) {
	case OPT_EVDEV:
		opt->evdev = arg;
		return 0;
	case OPT_EVDEV_PATH:
		opt->evdev = arg;
		opt->by_convention = true;
		return 0;
	case OPT_GRAB:
		opt->grab = true;
		return 0;
	case OPT_NO_GRAB:
		opt->no_grab = true;
		return 0;
	default:
		opt->script = arg;
		return 0;
	}
}

/* As QEMU's docs/interop/vhost-user.json has them for input devices. */
static const char *const capabilities[] = { "evdev-path", "no-grab", NULL };

const struct vloop_program input_program = {
	.size = sizeof(input_program),
	.name = "vloop-input",
	.summary = "An input device.",
	.type = "input",
	.capabilities = capabilities,
	.options = long_options,
	.help = "      --evdev=PATH          forward this evdev node (/dev/input/eventN)\n"
		"      --grab                keep its events from everybody else, while a driver\n"
		"                            takes them\n"
		"      --evdev-path=PATH     both, as other back-ends have it\n"
		"      --no-grab             ... and do not grab after all\n"
		"      --script=FILE         play this script; -: standard input\n",
	.option = option,
};

static int check_options(struct options *opt)
{
	opt->grab = (opt->grab || opt->by_convention) && !opt->no_grab;
	if (!opt->evdev == !opt->script) {
		vloop_program_error(&input_program, "%s; see --help",
				    opt->evdev ? "--evdev and --script exclude each other"
					       : "one of --evdev and --script is needed");
		return -EINVAL;
	}
	if (opt->grab && opt->script) {
		vloop_program_error(&input_program, "--grab: a script cannot be grabbed");
		return -EINVAL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct vloop_args args = { .size = sizeof(args) };
	struct options opt = { 0 };
	struct input in = { 0 };
	int r;

	r = vloop_program_parse(&input_program, argc, argv, &args, &opt);
	if (r > 0)
		return EXIT_SUCCESS;
	if (r < 0 || check_options(&opt) < 0)
		return EXIT_FAILURE;
	r = opt.evdev ? evdev_open(&in, opt.evdev, opt.grab) : play_open(&in, opt.script);
	if (r == 0) {
		r = input_new(&in);
		if (r == 0)
			r = opt.evdev ? evdev_watch(&in) : play_watch(&in);
		if (r < 0)
			vloop_program_error(&input_program, "cannot make the device: %s",
					    strerror(-r));
		else
			r = vloop_program_run(&input_program, &args, in.dev);
	} else if (r == -ENOMEM) {
		vloop_program_error(&input_program, "no memory");
	}
	if (in.stream.stats.overflows)
		vloop_program_error(&input_program,
				    "%" PRIu64 " events sent, %" PRIu64 " dropped in %" PRIu64
				    " overflows",
				    in.stream.stats.sent, in.stream.stats.dropped,
				    in.stream.stats.overflows);
	input_free(&in);
	return r < 0 || in.error ? EXIT_FAILURE : EXIT_SUCCESS;
}
