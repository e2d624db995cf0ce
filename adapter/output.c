/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "vloop.h"

/* Bytes of the character at @text; 0: none (RFC 3629, 3: neither longer forms nor surrogates). */
static size_t character_len(const unsigned char *text)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = 1;
	uint32_t c;

	if (text[0] < 0x80)
		return 1;
	while (len < 5 && text[0] & (0x80 >> len))
		len++;
	if (len < 2 || len > 4)
		return 0;
	c = text[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	return c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : len;
}

struct json_object *out_string(const char *value)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	const size_t size = strlen(value) * (sizeof(replacement) - 1);
	char *text = malloc(size + 1);
	struct json_object *string;
	size_t n = 0;

	if (!text)
		return NULL;
	while (*value) {
		const size_t len = character_len((const unsigned char *)value);

		if (len)
			memcpy(text + n, value, len);
		else
			memcpy(text + n, replacement, sizeof(replacement) - 1);
		n += len ? len : sizeof(replacement) - 1;
		value += len ? len : 1;
	}
	text[n] = 0;
	string = json_object_new_string(text);
	free(text);
	return string;
}

void out_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? out_string(value) : NULL);
}

void out_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void out_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void out_hex(struct json_object *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	out_text(object, key, text);
}

static void add_bit(struct json_object *array, const char *name, unsigned int bit)
{
	char number[16];

	if (!name) {
		snprintf(number, sizeof(number), "bit-%u", bit);
		name = number;
	}
	json_object_array_add(array, json_object_new_string(name));
}

void out_features(struct json_object *object, const char *key, const struct vloop_type *type,
		  uint64_t features)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int bit = 0; bit < 64; bit++)
		if (features & (1ULL << bit))
			add_bit(array, feature_name(type, bit), bit);
	json_object_object_add(object, key, array);
}

void out_protocol_features(struct json_object *object, const char *key, uint64_t features)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int bit = 0; bit < 64; bit++)
		if (features & (1ULL << bit))
			add_bit(array, protocol_feature_name(bit), bit);
	json_object_object_add(object, key, array);
}

static void print_words(struct json_object *array)
{
	size_t n = json_object_array_length(array);

	if (!n)
		printf(" none");
	for (size_t i = 0; i < n; i++)
		printf(" %s", json_object_get_string(json_object_array_get_idx(array, i)));
	putchar('\n');
}

static void print_text(struct json_object *object, int indent)
{
	struct json_object_iterator it = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		struct json_object *value = json_object_iter_peek_value(&it);
		const char *key = json_object_iter_peek_name(&it);

		printf("%*s%s:", indent, "", key);
		switch (json_object_get_type(value)) {
		case json_type_object:
			putchar('\n');
			print_text(value, indent + 2);
			break;
		case json_type_array:
			print_words(value);
			break;
		case json_type_boolean:
			printf(" %s\n", json_object_get_boolean(value) ? "yes" : "no");
			break;
		case json_type_null:
			printf(" -\n");
			break;
		default:
			printf(" %s\n", json_object_get_string(value));
			break;
		}
	}
}

int out_finish(int result)
{
	if (!fflush(stdout) && !ferror(stdout))
		return result;
	msg_error("writing to the standard output: %s", strerror(errno));
	return result ? result : EXIT_FAIL;
}

void out_print(struct json_object *object, bool json)
{
	if (json)
		printf("%s\n",
		       json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_text(object, 0);
	json_object_put(object);
}
