/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "details.h"
#include "output.h"
#include "sysfs.h"

/* The config space of a device that answers questions (virtio 1.3, 5.8.4). */
#define ANSWER_SIZE 2
#define ANSWER_AT 8
#define ANSWER_MAX 128
#define IDS 4

/* One answer: @len bytes, as on the wire. */
struct answer {
	size_t len;
	uint8_t bytes[ANSWER_MAX];
};

/* ---- in words; a result of NULL is JSON's null ---- */

/* From a peer: nothing that would move a terminal's cursor. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static struct json_object *say_text(const struct answer *answer)
{
	char text[ANSWER_MAX + 1];

	memcpy(text, answer->bytes, answer->len);
	text[answer->len] = 0;
	make_printable(text);
	return *text ? json_object_new_string(text) : NULL;
}

static struct json_object *say_ids(const struct answer *answer)
{
	unsigned int id[IDS];
	char text[80];

	if (answer->len < sizeof(uint16_t) * IDS)
		return NULL;
	for (int i = 0; i < IDS; i++)
		id[i] = answer->bytes[2 * i] | (unsigned int)answer->bytes[2 * i + 1] << 8;
	snprintf(text, sizeof(text), "bus 0x%04x, vendor 0x%04x, product 0x%04x, version 0x%04x",
		 id[0], id[1], id[2], id[3]);
	return json_object_new_string(text);
}

static struct json_object *say_count(const struct answer *answer)
{
	int n = 0;

	for (size_t i = 0; i < answer->len; i++)
		n += __builtin_popcount(answer->bytes[i]);
	return json_object_new_int(n);
}

static struct json_object *say_words(const struct answer *answer, const struct feature_name *words)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int bit = 0; bit < answer->len * 8; bit++) {
		const struct feature_name *word = words;
		char number[16];

		if (!(answer->bytes[bit / 8] & 1U << bit % 8))
			continue;
		while (word->name && word->bit != bit)
			word++;
		snprintf(number, sizeof(number), "bit-%u", bit);
		json_object_array_add(array, json_object_new_string(word->name ? word->name :
										 number));
	}
	return array;
}

static struct json_object *say(const struct type_detail *detail, const struct answer *answer)
{
	switch (detail->kind) {
	case DETAIL_TEXT:
		return say_text(answer);
	case DETAIL_IDS:
		return say_ids(answer);
	case DETAIL_COUNT:
		return say_count(answer);
	case DETAIL_WORDS:
		return say_words(answer, detail->words);
	}
	return NULL;
}

/* ---- from a back-end ---- */

static int ask(struct backend *backend, const struct vloop_type *type,
	       const struct type_detail *detail, struct answer *ret_answer)
{
	struct config_space config;
	int ret = backend_get_config(backend, type, &config);

	if (ret)
		return ret;
	memcpy(config.bytes, detail->ask, sizeof(detail->ask));
	ret = backend_set_config(backend, 0, config.bytes, backend->config_len);
	if (!ret)
		ret = backend_get_config(backend, type, &config);
	if (ret)
		return ret;
	ret_answer->len = (size_t)config_get(&config, ANSWER_SIZE, 1);
	if (ret_answer->len > ANSWER_MAX)
		ret_answer->len = ANSWER_MAX;
	if (ANSWER_AT + ret_answer->len > config.len)
		ret_answer->len = 0;
	memcpy(ret_answer->bytes, config.bytes + ANSWER_AT, ret_answer->len);
	return 0;
}

int details_ask(struct json_object *object, struct backend *backend, const struct vloop_type *type)
{
	struct json_object *details = json_object_new_object();
	struct answer answer;
	int ret = 0;

	for (const struct type_detail *detail = type->details; detail->name && !ret; detail++) {
		ret = ask(backend, type, detail, &answer);
		if (!ret)
			json_object_object_add(details, detail->name, say(detail, &answer));
	}
	json_object_object_add(object, "details", details);
	return ret;
}

/* ---- from sysfs ---- */

/* The first match of a pattern below a virtio device, without the root. */
static int find(const char *virtio, const char *pattern, char *ret_path, size_t size)
{
	char full[PATH_MAX];
	glob_t found;

	snprintf(full, sizeof(full), "%s/sys/bus/virtio/devices/%s/%s", sysfs_root, virtio,
		 pattern);
	if (glob(full, 0, NULL, &found))
		return -ENOENT;
	snprintf(ret_path, size, "%s", found.gl_pathv[0] + strlen(sysfs_root));
	globfree(&found);
	return 0;
}

static void read_text(const char *path, struct answer *answer)
{
	char text[ANSWER_MAX];

	if (sysfs_read(text, sizeof(text), "%s", path))
		return;
	answer->len = strlen(text);
	memcpy(answer->bytes, text, answer->len);
}

static void read_ids(const char *path, struct answer *answer)
{
	static const char *const files[IDS] = {"bustype", "vendor", "product", "version"};
	char text[SYSFS_TEXT];

	for (int i = 0; i < IDS; i++) {
		unsigned long id;

		if (sysfs_read(text, sizeof(text), "%s/%s", path, files[i]))
			return;
		id = strtoul(text, NULL, 16);
		answer->bytes[2 * i] = (uint8_t)id;
		answer->bytes[2 * i + 1] = (uint8_t)(id >> 8);
	}
	answer->len = sizeof(uint16_t) * IDS;
}

/* Hexadecimal numbers of the kernel's word size, the highest one first. */
static void read_bits(const char *path, struct answer *answer)
{
	char text[512], *end;

	if (sysfs_read(text, sizeof(text), "%s", path))
		return;
	end = text + strlen(text);
	while (end > text && answer->len + sizeof(long) <= sizeof(answer->bytes)) {
		unsigned long word;

		while (end > text && end[-1] != ' ')
			end--;
		word = strtoul(end, NULL, 16);
		for (size_t i = 0; i < sizeof(word); i++)
			answer->bytes[answer->len++] = (uint8_t)(word >> 8 * i);
		if (end > text)
			*--end = 0;
	}
}

static struct json_object *look_up(const struct type_detail *detail, const char *path)
{
	struct answer answer = {0};

	switch (detail->kind) {
	case DETAIL_TEXT:
		read_text(path, &answer);
		break;
	case DETAIL_IDS:
		read_ids(path, &answer);
		break;
	case DETAIL_COUNT:
	case DETAIL_WORDS:
		read_bits(path, &answer);
		break;
	}
	return say(detail, &answer);
}

void details_look_up(struct json_object *object, const struct vloop_type *type, const char *virtio)
{
	struct json_object *details;
	char path[PATH_MAX];

	if (!type || !type->details)
		return;
	details = json_object_new_object();
	for (const struct type_detail *detail = type->details; detail->name; detail++)
		if (!find(virtio, detail->path, path, sizeof(path)))
			json_object_object_add(details, detail->name, look_up(detail, path));
	if (json_object_object_length(details))
		json_object_object_add(object, "details", details);
	else
		json_object_put(details);
}

int details_title(const struct vloop_type *type, const char *virtio, char *ret_title, size_t size)
{
	char path[PATH_MAX];

	if (!type || !type->details || find(virtio, type->details->path, path, sizeof(path)) ||
	    sysfs_read(ret_title, size, "%s", path) || !*ret_title)
		return -ENOENT;
	make_printable(ret_title);
	return 0;
}
