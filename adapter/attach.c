/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop attach: the command line, and the frame around a device's life. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach.h"
#include "attach_options.h"
#include "parse.h"
#include "signals.h"
#include "sysfs.h"

enum {
	OPT_NAME = 256,
	OPT_FD,
	OPT_QUEUES,
	OPT_QUEUE_SIZE,
	OPT_POOL,
	OPT_HUGEPAGES,
	OPT_ON_DISCONNECT,
	OPT_READ_ONLY,
	OPT_TIMEOUT,
	OPT_DEVICE_TIMEOUT,
	OPT_WAIT_SOCKET,
	OPT_BACKGROUND,
	OPT_CALL,
	OPT_KICK,
	OPT_NO_EVENT_IDX,
	OPT_NO_INDIRECT,
	OPT_NO_SANDBOX,
	OPT_MAC,
	OPT_TAG,
	OPT_TRUSTED,
	OPT_FORCE,
	OPT_JSON,
	OPT_VERBOSE,
};

static const struct option long_options[] = {
	{"name", required_argument, NULL, OPT_NAME},
	{"fd", required_argument, NULL, OPT_FD},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"queue-size", required_argument, NULL, OPT_QUEUE_SIZE},
	{"pool", required_argument, NULL, OPT_POOL},
	{"hugepages", no_argument, NULL, OPT_HUGEPAGES},
	{"on-disconnect", required_argument, NULL, OPT_ON_DISCONNECT},
	{"read-only", no_argument, NULL, OPT_READ_ONLY},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"device-timeout", required_argument, NULL, OPT_DEVICE_TIMEOUT},
	{"wait-socket", required_argument, NULL, OPT_WAIT_SOCKET},
	{"background", no_argument, NULL, OPT_BACKGROUND},
	{"call", required_argument, NULL, OPT_CALL},
	{"kick", required_argument, NULL, OPT_KICK},
	{"no-event-idx", no_argument, NULL, OPT_NO_EVENT_IDX},
	{"no-indirect", no_argument, NULL, OPT_NO_INDIRECT},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{"mac", required_argument, NULL, OPT_MAC},
	{"tag", required_argument, NULL, OPT_TAG},
	{"trusted", no_argument, NULL, OPT_TRUSTED},
	{"force", no_argument, NULL, OPT_FORCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{0},
};

/* What the module takes at most (VLB_IOC_CREATE). */
#define TIMEOUT_MAX_MS	(3600 * 1000)

/* The parsers return NULL, or what the option wants instead. */
static const char *parse_seconds(const char *value, int *ret_ms)
{
	uint64_t seconds;

	if (vl_parse_u64(value, 0, 86400, &seconds))
		return "whole seconds, up to 86400";
	*ret_ms = (int)seconds * 1000;
	return NULL;
}

static const char *parse_u32(const char *value, uint32_t min, uint32_t max, const char *wants,
			     uint32_t *ret_value)
{
	uint64_t number;

	if (vl_parse_u64(value, min, max, &number))
		return wants;
	*ret_value = (uint32_t)number;
	return NULL;
}

#define TEXT(number) #number
#define NUMBER_TEXT(macro) TEXT(macro)

static const char *parse_queue_size(const char *value, uint32_t *ret_size)
{
	static const char wants[] = "a power of two from 2 to " NUMBER_TEXT(VLB_QUEUE_SIZE_MAX);
	uint32_t size;

	if (parse_u32(value, 2, VLB_QUEUE_SIZE_MAX, wants, &size) || (size & (size - 1)))
		return wants;
	*ret_size = size;
	return NULL;
}

static const char *parse_policy(const char *value, enum disconnect_policy *ret_policy)
{
	if (!strcmp(value, "wait"))
		*ret_policy = ON_DISCONNECT_WAIT;
	else if (!strcmp(value, "fail"))
		*ret_policy = ON_DISCONNECT_FAIL;
	else if (!strcmp(value, "remove"))
		*ret_policy = ON_DISCONNECT_REMOVE;
	else
		return "wait, fail or remove";
	return NULL;
}

static const char *parse_signal(const char *value, bool *ret_eventfd)
{
	if (strcmp(value, "file") && strcmp(value, "eventfd"))
		return "file or eventfd";
	*ret_eventfd = !strcmp(value, "eventfd");
	return NULL;
}

static const char *parse_mac(const char *value, struct config_wishes *wishes)
{
	uint8_t *mac = wishes->mac;
	int end = 0;

	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    value[end] || (mac[0] & 1))
		return "a unicast address (52:54:00:12:34:56)";
	wishes->has_mac = true;
	return NULL;
}

static const char *parse_name(const char *value, const char **ret_name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.:";
	size_t len = strlen(value);

	if (!len || len >= VLB_NAME_MAX || strspn(value, allowed) != len || !strcmp(value, ".") ||
	    !strcmp(value, ".."))
		return "1 to 31 of letters, digits and -_.:";
	*ret_name = value;
	return NULL;
}

