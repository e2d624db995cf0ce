/* SPDX-License-Identifier: BSD-3-Clause */
/* The type table, config spaces in words, and their JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "output.h"
#include "vhost_user.h"

#define IDS 64

static void check_sizes(const struct vloop_type *type)
{
	for (int i = 0; i < VLOOP_CONFIG_SIZES && type->config_sizes[i]; i++) {
		assert_true(type->config_sizes[i] <= VHOST_USER_CONFIG_MAX);
		assert_true(type->config_sizes[i] >= type->config_min);
		if (i)
			assert_true(type->config_sizes[i] < type->config_sizes[i - 1]);
	}
	for (const struct config_field *field = type->fields; field->name; field++)
		assert_true(field->offset + field->size <= type->config_sizes[0]);
	if (type->flags & TYPE_CONFIG_REQUIRED)
		assert_true(type->config_sizes[0] > 0);
}

static void test_table(void **state)
{
	unsigned int usable = 0, refused = 0;

	(void)state;
	for (uint32_t id = 1; id < IDS; id++) {
		const struct vloop_type *type = type_by_id(id);

		if (!type)
			continue;
		assert_ptr_equal(type_by_name(type->name), type);
		if (type->refused) {
			refused++;
			continue;
		}
		usable++;
		assert_non_null(type->module);
		assert_non_null(type->features);
		assert_non_null(type->fields);
		assert_true(type->queues > type->queues_fixed || type->queues_each);
		if (type->where[0])
			assert_non_null(type->dev_prefix);
		check_sizes(type);
	}
	assert_int_equal(usable, 16);
	assert_int_equal(refused, 6);
	assert_null(type_by_name("nonsense"));
	assert_null(type_by_id(0));
}

static void test_feature_names(void **state)
{
	const struct vloop_type *blk = type_by_name("blk");

	(void)state;
	assert_string_equal(feature_name(blk, 12), "mq");
	assert_string_equal(feature_name(blk, 32), "version-1");
	assert_null(feature_name(blk, 3));
	assert_null(feature_name(NULL, 12));
	assert_string_equal(feature_name(NULL, 29), "event-idx");
	assert_string_equal(protocol_feature_name(3), "reply-ack");
	assert_null(protocol_feature_name(63));
	assert_int_equal(type_unknown_features(blk, (1ULL << 12) | (1ULL << 3) | (1ULL << 45)),
			 1ULL << 3);
	assert_int_equal(type_unknown_features(type_by_name("rng"), 1ULL << 12), 1ULL << 12);
}

static const char *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value)
							      : NULL;
}

static void test_describe_blk(void **state)
{
	struct config_space config = {.len = 96};
	struct json_object *object;

	(void)state;
	config_put(&config, 0, 8, 2097152);
	config_put(&config, 34, 2, 4);
	object = config_describe(type_by_name("blk"), 1ULL << 12, &config);
	assert_string_equal(member(object, "capacity"), "2097152");
	assert_string_equal(member(object, "capacity_bytes"), "1073741824");
	assert_string_equal(member(object, "num_queues"), "4");
	/* No meaning without its feature. */
	assert_null(member(object, "max_discard_sectors"));
	json_object_put(object);

	config.len = 24;
	object = config_describe(type_by_name("blk"), 1ULL << 12, &config);
	assert_null(member(object, "num_queues"));
	json_object_put(object);
}

