/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop attach: the command line, and the frame around a device's life. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attach.h"
#include "attach_options.h"
#include "parse.h"
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
	OPT_NO_EVENT_IDX,
	OPT_NO_INDIRECT,
	OPT_NO_SANDBOX,
	OPT_MAC,
	OPT_TAG,
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
	{"no-event-idx", no_argument, NULL, OPT_NO_EVENT_IDX},
	{"no-indirect", no_argument, NULL, OPT_NO_INDIRECT},
	{"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
	{"mac", required_argument, NULL, OPT_MAC},
	{"tag", required_argument, NULL, OPT_TAG},
	{"force", no_argument, NULL, OPT_FORCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{0},
};

static int bad_value(const char *option, const char *wants, const char *value)
{
	return usage_error("attach", "--%s wants %s, not '%s'", option, wants, value);
}

static int parse_seconds(const char *option, const char *value, int *ret_ms)
{
	uint64_t seconds;

	if (vl_parse_u64(value, 0, 86400, &seconds))
		return bad_value(option, "seconds", value);
	*ret_ms = (int)seconds * 1000;
	return EXIT_OK;
}

static int parse_u32(const char *option, const char *value, uint32_t min, uint32_t max,
		     uint32_t *ret_value)
{
	uint64_t number;
	char wants[48];

	snprintf(wants, sizeof(wants), "a number from %u to %u", min, max);
	if (vl_parse_u64(value, min, max, &number))
		return bad_value(option, wants, value);
	*ret_value = (uint32_t)number;
	return EXIT_OK;
}

static int parse_queue_size(const char *value, uint32_t *ret_size)
{
	int ret = parse_u32("queue-size", value, 2, VLB_QUEUE_SIZE_MAX, ret_size);

	if (!ret && (*ret_size & (*ret_size - 1)))
		return bad_value("queue-size", "a power of two", value);
	return ret;
}

static int parse_policy(const char *value, enum disconnect_policy *ret_policy)
{
	if (!strcmp(value, "wait"))
		*ret_policy = ON_DISCONNECT_WAIT;
	else if (!strcmp(value, "fail"))
		*ret_policy = ON_DISCONNECT_FAIL;
	else if (!strcmp(value, "remove"))
		*ret_policy = ON_DISCONNECT_REMOVE;
	else
		return bad_value("on-disconnect", "wait, fail or remove", value);
	return EXIT_OK;
}

static int parse_call(const char *value, bool *ret_eventfd)
{
	if (strcmp(value, "file") && strcmp(value, "eventfd"))
		return bad_value("call", "file or eventfd", value);
	*ret_eventfd = !strcmp(value, "eventfd");
	return EXIT_OK;
}

static int parse_mac(const char *value, struct config_wishes *wishes)
{
	uint8_t *mac = wishes->mac;
	int end = 0;

	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    value[end] || (mac[0] & 1))
		return bad_value("mac", "a unicast address (52:54:00:12:34:56)", value);
	wishes->has_mac = true;
	return EXIT_OK;
}

static int parse_name(const char *value, const char **ret_name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.:";
	size_t len = strlen(value);

	if (!len || len >= VLB_NAME_MAX || strspn(value, allowed) != len || !strcmp(value, ".") ||
	    !strcmp(value, ".."))
		return bad_value("name", "1 to 31 of letters, digits and -_.:", value);
	*ret_name = value;
	return EXIT_OK;
}

static int parse_flag(int c, struct attach_options *options)
{
	switch (c) {
	case OPT_HUGEPAGES:
		options->hugepages = true;
		return EXIT_OK;
	case OPT_READ_ONLY:
		options->read_only = true;
		return EXIT_OK;
	case OPT_BACKGROUND:
		options->background = true;
		return EXIT_OK;
	case OPT_NO_EVENT_IDX:
		options->no_event_idx = true;
		return EXIT_OK;
	case OPT_NO_INDIRECT:
		options->no_indirect = true;
		return EXIT_OK;
	case OPT_NO_SANDBOX:
		options->no_sandbox = true;
		return EXIT_OK;
	case OPT_FORCE:
		options->force = true;
		return EXIT_OK;
	case OPT_JSON:
		options->json = true;
		return EXIT_OK;
	case OPT_VERBOSE:
		options->verbose = true;
		return EXIT_OK;
	default:
		return option_error("attach");
	}
}