static const char *parse_tag(const char *value, const char **ret_tag)
{
	if (!*value || strlen(value) > 36)
		return "1 to 36 bytes";
	*ret_tag = value;
	return NULL;
}

static const char *parse_pool(const char *value, uint64_t *ret_size)
{
	uint64_t size;

	if (vl_parse_size(value, &size) || !size || size > INT64_MAX / 2)
		return "a size such as 64M";
	*ret_size = size;
	return NULL;
}

static void take_flag(int c, struct attach_options *options)
{
	switch (c) {
	case OPT_HUGEPAGES:
		options->hugepages = true;
		break;
	case OPT_READ_ONLY:
		options->read_only = true;
		break;
	case OPT_BACKGROUND:
		options->background = true;
		break;
	case OPT_NO_EVENT_IDX:
		options->no_event_idx = true;
		break;
	case OPT_NO_INDIRECT:
		options->no_indirect = true;
		break;
	case OPT_NO_SANDBOX:
		options->no_sandbox = true;
		break;
	case OPT_TRUSTED:
		options->trusted = true;
		break;
	case OPT_FORCE:
		options->force = true;
		break;
	case OPT_JSON:
		options->json = true;
		break;
	case OPT_VERBOSE:
		options->verbose = true;
		break;
	}
}

static const char *take_option(int c, const char *value, struct attach_options *options)
{
	const char *wants;
	uint32_t fd = 0;

	switch (c) {
	case OPT_NAME:
		return parse_name(value, &options->name);
	case OPT_FD:
		wants = parse_u32(value, 0, INT32_MAX, "the number of a descriptor", &fd);
		options->fd = wants ? -1 : (int)fd;
		return wants;
	case OPT_QUEUES:
		return parse_u32(value, 1, VLB_QUEUES_MAX,
				 "a number from 1 to " NUMBER_TEXT(VLB_QUEUES_MAX),
				 &options->queues);
	case OPT_QUEUE_SIZE:
		return parse_queue_size(value, &options->queue_size);
	case OPT_POOL:
		return parse_pool(value, &options->pool);
	case OPT_ON_DISCONNECT:
		return parse_policy(value, &options->policy);
	case OPT_TIMEOUT:
		wants = parse_seconds(value, &options->timeout_ms);
		if (!wants && (!options->timeout_ms || options->timeout_ms > TIMEOUT_MAX_MS))
			wants = "1 to 3600 seconds";
		return wants;
	case OPT_DEVICE_TIMEOUT:
		return parse_seconds(value, &options->device_timeout_ms);
	case OPT_WAIT_SOCKET:
		return parse_seconds(value, &options->wait_socket_ms);
	case OPT_CALL:
		return parse_signal(value, &options->call_eventfd);
	case OPT_KICK:
		return parse_signal(value, &options->kick_eventfd);
	case OPT_MAC:
		return parse_mac(value, &options->config);
	case OPT_TAG:
		return parse_tag(value, &options->config.tag);
	default:
		take_flag(c, options);
		return NULL;
	}
}

void attach_defaults(struct attach_options *ret_options)
{
	*ret_options =
		(struct attach_options){.fd = -1, .timeout_ms = 30000, .device_timeout_ms = 10000};
}

static const struct option *find_option(const char *name)
{
	const struct option *option = long_options;

	while (option->name && strcmp(option->name, name))
		option++;
	return option->name ? option : NULL;
}

enum attach_option_kind attach_option_kind(const char *name)
{
	const struct option *option = find_option(name);

	if (!option)
		return ATTACH_OPTION_NONE;
	return option->has_arg == required_argument ? ATTACH_OPTION_VALUE : ATTACH_OPTION_FLAG;
}

const char *attach_option(struct attach_options *options, const char *name, const char *value)
{
	return take_option(find_option(name)->val, value, options);
}

const char *attach_misfit(const struct attach_options *options, const char **ret_type)
{
	static const struct {
		const char *option;
		const char *type;
	} only[] = {{"read-only", "blk"}, {"mac", "net"}, {"tag", "fs"}, {"trusted", "console"}};
	const bool given[] = {options->read_only, options->config.has_mac,
			      options->config.tag != NULL, options->trusted};

	for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++) {
		if (!given[i] || !strcmp(options->type->name, only[i].type))
			continue;
		*ret_type = only[i].type;
		return only[i].option;
	}
	return NULL;
}

