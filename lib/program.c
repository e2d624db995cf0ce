/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What device programs have in common (vhost-user.rst, "Backend program conventions").
 *
 * This is the only part of the library that prints: it stands for main().
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "internal.h"
#include "log.h"
#include "parse.h"
#include "signals.h"
#include "streams.h"

/* Above what struct vloop_program leaves to the programs. */
enum {
	OPT_SOCKET_PATH = 1024,
	OPT_FD,
	OPT_ONCE,
	OPT_PRINT_CAPABILITIES,
	OPT_VERBOSE,
};

static const struct option common_options[] = {
	{ "socket-path", required_argument, NULL, OPT_SOCKET_PATH },
	{ "fd", required_argument, NULL, OPT_FD },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "print-capabilities", no_argument, NULL, OPT_PRINT_CAPABILITIES },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

#define NUM_COMMON	(sizeof(common_options) / sizeof(common_options[0]))

void vloop_program_error(const struct vloop_program *program, const char *format, ...)
{
	va_list args;

	(void)program;
	va_start(args, format);
	vl_logv(VL_LOG_ERROR, format, args);
	va_end(args);
}

static void print_help(const struct vloop_program *program)
{
	printf("Usage: %s --socket-path=PATH [OPTION]...\n"
	       "%s\n"
	       "\n"
	       "      --socket-path=PATH    listen on this Unix socket\n"
	       "      --fd=N                serve this inherited socket, listening or connected\n"
	       "      --once                end when the front-end disconnects\n"
	       "      --print-capabilities  print what this program is, as JSON, and end\n"
	       "      --verbose             print what the front-end asks for\n"
	       "  -h, --help                print this and end\n"
	       "  -V, --version             print the version and end\n",
	       program->name, program->summary);
	if (program->help)
		printf("\n%s", program->help);
}

static void print_capabilities(const struct vloop_program *program)
{
	const char *const *feature = program->capabilities;

	printf("{\n  \"type\": \"%s\"", program->type);
	if (feature && *feature) {
		printf(",\n  \"features\": [\n    \"%s\"", *feature);
		while (*++feature)
			printf(",\n    \"%s\"", *feature);
		printf("\n  ]");
	}
	printf("\n}\n");
}

/* Return: 1, when what was asked for has been printed; negative errno. */
static int printed(const struct vloop_program *program)
{
	int r;

	if (!fflush(stdout) && !ferror(stdout))
		return 1;
	/* The error may be of an earlier write, and its number lost. */
	r = errno ? -errno : -EIO;
	vloop_program_error(program, "writing to the standard output: %s", strerror(-r));
	return r;
}

/* The program's options and the common ones, ended by a zero entry; and their letters. */
static struct option *all_options(const struct vloop_program *program, char *letters)
{
	size_t own = 0, at = 0;
	struct option *all;

	while (program->options && program->options[own].name)
		own++;
	all = calloc(own + NUM_COMMON + 1, sizeof(*all));
	if (!all)
		return NULL;
	if (own)
		memcpy(all, program->options, own * sizeof(*all));
	memcpy(all + own, common_options, sizeof(common_options));
	letters[at++] = 'h';
	letters[at++] = 'V';
	for (size_t i = 0; i < own && at < 2 * 64; i++) {
		if (all[i].val <= 0 || all[i].val >= 128)
			continue;
		letters[at++] = (char)all[i].val;
		if (all[i].has_arg == required_argument)
			letters[at++] = ':';
	}
	letters[at] = '\0';
	return all;
}

static int parse_fd(const struct vloop_program *program, const char *arg, int *ret_fd)
{
	uint64_t value;

	if (vl_parse_u64(arg, 0, INT_MAX, &value) < 0) {
		vloop_program_error(program, "--fd: not a descriptor number: %s", arg);
		return -EINVAL;
	}
	*ret_fd = (int)value;
	return 0;
}

/* One option. Return: 0; 1: printed, end; negative errno. */
static int one_option(const struct vloop_program *program, int val, struct vloop_args *args,
		      void *user)
{
	switch (val) {
	case OPT_SOCKET_PATH:
		if (!*optarg) {
			vloop_program_error(program, "--socket-path: the path is empty");
			return -EINVAL;
		}
		args->socket_path = optarg;
		return 0;
	case OPT_FD:
		return parse_fd(program, optarg, &args->fd);
	case OPT_ONCE:
		args->once = true;
		return 0;
	case OPT_VERBOSE:
		args->verbose = true;
		return 0;
	case OPT_PRINT_CAPABILITIES:
		print_capabilities(program);
		return printed(program);
	case 'h':
		print_help(program);
		return printed(program);
	case 'V':
		printf("%s %s\n", program->name,
		       program->version ? program->version : vloop_version());
		return printed(program);
	case '?':
		/* getopt_long(3) has said what is wrong. */
		vloop_program_error(program, "see --help");
		return -EINVAL;
	default:
		return program->option ? program->option(user, val, optarg) : -EINVAL;
	}
}