static int parse_option(int c, const char *value, struct attach_options *options)
{
	uint32_t fd;
	int ret;

	switch (c) {
	case OPT_NAME:
		return parse_name(value, &options->name);
	case OPT_FD:
		ret = parse_u32("fd", value, 0, INT32_MAX, &fd);
		if (!ret)
			options->fd = (int)fd;
		return ret;
	case OPT_QUEUES:
		return parse_u32("queues", value, 1, VLB_QUEUES_MAX, &options->queues);
	case OPT_QUEUE_SIZE:
		return parse_queue_size(value, &options->queue_size);
	case OPT_POOL:
		if (vl_parse_size(value, &options->pool) || !options->pool ||
		    options->pool > INT64_MAX / 2)
			return bad_value("pool", "a size such as 64M", value);
		return EXIT_OK;
	case OPT_ON_DISCONNECT:
		return parse_policy(value, &options->policy);
	case OPT_TIMEOUT:
		ret = parse_seconds("timeout", value, &options->timeout_ms);
		if (!ret && !options->timeout_ms)
			return bad_value("timeout", "at least one second", value);
		return ret;
	case OPT_DEVICE_TIMEOUT:
		return parse_seconds("device-timeout", value, &options->device_timeout_ms);
	case OPT_WAIT_SOCKET:
		return parse_seconds("wait-socket", value, &options->wait_socket_ms);
	case OPT_CALL:
		return parse_call(value, &options->call_eventfd);
	case OPT_MAC:
		return parse_mac(value, &options->config);
	case OPT_TAG:
		if (!*value || strlen(value) > 36)
			return bad_value("tag", "1 to 36 bytes", value);
		options->config.tag = value;
		return EXIT_OK;
	default:
		return parse_flag(c, options);
	}
}

static int check_type(const char *name, struct attach_options *options)
{
	options->type = type_by_name(name);
	if (!options->type)
		return usage_error("attach",
				   "no device type '%s'; the types are in vloop-attach(1)", name);
	if (options->type->refused) {
		msg_error("%s devices cannot be attached: %s", name, options->type->refused);
		return EXIT_MISFIT;
	}
	if (options->read_only && options->type->id != 2)
		return usage_error("attach", "--read-only is for blk devices");
	if (options->config.has_mac && options->type->id != 1)
		return usage_error("attach", "--mac is for net devices");
	if (options->config.tag && options->type->id != 26)
		return usage_error("attach", "--tag is for fs devices");
	return EXIT_OK;
}

int attach_parse(int argc, char **argv, struct attach_options *ret_options)
{
	bool policy_given = false;
	int c, ret;

	*ret_options =
		(struct attach_options){.fd = -1, .timeout_ms = 30000, .device_timeout_ms = 10000};
	optind = 1;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		ret = parse_option(c, optarg, ret_options);
		if (ret)
			return ret;
		policy_given |= c == OPT_ON_DISCONNECT;
	}
	if (ret_options->fd < 0 && argc - optind == 2)
		ret_options->socket = argv[optind + 1];
	else if (ret_options->fd < 0 || argc - optind != 1)
		return usage_error("attach", "expected TYPE and SOCKET, or TYPE and --fd");
	if (ret_options->fd >= 0) {
		/* There is no way back to a peer that is known by a descriptor only. */
		if (policy_given && ret_options->policy != ON_DISCONNECT_REMOVE)
			return usage_error("attach", "with --fd there is no reconnecting: only "
						     "--on-disconnect remove");
		ret_options->policy = ON_DISCONNECT_REMOVE;
	}
	return check_type(argv[optind], ret_options);
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
