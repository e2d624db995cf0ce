/* SPDX-License-Identifier: BSD-3-Clause */
/* What vloop reads from sysfs and procfs, in a tree made here; and what it prints of it. */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <json-c/json.h>

#include "sysfs.h"
#include "vloop.h"

#define CLASS "/sys/class/virtio-loopback"
#define BUS "/sys/bus/virtio/devices"

static char root[32];

static void make_parents(const char *path)
{
	char part[256];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755))
			assert_int_equal(errno, EEXIST);
	}
}

/* A file with a line; a directory, when @text is NULL. */
static void put(const char *path, const char *text)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	make_parents(full);
	if (!text) {
		assert_int_equal(mkdir(full, 0755), 0);
		return;
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	fclose(file);
}

static void put_link(const char *path, const char *target)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	make_parents(full);
	assert_int_equal(symlink(target, full), 0);
}

static void put_queue(const char *name, int queue, const char *requests)
{
	static const char *const counters[] = {
		"completed", "bytes_out", "bytes_in", "kicks",	 "calls",     "stalls",
		"failed",    "reoffered", "clamped",  "dropped", "in_flight",
	};
	char path[128];

	snprintf(path, sizeof(path), CLASS "/%s/queues/%d/requests", name, queue);
	put(path, requests);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		snprintf(path, sizeof(path), CLASS "/%s/queues/%d/%s", name, queue, counters[i]);
		put(path, "7");
	}
	snprintf(path, sizeof(path), CLASS "/%s/queues/%d/size", name, queue);
	put(path, "128");
	snprintf(path, sizeof(path), CLASS "/%s/queues/%d/driver_size", name, queue);
	put(path, "256");
}

