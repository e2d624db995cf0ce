/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop probe: ask a back-end what it is, without touching the kernel. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "details.h"
#include "output.h"
#include "parse.h"
#include "vloop.h"

static void add_queues(struct json_object *object, const struct backend *backend)
{
	if (backend->queue_max)
		out_number(object, "queues", backend->queue_max);
	else
		out_text(object, "queues", NULL);
}

static int add_type(struct json_object *object, struct backend *backend,
		    const struct vloop_type *type, const char *path)
{
	struct config_space config;
	int ret;

	out_text(object, "type", type->name);
	out_features(object, "unknown_features", NULL,
		     type_unknown_features(type, backend->features));
	if (!type->config_sizes[0] || !backend_has(backend, VHOST_USER_PROTOCOL_F_CONFIG)) {
		out_text(object, "config", NULL);
		return EXIT_OK;
	}
	ret = backend_get_config(backend, type, &config);
	if (ret) {
		msg_error("%s: %s", path, backend->problem);
		return ret == -ENODATA || ret == -EMSGSIZE ? EXIT_MISFIT : EXIT_BACKEND;
	}
	out_number(object, "config_size", backend->config_len);
	json_object_object_add(object, "config", config_describe(type, backend->features, &config));
	if (!type->details)
		return EXIT_OK;
	ret = details_ask(object, backend, type);
	if (ret)
		msg_error("%s: asking for what it is: %s", path, backend->problem);
	return ret ? EXIT_BACKEND : EXIT_OK;
}

struct options {
	const char *socket;
	const struct vloop_type *type;
	int timeout_ms;
	int wait_ms;
	bool json;
};

static int probe(const struct options *options)
{
	const struct vloop_type *type = options->type;
	const char *path = options->socket;
	struct json_object *object;
	struct backend backend;
	int ret;

	backend_init(&backend, options->timeout_ms, -1);
	ret = backend_connect_wait(&backend, path, options->wait_ms, -1);
	if (!ret)
		ret = backend_negotiate(&backend);
	if (ret) {
		msg_error("%s: %s", path, backend.problem);
		backend_close(&backend);
		return backend_connect_error(ret);
	}
	object = json_object_new_object();
	out_text(object, "socket", path);
	out_features(object, "features", type, backend.features);
	out_protocol_features(object, "protocol_features", backend.protocol_offered);
	add_queues(object, &backend);
	ret = type ? add_type(object, &backend, type, path) : EXIT_OK;
	backend_close(&backend);
	out_print(object, options->json);
	return out_finish(ret);
}

/* The type comes first, as for vloop attach, or last. */
static int read_words(char **words, int n, struct options *options)
{
	if (n < 1 || n > 2)
		return usage_error("probe", "expected SOCKET, and perhaps TYPE");
	options->socket = words[n - 1];
	if (n == 2) {
		const char *type = words[0];

		if (!type_by_name(type) && type_by_name(words[1])) {
			type = words[1];
			options->socket = words[0];
		}
		options->type = type_by_name(type);
		if (!options->type)
			return usage_error("probe", "no device type '%s'; there are %s", type,
					   type_names());
		if (options->type->refused)
			return usage_error("probe", "%s devices cannot be attached: %s", type,
					   options->type->refused);
	}
	if (!*options->socket)
		return usage_error("probe", "SOCKET is empty");
	return EXIT_OK;
}

static int run_probe(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"wait-socket", required_argument, NULL, 'w'},
		{0},
	};
	struct options given = {0};
	uint64_t timeout_s = 30, wait_s = 0;
	int c, ret;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			given.json = true;
		else if (c != 't' && c != 'w')
			return option_error("probe");
		else if (c == 't' && vl_parse_u64(optarg, 1, 3600, &timeout_s))
			return usage_error("probe",
					   "--timeout wants whole seconds, 1 to 3600, not '%s'",
					   optarg);
		else if (c == 'w' && vl_parse_u64(optarg, 0, 86400, &wait_s))
			return usage_error(
				"probe", "--wait-socket wants whole seconds up to 86400, not '%s'",
				optarg);
	}
	ret = read_words(argv + optind, argc - optind, &given);
	if (ret)
		return ret;
	given.timeout_ms = (int)timeout_s * 1000;
	given.wait_ms = (int)wait_s * 1000;
	return probe(&given);
}

const struct subcommand cmd_probe = {
	.name = "probe",
	.run = run_probe,
	.summary = "ask a back-end what it is",
	.help = "Usage: vloop probe [OPTION...] [TYPE] SOCKET\n"
		"\n"
		"Connect to a vhost-user back-end, ask for its features and its number of\n"
		"queues, and with TYPE for its config space. The kernel is not involved.\n"
		"\n"
		"  --json                 as a JSON object\n"
		"  --timeout SECONDS      longest wait for an answer (30)\n"
		"  --wait-socket SECONDS  wait for the back-end to listen (0)\n",
};