static int check_type(const char *name, struct attach_options *options)
{
	const char *option, *wanted;

	options->type = type_by_name(name);
	if (!options->type)
		return usage_error("attach", "no device type '%s'; there are %s", name,
				   type_names());
	if (options->type->refused) {
		msg_error("%s devices cannot be attached: %s", name, options->type->refused);
		return EXIT_MISFIT;
	}
	option = attach_misfit(options, &wanted);
	if (option)
		return usage_error("attach", "--%s is for %s devices", option, wanted);
	return EXIT_OK;
}

/* A process in the background leaves the working directory, and connects again later. */
static int make_absolute(struct attach_options *options)
{
	static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char directory[PATH_MAX];

	if (!getcwd(directory, sizeof(directory))) {
		msg_error("%s: the working directory has no path: %s; give an absolute one, or "
			  "leave --background out",
			  options->socket, strerror(errno));
		return EXIT_BACKEND;
	}
	if (snprintf(path, sizeof(path), "%s/%s", directory, options->socket) >=
	    (int)sizeof(path)) {
		msg_error("%s: --background needs its absolute path, and %s/%s is too long for a "
			  "socket (107 bytes)",
			  options->socket, directory, options->socket);
		return EXIT_BACKEND;
	}
	options->socket = path;
	return EXIT_OK;
}

int attach_parse(int argc, char **argv, struct attach_options *ret_options)
{
	bool policy_given = false;
	const char *wants;
	int c, index, ret;

	attach_defaults(ret_options);
	optind = 1;
	while ((c = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (c == '?')
			return option_error("attach");
		wants = take_option(c, optarg, ret_options);
		if (wants)
			return usage_error("attach", "--%s wants %s, not '%s'",
					   long_options[index].name, wants, optarg);
		policy_given |= c == OPT_ON_DISCONNECT;
	}
	if (ret_options->fd < 0 && argc - optind == 2)
		ret_options->socket = argv[optind + 1];
	else if (ret_options->fd < 0 || argc - optind != 1)
		return usage_error("attach", "expected TYPE and SOCKET, or TYPE and --fd");
	if (ret_options->socket && !*ret_options->socket)
		return usage_error("attach", "SOCKET is empty");
	if (ret_options->fd >= 0) {
		/* There is no way back to a peer that is known by a descriptor only. */
		if (policy_given && ret_options->policy != ON_DISCONNECT_REMOVE)
			return usage_error("attach", "with --fd there is no reconnecting: only "
						     "--on-disconnect remove");
		ret_options->policy = ON_DISCONNECT_REMOVE;
	}
	ret = check_type(argv[optind], ret_options);
	if (!ret && ret_options->background && ret_options->socket && *ret_options->socket != '/')
		ret = make_absolute(ret_options);
	return ret;
}

/*
 * The signals that end us are read as events; a peer that vanishes is an error of a call, not
 * a signal.
 */
static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	vl_add_hangup(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A device of 128 queues needs three descriptors for each while it is set up. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= 1024)
		return;
	limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(const struct attach_options *options, int result_fd)
{
	struct attach attach = {.options = options,
				.type = options->type,
				.kdev = {.fd = -1},
				.result_fd = result_fd};
	int ret;

	session_init(&attach.session);
	attach.signal_fd = block_signals();
	backend_init(&attach.backend, options->timeout_ms, attach.signal_fd);
	raise_file_limit();
	/* The kernel before the back-end: some back-ends end when a connection does. */
	ret = kdev_open(&attach.kdev);
	if (ret)
		return (int)kdev_open_error(ret);
	if (options->name && sysfs_exists(options->name)) {
		kdev_close(&attach.kdev);
		return (int)attach_name_taken(options->name);
	}
	ret = (int)attach_learn(&attach);
	if (!ret)
		ret = (int)attach_create(&attach);
	if (ret) {
		backend_close(&attach.backend);
		kdev_close(&attach.kdev);
		return ret;
	}
	msg_device(attach.name);
	ret = (int)attach_run(&attach);
	kdev_close(&attach.kdev);
	close(attach.signal_fd);
	return ret;
}

static int run_attach(int argc, char **argv)
{
	struct attach_options options;
	int result_fd = -1;
	int ret = attach_parse(argc, argv, &options);

	if (ret)
		return ret;
	msg_setup(options.verbose);
	msg_device(options.name);
	if (options.fd >= 0) {
		/* The standard streams are written to, and end in the background. */
		ret = supervise_move_fd(options.fd);
		if (ret < 0) {
			msg_error("taking descriptor %d: %s", options.fd, strerror(-ret));
			return EXIT_BACKEND;
		}
		options.fd = ret;
	}
	if (options.background) {
		ret = supervise_fork(&result_fd);
		if (ret) {
			msg_error("starting the background process: %s", strerror(-ret));
			return EXIT_FAIL;
		}
	}
	return serve(&options, result_fd);
}

const struct subcommand cmd_attach = {
	.name = "attach",
	.run = run_attach,
	.summary = "make a back-end a device of this kernel",
	.help = attach_help,
};