int vloop_program_parse(const struct vloop_program *program, int argc, char **argv,
			struct vloop_args *ret_args, void *user)
{
	struct vloop_args args = { .size = sizeof(args), .fd = -1 };
	struct option *options;
	char letters[2 * 64 + 2];
	int val, r;

	r = vl_open_streams();
	if (r < 0)
		return r;
	vl_log_init(program->name, VL_LOG_INFO);
	if (program->size < sizeof(*program) || ret_args->size < sizeof(args))
		return -EINVAL;
	options = all_options(program, letters);
	if (!options)
		return -ENOMEM;
	optind = 1;
	while (r == 0 && (val = getopt_long(argc, argv, letters, options, NULL)) != -1)
		r = one_option(program, val, &args, user);
	free(options);
	if (r)
		return r;
	if (optind < argc) {
		vloop_program_error(program, "unexpected argument: %s", argv[optind]);
		return -EINVAL;
	}
	if (!args.socket_path == (args.fd < 0)) {
		vloop_program_error(program, "%s; see --help",
				    args.socket_path ? "only one of --socket-path and --fd can be given"
						     : "one of --socket-path and --fd is needed");
		return -EINVAL;
	}
	*ret_args = args;
	return 0;
}

static void log_message(void *user, int level, const char *message)
{
	(void)user;
	vl_log(level, "%s", message);
}

static int on_signal(struct vloop_dev *dev, int fd, uint32_t events, void *user)
{
	struct signalfd_siginfo info;

	(void)events;
	(void)user;
	if (read(fd, &info, sizeof(info)) == sizeof(info))
		vloop_stop(dev);
	return 0;
}

/* Return: a descriptor that the device watches. */
static int watch_signals(struct vloop_dev *dev, sigset_t *before)
{
	sigset_t wanted;
	int fd, r;

	r = pthread_sigmask(SIG_BLOCK, NULL, before);
	if (r)
		return -r;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	/* To some programs it means something else. */
	if (!sigismember(before, SIGHUP))
		vl_add_hangup(&wanted);
	r = pthread_sigmask(SIG_BLOCK, &wanted, NULL);
	if (r)
		return -r;
	fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	r = fd < 0 ? -errno : vloop_dev_watch(dev, fd, EPOLLIN, on_signal, NULL);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		pthread_sigmask(SIG_SETMASK, before, NULL);
		return r;
	}
	return fd;
}

static const char *why_not(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another program listens there";
	case -EEXIST:
		return "something that is not a socket is there; remove it, or choose another path";
	case -ENAMETOOLONG:
		return "the path of a socket has at most 107 bytes";
	default:
		return strerror(-error);
	}
}

static int open_socket(const struct vloop_program *program, const struct vloop_args *args,
		       struct vloop_dev *dev)
{
	int r;

	if (args->socket_path) {
		r = vloop_dev_listen(dev, args->socket_path);
		if (r < 0)
			vloop_program_error(program, "%s: cannot listen: %s", args->socket_path,
					    why_not(r));
		return r;
	}
	r = vloop_dev_take_fd(dev, args->fd);
	if (r < 0)
		vloop_program_error(program, "--fd=%d: not a Unix stream socket that can be served: %s",
				    args->fd, strerror(-r));
	return r;
}

int vloop_program_run(const struct vloop_program *program, const struct vloop_args *args,
		      struct vloop_dev *dev)
{
	/* A front-end may hand over pipes in place of event descriptors, and close their other ends. */
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction pipe_before;
	sigset_t before;
	int signal_fd, r;

	vl_log_init(program->name, args->verbose ? VL_LOG_DEBUG : VL_LOG_INFO);
	vloop_dev_set_log(dev, args->verbose ? VL_LOG_DEBUG : VL_LOG_INFO, log_message, NULL);
	dev->once = dev->once || args->once;
	signal_fd = watch_signals(dev, &before);
	if (signal_fd < 0) {
		vloop_program_error(program, "cannot take signals: %s", strerror(-signal_fd));
		return signal_fd;
	}
	sigaction(SIGPIPE, &ignore, &pipe_before);
	r = open_socket(program, args, dev);
	if (r == 0) {
		r = vloop_run(dev);
		/* The front-end left and no other one can come: what --once asks for. */
		if (r == -ENOTCONN)
			r = 0;
		else if (r < 0)
			vloop_program_error(program, "cannot go on: %s", strerror(-r));
	}
	vloop_dev_unwatch(dev, signal_fd);
	close(signal_fd);
	sigaction(SIGPIPE, &pipe_before, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int vloop_parse_size(const char *text, uint64_t *ret_size)
{
	return vl_parse_size(text, ret_size);
}
