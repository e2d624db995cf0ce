/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "console.h"

enum {
	OPT_PTY = 256,
	OPT_LINK,
	OPT_UNIX,
	OPT_STDIO,
	OPT_PORT,
	OPT_PORTS,
	OPT_MAX_PORTS,
	OPT_ABSENT,
	OPT_SLOW,
};

static const struct option options[] = {
	{ "pty", no_argument, NULL, OPT_PTY },
	{ "link", required_argument, NULL, OPT_LINK },
	{ "unix", required_argument, NULL, OPT_UNIX },
	{ "stdio", no_argument, NULL, OPT_STDIO },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "ports", required_argument, NULL, OPT_PORTS },
	{ "max-ports", required_argument, NULL, OPT_MAX_PORTS },
	{ "when-absent", required_argument, NULL, OPT_ABSENT },
	{ "when-slow", required_argument, NULL, OPT_SLOW },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"      --pty                 the console is a pseudo terminal\n"
	"      --link=PATH           make a symbolic link to it\n"
	"      --unix=PATH           the console is a Unix socket; one client at a time\n"
	"      --stdio               the console is here; Ctrl-] ends it\n"
	"      --port=SPEC           a port; may be given several times. SPEC is\n"
	"                            name=NAME,pty[,link=PATH]|unix=PATH|stdio[,console]\n"
	"      --ports=FILE          ports from a file, one SPEC in a line; read again on SIGHUP\n"
	"      --max-ports=N         ports that there can be at once (as many as there are)\n"
	"      --when-absent=WHAT    output while nobody is connected: drop (default) or wait\n"
	"      --when-slow=WHAT      output that the reader has no room for: wait (default) or drop\n"
	"\n"
	"One of --pty, --unix, --stdio, --port and --ports is needed.\n";

static int wrong(const char *option, const char *arg, const char *expected)
{
	vloop_program_error(&console_program, "--%s=%s: %s", option, arg, expected);
	return -EINVAL;
}

/* The console of --pty, --unix and --stdio is the first port, whatever the order. */
static int set_primary(struct console_options *opt, enum end_kind kind, const char *path)
{
	struct port_spec *spec = &opt->specs[0];

	if (opt->primary) {
		vloop_program_error(&console_program,
				    "only one of --pty, --unix and --stdio; others are --port");
		return -EINVAL;
	}
	if (opt->n == CONSOLE_PORTS_MAX)
		return wrong("port", "", "more than 127 ports");
	memmove(spec + 1, spec, opt->n * sizeof(*spec));
	memset(spec, 0, sizeof(*spec));
	opt->n++;
	opt->primary = true;
	spec->kind = kind;
	spec->console = true;
	if (!path)
		return 0;
	if (!path[0] || strlen(path) >= sizeof(spec->path))
		return wrong("unix", path, "not a path of 1 to 107 bytes");
	strcpy(spec->path, path);
	return 0;
}

static int add_spec(struct console_options *opt, const char *arg)
{
	const char *problem;

	if (opt->n == CONSOLE_PORTS_MAX)
		return wrong("port", arg, "more than 127 ports");
	if (spec_parse(arg, &opt->specs[opt->n], &problem) < 0)
		return wrong("port", arg, problem);
	opt->n++;
	return 0;
}

static int set_choice(const char *option, const char *arg, bool *ret_drop)
{
	if (strcmp(arg, "drop") != 0 && strcmp(arg, "wait") != 0)
		return wrong(option, arg, "neither drop nor wait");
	*ret_drop = arg[0] == 'd';
	return 0;
}

static int read_option(void *user, int val, const char *arg)
{
	struct console_options *opt = user;
	uint64_t number;
	bool drop;
	int r;

	switch (val) {
	case OPT_PTY:
		return set_primary(opt, END_PTY, NULL);
	case OPT_UNIX:
		return set_primary(opt, END_UNIX, arg);
	case OPT_STDIO:
		return set_primary(opt, END_STDIO, NULL);
	case OPT_LINK:
		opt->link = arg;
		return 0;
	case OPT_PORT:
		return add_spec(opt, arg);
	case OPT_PORTS:
		opt->ports_file = arg;
		return 0;
	case OPT_MAX_PORTS:
		if (vloop_parse_size(arg, &number) < 0 || number < 1 || number > CONSOLE_PORTS_MAX)
			return wrong("max-ports", arg, "not a number from 1 to 127");
		opt->max_ports = (uint32_t)number;
		return 0;
	case OPT_ABSENT:
		r = set_choice("when-absent", arg, &drop);
		opt->wait_absent = !drop;
		return r;
	case OPT_SLOW:
		return set_choice("when-slow", arg, &opt->drop_slow);
	default:
		return -EINVAL;
	}
}

static int check_link(struct console_options *opt)
{
	struct port_spec *spec = &opt->specs[0];

	if (!opt->link)
		return 0;
	if (!opt->primary || spec->kind != END_PTY)
		return wrong("link", opt->link, "it is for --pty");
	if (!opt->link[0] || strlen(opt->link) >= sizeof(spec->path))
		return wrong("link", opt->link, "not a path of 1 to 107 bytes");
	strcpy(spec->path, opt->link);
	return 0;
}

/* How many ports there are to be at once. Those of a file are counted once, at the start. */
static int check_room(struct console_options *opt)
{
	struct port_spec specs[CONSOLE_PORTS_MAX];
	const char *problem;
	unsigned int line, in_file = 0;

	/* What is wrong with the file is said when it is used. */
	if (opt->ports_file)
		spec_read_file(opt->ports_file, specs, CONSOLE_PORTS_MAX, &in_file, &line, &problem);
	if (opt->n + in_file > CONSOLE_PORTS_MAX) {
		vloop_program_error(&console_program, "%u ports, but a device has %u at most",
				    opt->n + in_file, CONSOLE_PORTS_MAX);
		return -EINVAL;
	}
	if (!opt->max_ports)
		opt->max_ports = opt->n + in_file ? opt->n + in_file : 1;
	if (opt->max_ports < opt->n + in_file) {
		vloop_program_error(&console_program, "%u ports, but --max-ports is %u",
				    opt->n + in_file, opt->max_ports);
		return -EINVAL;
	}
	return 0;
}

/**
 * console_options_check() - look at the options as a whole; says itself what is wrong
 *
 * Return: 0 or -EINVAL.
 */
int console_options_check(struct console_options *opt)
{
	const char *problem;

	if (!opt->n && !opt->ports_file) {
		vloop_program_error(&console_program,
				    "one of --pty, --unix, --stdio, --port and --ports is needed; see --help");
		return -EINVAL;
	}
	if (check_link(opt) < 0)
		return -EINVAL;
	if (spec_check(opt->specs, opt->n, &problem) < 0) {
		vloop_program_error(&console_program, "%s", problem);
		return -EINVAL;
	}
	if (opt->primary && opt->n == 1 && !opt->ports_file && opt->max_ports > 1) {
		vloop_program_error(&console_program, "--max-ports is for --port and --ports");
		return -EINVAL;
	}
	return check_room(opt);
}

const struct vloop_program console_program = {
	.size = sizeof(console_program),
	.name = "vloop-console",
	.summary = "A console, or several named ports, as a vhost-user back-end.",
	.type = "console",
	.options = options,
	.help = help,
	.option = read_option,
};
