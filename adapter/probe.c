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

static int probe(const char *path, const struct vloop_type *type, bool json, int timeout_ms)
{
	struct json_object *object;
	struct backend backend;
	int ret;

	backend_init(&backend, timeout_ms, -1);
	ret = backend_connect(&backend, path);
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
	out_print(object, json);
	return out_finish(ret);
}

static int run_probe(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{0},
	};
	const struct vloop_type *type = NULL;
	uint64_t timeout_s = 30;
	bool json = false;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c != 't')
			return option_error("probe");
		else if (vl_parse_u64(optarg, 1, 3600, &timeout_s))
			return usage_error("probe", "--timeout wants seconds, not '%s'", optarg);
	}
	if (argc - optind < 1 || argc - optind > 2)
		return usage_error("probe", "expected SOCKET and perhaps TYPE");
	if (!*argv[optind])
		return usage_error("probe", "SOCKET is empty");
	if (argc - optind == 2) {
		type = type_by_name(argv[optind + 1]);
		if (!type || type->refused)
			return usage_error("probe", "no type '%s' that could be attached",
					   argv[optind + 1]);
	}
	return probe(argv[optind], type, json, (int)timeout_s * 1000);
}

const struct subcommand cmd_probe = {
	.name = "probe",
	.run = run_probe,
	.summary = "ask a back-end what it is",
	.help = "Usage: vloop probe [OPTION...] SOCKET [TYPE]\n"
		"\n"
		"Connect to a vhost-user back-end, ask for its features and its number of\n"
		"queues, and with TYPE for its config space. The kernel is not involved.\n"
		"\n"
		"  --json             as a JSON object\n"
		"  --timeout SECONDS  longest wait for an answer (30)\n",
};
