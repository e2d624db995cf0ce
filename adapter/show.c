/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop list, vloop show: what the kernel says about the devices that are attached. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "details.h"
#include "output.h"
#include "sysfs.h"
#include "vloop.h"

#define CLASS "/sys/class/virtio-loopback"

static void add_kernel_side(struct json_object *object, const struct vloop_type *type,
			    const char *name)
{
	char virtio[SYSFS_TEXT], text[SYSFS_TEXT];

	if (sysfs_virtio(name, virtio, sizeof(virtio))) {
		out_text(object, "device", NULL);
		out_text(object, "virtio", NULL);
		out_text(object, "driver", NULL);
		out_text(object, "title", NULL);
		return;
	}
	out_text(object, "device",
		 type && !sysfs_kernel_device(type, virtio, text, sizeof(text)) ? text : NULL);
	out_text(object, "virtio", virtio);
	out_text(object, "driver", sysfs_driver(virtio, text, sizeof(text)) ? NULL : text);
	out_text(object, "title", details_title(type, virtio, text, sizeof(text)) ? NULL : text);
}

/* What one line of the list has; the full description begins with the same members. */
static struct json_object *describe(const char *name, const struct vloop_type **ret_type)
{
	struct json_object *object = json_object_new_object();
	char text[SYSFS_TEXT] = "";

	*ret_type = type_by_id((uint32_t)sysfs_number(0, CLASS "/%s/type_id", name));
	out_text(object, "name", name);
	sysfs_read(text, sizeof(text), CLASS "/%s/type", name);
	out_text(object, "type", text);
	*text = 0;
	sysfs_read(text, sizeof(text), CLASS "/%s/state", name);
	out_text(object, "state", text);
	add_kernel_side(object, *ret_type, name);
	out_number(object, "pid", sysfs_number(0, CLASS "/%s/owner_pid", name));
	return object;
}

static uint64_t count_queues(const char *name)
{
	uint64_t n = 0;

	while (sysfs_number(UINT64_MAX, CLASS "/%s/queues/%" PRIu64 "/size", name, n) != UINT64_MAX)
		n++;
	return n;
}

static void add_device(void *user, const char *device, const char *name)
{
	out_text(user, device, *name ? name : NULL);
}

/* The devices that the driver made of it, each with its name. */
static void add_devices(struct json_object *object, const struct vloop_type *type, const char *name)
{
	struct json_object *devices = json_object_new_object();
	char virtio[SYSFS_TEXT];

	if (!sysfs_virtio(name, virtio, sizeof(virtio)))
		sysfs_each_device(type, virtio, add_device, devices);
	json_object_object_add(object, type->several, devices);
}

static void add_details(struct json_object *object, const struct vloop_type *type, const char *name)
{
	char reason[SYSFS_TEXT] = "", virtio[SYSFS_TEXT];

	sysfs_read(reason, sizeof(reason), CLASS "/%s/broken_reason", name);
	if (type && type->several)
		add_devices(object, type, name);
	out_text(object, "broken_reason", *reason ? reason : NULL);
	out_number(object, "uid", sysfs_number(0, CLASS "/%s/owner_uid", name));
	out_number(object, "queues", count_queues(name));
	out_number(object, "queue_size", sysfs_number(0, CLASS "/%s/queues/0/size", name));
	out_number(object, "driver_queue_size",
		   sysfs_number(0, CLASS "/%s/queues/0/driver_size", name));
	out_number(object, "pool_size", sysfs_number(0, CLASS "/%s/pool_size", name));
	out_number(object, "timeout_ms", sysfs_number(0, CLASS "/%s/timeout_ms", name));
	out_number(object, "resets", sysfs_number(0, CLASS "/%s/epoch", name));
	out_number(object, "in_flight", sysfs_number(0, CLASS "/%s/in_flight", name));
	out_features(object, "device_features", type,
		     sysfs_number(0, CLASS "/%s/device_features", name));
	out_features(object, "driver_features", type,
		     sysfs_number(0, CLASS "/%s/driver_features", name));
	if (!sysfs_virtio(name, virtio, sizeof(virtio)))
		details_look_up(object, type, virtio);
}

static int parse_json_option(int argc, char **argv, const char *subcommand, bool *ret_json)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	int c;

	*ret_json = false;
	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'j')
			return option_error(subcommand);
		*ret_json = true;
	}
	return EXIT_OK;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !value)
		return "-";
	return json_object_get_string(value);
}

static int run_list(int argc, char **argv)
{
	struct json_object *all = json_object_new_array();
	const struct vloop_type *type;
	char **names;
	size_t n;
	bool json;
	int ret = parse_json_option(argc, argv, "list", &json);

	if (!ret && optind < argc)
		ret = usage_error("list", "unexpected '%s'", argv[optind]);
	if (!ret && sysfs_names(&names, &n))
		ret = (int)sysfs_no_module();
	if (ret) {
		json_object_put(all);
		return ret;
	}
	for (size_t i = 0; i < n; i++)
		json_object_array_add(all, describe(names[i], &type));
	sysfs_names_free(names, n);
	if (json) {
		out_print(all, true);
		return out_finish(EXIT_OK);
	}
	if (n)
		printf("%-16s %-8s %-10s %-24s %-7s %s\n", "NAME", "TYPE", "STATE", "DEVICE", "PID",
		       "TITLE");
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		struct json_object *one = json_object_array_get_idx(all, i);

		printf("%-16s %-8s %-10s %-24s %-7s %s\n", text_of(one, "name"),
		       text_of(one, "type"), text_of(one, "state"), text_of(one, "device"),
		       text_of(one, "pid"), text_of(one, "title"));
	}
	json_object_put(all);
	return out_finish(EXIT_OK);
}

static int run_show(int argc, char **argv)
{
	const struct vloop_type *type;
	struct json_object *object;
	char name[SYSFS_TEXT];
	bool json;
	int ret = parse_json_option(argc, argv, "show", &json);

	if (ret)
		return ret;
	if (argc - optind != 1)
		return usage_error("show", "expected one NAME");
	ret = sysfs_find(argv[optind], name, sizeof(name));
	if (ret)
		return (int)sysfs_find_error(argv[optind], ret);
	object = describe(name, &type);
	add_details(object, type, name);
	out_print(object, json);
	return out_finish(EXIT_OK);
}

const struct subcommand cmd_list = {
	.name = "list",
	.run = run_list,
	.summary = "show the devices that are attached",
	.help = "Usage: vloop list [--json]\n"
		"\n"
		"Show the attached devices: name, type, state, kernel device, process, and what\n"
		"an input device calls itself.\n"
		"\n"
		"  --json    as a JSON array\n",
};

const struct subcommand cmd_show = {
	.name = "show",
	.run = run_show,
	.summary = "show one device in full",
	.help = "Usage: vloop show [--json] NAME\n"
		"\n"
		"Show everything about one device. NAME is its name, or its kernel device\n"
		"(/dev/vda, vda, virtio3).\n"
		"\n"
		"  --json    as a JSON object\n",
};