/* Bytes of a peer go to a terminal: nothing but printable characters may. */
static void test_describe_text(void **state)
{
	struct config_space config = {.len = 44};
	struct json_object *object;

	(void)state;
	memset(config.bytes, 'x', 36);
	memcpy(config.bytes, "a\033[2Jb", 6);
	object = config_describe(type_by_name("fs"), 0, &config);
	assert_string_equal(member(object, "tag"), "a?[2Jbxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	json_object_put(object);

	config = (struct config_space){.len = 24, .bytes = {0x52, 0x54, 0, 0x12, 0x34, 0x56}};
	object = config_describe(type_by_name("net"), 1ULL << 5, &config);
	assert_string_equal(member(object, "mac"), "52:54:00:12:34:56");
	json_object_put(object);
}

static void test_make_up(void **state)
{
	struct config_wishes wishes = {0};
	struct config_space config;

	(void)state;
	assert_int_equal(config_make_up(type_by_name("blk"), &wishes, &config), -ENODATA);
	assert_int_equal(config_make_up(type_by_name("rng"), &wishes, &config), 0);
	assert_int_equal(config.len, 0);
	assert_int_equal(config_make_up(type_by_name("fs"), &wishes, &config), -ENODATA);
	wishes.tag = "home";
	assert_int_equal(config_make_up(type_by_name("fs"), &wishes, &config), 0);
	assert_memory_equal(config.bytes, "home", 5);
	config_set_queues(type_by_name("fs"), 3, &config);
	assert_int_equal(config_get(&config, 36, 4), 2);
	assert_int_equal(config_make_up(type_by_name("scsi"), &wishes, &config), 0);
	assert_int_equal(config_get(&config, 20, 4), 96);
	wishes = (struct config_wishes){.has_mac = true, .mac = {2, 0, 0, 0, 0, 1}};
	assert_int_equal(config_make_up(type_by_name("net"), &wishes, &config), 0);
	assert_int_equal(config.bytes[5], 1);
	assert_int_equal(config_get(&config, 6, 2), 1);
}

static void test_queues(void **state)
{
	const struct vloop_type *blk = type_by_name("blk"), *net = type_by_name("net");
	const struct vloop_type *console = type_by_name("console");
	struct config_space config = {.len = 96};

	(void)state;
	config_put(&config, 34, 2, 8);
	assert_int_equal(config_request_queues(blk, 1ULL << 12, &config), 8);
	assert_int_equal(config_request_queues(blk, 0, &config), 1);
	config_set_queues(blk, 2, &config);
	assert_int_equal(config_request_queues(blk, 1ULL << 12, &config), 2);
	config_put(&config, 34, 2, 0);
	assert_int_equal(config_request_queues(blk, 1ULL << 12, &config), 1);
	config_set_queues(net, 5, &config);
	assert_int_equal(config_get(&config, 8, 2), 2);
	/* Two for each port, and two for control; without ports two. */
	config_put(&config, 4, 4, 7);
	assert_int_equal(config_queues(console, 1ULL << 1, &config), 16);
	assert_int_equal(config_queues(console, 0, &config), 2);
	config_set_queues(console, 7, &config);
	assert_int_equal(config_get(&config, 4, 4), 2);
	config_put(&config, 0, 4, 3);
	assert_int_equal(config_queues(type_by_name("scsi"), 0, &config), 2 + 3);
	/* A config space that ends before the field stays as it is. */
	config.len = 30;
	config_set_queues(blk, 2, &config);
	assert_int_equal(config_get(&config, 34, 2), 0);
}

static void test_output(void **state)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array;

	(void)state;
	out_features(object, "features", type_by_name("blk"), (1ULL << 12) | (1ULL << 3));
	out_text(object, "nothing", NULL);
	out_number(object, "large", UINT64_MAX);
	out_hex(object, "hex", 0x30);
	assert_true(json_object_object_get_ex(object, "features", &array));
	assert_string_equal(json_object_get_string(json_object_array_get_idx(array, 0)), "bit-3");
	assert_string_equal(json_object_get_string(json_object_array_get_idx(array, 1)), "mq");
	assert_string_equal(member(object, "large"), "18446744073709551615");
	assert_string_equal(member(object, "hex"), "0x30");
	assert_null(member(object, "nothing"));
	json_object_put(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_feature_names),
		cmocka_unit_test(test_describe_blk), cmocka_unit_test(test_describe_text),
		cmocka_unit_test(test_make_up),	     cmocka_unit_test(test_queues),
		cmocka_unit_test(test_output),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