/* A disk with a partition, and a random source whose driver is missing. */
static int make_tree(void **state)
{
	(void)state;
	strcpy(root, "/tmp/vloop-sysfs-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	sysfs_root = root;
	put(CLASS "/disk/type", "blk");
	put(CLASS "/disk/type_id", "2");
	put(CLASS "/disk/state", "running");
	put(CLASS "/disk/owner_pid", "4711");
	put(CLASS "/disk/owner_uid", "0");
	put(CLASS "/disk/pool_size", "67108864");
	put(CLASS "/disk/timeout_ms", "30000");
	put(CLASS "/disk/epoch", "1");
	put(CLASS "/disk/in_flight", "3");
	put(CLASS "/disk/broken_reason", "");
	put(CLASS "/disk/device_features", "0x0000000100001000");
	put(CLASS "/disk/driver_features", "0x0000000100000000");
	put(CLASS "/disk/virtio5", NULL);
	put_queue("disk", 0, "100");
	put_queue("disk", 1, "200");
	put(BUS "/virtio5/block/vdb/dev", "254:16");
	put(BUS "/virtio5/block/vdb/vdb1/dev", "254:17");
	put(BUS "/virtio5/block/vdb/holders", NULL);
	put(BUS "/virtio5/block/vdb/vdb1/holders", NULL);
	put_link(BUS "/virtio5/driver", "../../drivers/virtio_blk");
	put(CLASS "/random/type", "rng");
	put(CLASS "/random/type_id", "4");
	put(CLASS "/random/state", "waiting");
	put(CLASS "/random/virtio6", NULL);
	put(BUS "/virtio6", NULL);
	put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw");
	put("/proc/swaps", "Filename Type Size Used Priority");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	sysfs_root = "";
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_look_up(void **state)
{
	char text[SYSFS_TEXT];

	(void)state;
	assert_true(sysfs_exists("disk"));
	assert_false(sysfs_exists("disk2"));
	assert_false(sysfs_exists("disk/../random"));
	assert_int_equal(sysfs_virtio("disk", text, sizeof(text)), 0);
	assert_string_equal(text, "virtio5");
	assert_int_equal(sysfs_virtio("none", text, sizeof(text)), -ENOENT);
	assert_int_equal(sysfs_driver("virtio5", text, sizeof(text)), 0);
	assert_string_equal(text, "virtio_blk");
	assert_int_equal(sysfs_driver("virtio6", text, sizeof(text)), -ENOENT);
	assert_int_equal(sysfs_number(9, CLASS "/disk/pool_size"), 67108864);
	assert_true(sysfs_number(9, CLASS "/disk/device_features") == 0x100001000);
	assert_int_equal(sysfs_number(9, CLASS "/disk/nothing"), 9);
}

static void test_find(void **state)
{
	static const char *const ways[] = {"disk", "/dev/vdb", "vdb", "virtio5"};
	char name[SYSFS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		assert_int_equal(sysfs_find(ways[i], name, sizeof(name)), 0);
		assert_string_equal(name, "disk");
	}
	assert_int_equal(sysfs_find("vda", name, sizeof(name)), -ENOENT);
	assert_int_equal(sysfs_find("", name, sizeof(name)), -ENOENT);
	assert_int_equal(sysfs_find("/dev/", name, sizeof(name)), -ENOENT);
	assert_int_equal(sysfs_find("disk", name, 3), -ENAMETOOLONG);
}

static void expect_found(const char *text, const char *name)
{
	char found[SYSFS_TEXT];

	assert_int_equal(sysfs_find(text, found, sizeof(found)), 0);
	assert_string_equal(found, name);
}

/* Ports have nodes of their own, random number generators share one. */
static void test_find_shared(void **state)
{
	char name[SYSFS_TEXT];

	(void)state;
	put(CLASS "/tty/type_id", "3");
	put(CLASS "/tty/virtio7", NULL);
	put(BUS "/virtio7/virtio-ports/vport7p0", NULL);
	put(BUS "/virtio7/virtio-ports/vport7p1", NULL);
	expect_found("/dev/vport7p0", "tty");
	expect_found("vport7p1", "tty");

	put_link(BUS "/virtio6/driver", "../../drivers/virtio_rng");
	put("/sys/class/misc/hw_random/rng_available", "virtio_rng.0");
	expect_found("hwrng", "random");
	expect_found("/dev/hwrng", "random");
	assert_int_equal(sysfs_find("/dev/hwrng ", name, sizeof(name)), -ENOENT);
	put("/sys/class/misc/hw_random/rng_available", "virtio_rng.0 virtio_rng.1");
	expect_found("hwrng", "random");
	put(CLASS "/random2/type_id", "4");
	put(CLASS "/random2/virtio8", NULL);
	put_link(BUS "/virtio8/driver", "../../drivers/virtio_rng");
	assert_int_equal(sysfs_find("/dev/hwrng", name, sizeof(name)), -ENOTUNIQ);
	expect_found("virtio8", "random2");
}

static void test_kernel_devices(void **state)
{
	char text[SYSFS_TEXT];

	(void)state;
	assert_int_equal(sysfs_kernel_device(type_by_name("blk"), "virtio5", text, sizeof(text)),
			 0);
	assert_string_equal(text, "/dev/vdb");
	/* No driver yet; then one; then a second source, and nobody knows which is ours. */
	assert_int_equal(sysfs_kernel_device(type_by_name("rng"), "virtio6", text, sizeof(text)),
			 -ENOENT);
	put_link(BUS "/virtio6/driver", "../../drivers/virtio_rng");
	put("/sys/class/misc/hw_random/rng_available", "tpm-rng-0 virtio_rng.2");
	assert_int_equal(sysfs_kernel_device(type_by_name("rng"), "virtio6", text, sizeof(text)),
			 0);
	assert_string_equal(text, "/dev/hwrng (virtio_rng.2)");
	put("/sys/class/misc/hw_random/rng_available", "virtio_rng.0 virtio_rng.2");
	assert_int_equal(sysfs_kernel_device(type_by_name("rng"), "virtio6", text, sizeof(text)),
			 0);
	assert_string_equal(text, "/dev/hwrng");

	put(BUS "/virtio7/net/can0", NULL);
	assert_int_equal(sysfs_kernel_device(type_by_name("can"), "virtio7", text, sizeof(text)),
			 0);
	assert_string_equal(text, "can0");
	put(BUS "/virtio8/input/input4/event2", NULL);
	assert_int_equal(sysfs_kernel_device(type_by_name("input"), "virtio8", text, sizeof(text)),
			 0);
	assert_string_equal(text, "/dev/input/event2");
	put(BUS "/virtio9/ptp/ptp1", NULL);
	assert_int_equal(sysfs_kernel_device(type_by_name("rtc"), "virtio9", text, sizeof(text)),
			 0);
	assert_string_equal(text, "/dev/ptp1");
}

static void expect_console(const char *virtio, const char *device)
{
	char text[SYSFS_TEXT];

	assert_int_equal(sysfs_kernel_device(type_by_name("console"), virtio, text, sizeof(text)),
			 0);
	assert_string_equal(text, device);
}

static void append(void *user, const char *device, const char *name)
{
	size_t len = strlen(user);

	snprintf((char *)user + len, SYSFS_TEXT - len, "%s=%s ", device, name);
}

static void test_console(void **state)
{
	char device[SYSFS_TEXT], text[SYSFS_TEXT] = "";

	(void)state;
	put(BUS "/virtio3/virtio-ports/vport3p0", NULL);
	expect_console("virtio3", "/dev/vport3p0");

	/* Its driver has made others, and is still about to make this one. */
	put("/sys/kernel/debug/virtio-ports/vport2p0", "");
	assert_int_equal(
		sysfs_kernel_device(type_by_name("console"), "virtio3", device, sizeof(device)),
		-ENOENT);
	put("/sys/kernel/debug/virtio-ports/vport3p0",
	    "name: a\nis_console: no\nconsole_vtermno: 1");
	expect_console("virtio3", "/dev/vport3p0");

	/* No number is missing. */
	put("/sys/kernel/debug/virtio-ports/vport3p0",
	    "name:\nis_console: yes\nconsole_vtermno: 1");
	expect_console("virtio3", "/dev/hvc0");

	/* Number 1 is gone. The terminal of number 3 does not exist, so others do not tell. */
	put("/sys/kernel/debug/virtio-ports/vport3p0",
	    "name:\nis_console: yes\nconsole_vtermno: 3");
	expect_console("virtio3", "/dev/vport3p0");
	put("/dev/hvc1", "");
	expect_console("virtio3", "/dev/hvc1");
	put("/dev/hvc0", "");
	expect_console("virtio3", "/dev/vport3p0");
	put(BUS "/virtio4/virtio-ports/vport4p0", NULL);
	put("/sys/kernel/debug/virtio-ports/vport4p0",
	    "name:\nis_console: yes\nconsole_vtermno: 2");
	expect_console("virtio4", "/dev/vport4p0");
	put("/dev/hvc2", "");
	expect_console("virtio4", "/dev/hvc1");
	expect_console("virtio3", "/dev/hvc2");

	put(BUS "/virtio3/virtio-ports/vport3p1", NULL);
	put(BUS "/virtio3/virtio-ports/vport3p1/name", "a\tport");
	sysfs_each_device(type_by_name("console"), "virtio3", append, text);
	assert_string_equal(text, "/dev/hvc2= /dev/vport3p1=a?port ");
}

static void test_in_use(void **state)
{
	const struct vloop_type *blk = type_by_name("blk");
	char user[SYSFS_TEXT];

	(void)state;
	assert_false(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "40 22 254:17 / /mnt/data rw - ext4 /dev/vdb1 rw");
	assert_true(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	assert_string_equal(user, "mounted on /mnt/data");
	/* A number of its own: the source tells. */
	put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "41 22 0:45 / /mnt/pool rw shared:5 - btrfs /dev/vdb1 rw");
	assert_true(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	assert_string_equal(user, "mounted on /mnt/pool");
	put("/proc/self/mountinfo", "41 22 0:45 / /mnt/pool rw - btrfs /dev/vdb rw");
	assert_true(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	put("/proc/self/mountinfo", "41 22 0:45 / /mnt/pool rw - btrfs /dev/vdb12 rw\n"
				    "42 22 0:46 / /mnt/tmp rw - tmpfs vdb rw\n"
				    "43 22 8:2 / /mnt/other rw - ext4 /dev/vdb rw");
	assert_false(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw");
	put("/proc/swaps", "Filename Type\n/dev/vdb partition 1 0 -2");
	assert_true(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	put("/proc/swaps", "Filename Type\n/dev/vdb2 partition 1 0 -2");
	assert_false(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	put(BUS "/virtio5/block/vdb/holders/dm-0", "");
	assert_true(sysfs_in_use(blk, "virtio5", user, sizeof(user)));
	assert_string_equal(user, "in use by dm-0");
}

/* Run a subcommand and parse what it printed. */
static struct json_object *run_json(const struct subcommand *command, int argc,
				    const char *const *argv, int expected)
{
	char text[8192] = "";
	FILE *file = tmpfile();
	int out = dup(STDOUT_FILENO);
	int ret;

	fflush(stdout);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	ret = command->run(argc, (char **)(uintptr_t)argv);
	fflush(stdout);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	close(out);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	assert_int_equal(ret, expected);
	return *text ? json_tokener_parse(text) : NULL;
}

static const char *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(object, key, &value));
	return json_object_get_string(value);
}

static void test_list(void **state)
{
	const char *argv[] = {"list", "--json", NULL};
	struct json_object *all = run_json(&cmd_list, 2, argv, EXIT_OK);

	(void)state;
	assert_int_equal(json_object_array_length(all), 2);
	assert_string_equal(member(json_object_array_get_idx(all, 0), "name"), "disk");
	assert_string_equal(member(json_object_array_get_idx(all, 0), "device"), "/dev/vdb");
	assert_string_equal(member(json_object_array_get_idx(all, 1), "state"), "waiting");
	assert_null(member(json_object_array_get_idx(all, 1), "device"));
	json_object_put(all);
}

static void test_show(void **state)
{
	const char *argv[] = {"show", "--json", "/dev/vdb", NULL};
	const char *wrong[] = {"show", "nothing", NULL};
	struct json_object *object = run_json(&cmd_show, 3, argv, EXIT_OK);
	struct json_object *features;

	(void)state;
	assert_string_equal(member(object, "name"), "disk");
	assert_string_equal(member(object, "queues"), "2");
	assert_string_equal(member(object, "queue_size"), "128");
	assert_string_equal(member(object, "in_flight"), "3");
	assert_null(member(object, "broken_reason"));
	json_object_object_get_ex(object, "device_features", &features);
	assert_int_equal(json_object_array_length(features), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(features, 0)), "mq");
	json_object_put(object);
	assert_null(run_json(&cmd_show, 2, wrong, EXIT_ABSENT));
}

static void assert_words(struct json_object *details, const char *name, const char *expected)
{
	struct json_object *words;
	char all[256] = "";

	assert_true(json_object_object_get_ex(details, name, &words));
	for (size_t i = 0; i < json_object_array_length(words); i++) {
		strcat(all, " ");
		strcat(all, json_object_get_string(json_object_array_get_idx(words, i)));
	}
	assert_string_equal(all, expected);
}

/* What an input device says of itself; its name may be anything. */
static void test_details(void **state)
{
	const char *list[] = {"list", "--json", NULL}, *show[] = {"show", "--json", "keys", NULL};
	struct json_object *all, *object, *details;

	(void)state;
	put(CLASS "/keys/type", "input");
	put(CLASS "/keys/type_id", "18");
	put(CLASS "/keys/state", "running");
	put(CLASS "/keys/virtio7", NULL);
	put(BUS "/virtio7/input/input9/event4/dev", "13:68");
	put(BUS "/virtio7/input/input9/name", "A \033[2J keyboard");
	put(BUS "/virtio7/input/input9/uniq", "");
	put(BUS "/virtio7/input/input9/properties", "41");
	put(BUS "/virtio7/input/input9/id/bustype", "0003");
	put(BUS "/virtio7/input/input9/id/vendor", "12ab");
	put(BUS "/virtio7/input/input9/id/product", "0001");
	put(BUS "/virtio7/input/input9/id/version", "ffff");
	put(BUS "/virtio7/input/input9/capabilities/key", "1 0 8000000000000001 fffe");
	put(BUS "/virtio7/input/input9/capabilities/rel", "0");
	put(BUS "/virtio7/input/input9/capabilities/abs", "1000003");
	put(BUS "/virtio7/input/input9/capabilities/led", "8002");
	all = run_json(&cmd_list, 2, list, EXIT_OK);
	object = json_object_array_get_idx(all, 1);
	assert_string_equal(member(object, "device"), "/dev/input/event4");
	assert_string_equal(member(object, "title"), "A ?[2J keyboard");
	assert_null(member(json_object_array_get_idx(all, 0), "title"));
	json_object_put(all);
	object = run_json(&cmd_show, 3, show, EXIT_OK);
	assert_true(json_object_object_get_ex(object, "details", &details));
	assert_string_equal(member(details, "name"), "A ?[2J keyboard");
	assert_null(member(details, "serial"));
	assert_string_equal(member(details, "ids"),
			    "bus 0x0003, vendor 0x12ab, product 0x0001, version 0xffff");
	assert_string_equal(member(details, "keys"), "18");
	assert_words(details, "relative_axes", "");
	assert_words(details, "absolute_axes", " x y pressure");
	assert_words(details, "leds", " caps-lock bit-15");
	assert_words(details, "properties", " pointer accelerometer");
	json_object_put(object);
}

static void test_stats(void **state)
{
	const char *argv[] = {"stats", "--json", "disk", NULL};
	struct json_object *all = run_json(&cmd_stats, 3, argv, EXIT_OK);

	(void)state;
	assert_int_equal(json_object_array_length(all), 2);
	assert_string_equal(member(json_object_array_get_idx(all, 0), "requests"), "100");
	assert_string_equal(member(json_object_array_get_idx(all, 1), "requests"), "200");
	assert_string_equal(member(json_object_array_get_idx(all, 1), "queue"), "1");
	assert_string_equal(member(json_object_array_get_idx(all, 1), "in_flight"), "7");
	json_object_put(all);
}

static void *remove_soon(void *unused)
{
	char from[64], to[64];

	usleep(200 * 1000);
	snprintf(from, sizeof(from), "%s" CLASS "/disk", root);
	snprintf(to, sizeof(to), "%s/gone", root);
	(void)!rename(from, to);
	return unused;
}

/* The device goes while it is watched. */
static void test_stats_end(void **state)
{
	const char *argv[] = {"stats", "--interval", "1", "disk", NULL};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, remove_soon, NULL), 0);
	assert_null(run_json(&cmd_stats, 4, argv, EXIT_ABSENT));
	pthread_join(thread, NULL);
}

static void test_no_module(void **state)
{
	const char *list[] = {"list", NULL}, *stats[] = {"stats", NULL};

	(void)state;
	sysfs_root = "/nonexistent";
	assert_null(run_json(&cmd_list, 1, list, EXIT_MODULE));
	assert_null(run_json(&cmd_stats, 1, stats, EXIT_MODULE));
	sysfs_root = root;
}

#define IN_TREE(function) cmocka_unit_test_setup_teardown(function, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(test_look_up),	      IN_TREE(test_find),    IN_TREE(test_find_shared),
		IN_TREE(test_kernel_devices), IN_TREE(test_console), IN_TREE(test_in_use),
		IN_TREE(test_list),	      IN_TREE(test_show),    IN_TREE(test_stats),
		IN_TREE(test_no_module),      IN_TREE(test_details), IN_TREE(test_stats_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
