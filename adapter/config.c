/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "output.h"

uint64_t config_get(const struct config_space *config, unsigned int offset, unsigned int size)
{
	uint64_t value = 0;

	if (offset + size > config->len)
		return 0;
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)config->bytes[offset + i] << (8 * i);
	return value;
}

void config_put(struct config_space *config, unsigned int offset, unsigned int size, uint64_t value)
{
	if (offset + size > config->len)
		return;
	for (unsigned int i = 0; i < size; i++)
		config->bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

/* Text from a peer: bounded by its field, and nothing that would move a terminal's cursor. */
static void add_text(struct json_object *object, const struct config_field *field,
		     const uint8_t *bytes)
{
	char text[160];
	unsigned int i;

	for (i = 0; i < field->size && i < sizeof(text) - 1 && bytes[i]; i++)
		text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	text[i] = 0;
	out_text(object, field->name, text);
}

static void add_field(struct json_object *object, const struct config_field *field,
		      const struct config_space *config)
{
	const uint8_t *at = config->bytes + field->offset;
	char mac[18];

	switch (field->kind) {
	case FIELD_NUMBER:
		out_number(object, field->name, config_get(config, field->offset, field->size));
		break;
	case FIELD_HEX:
		out_hex(object, field->name, config_get(config, field->offset, field->size));
		break;
	case FIELD_SECTORS:
		out_number(object, field->name, config_get(config, field->offset, field->size));
		out_number(object, "capacity_bytes",
			   config_get(config, field->offset, field->size) * 512);
		break;
	case FIELD_MAC:
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2],
			 at[3], at[4], at[5]);
		out_text(object, field->name, mac);
		break;
	case FIELD_TEXT:
		add_text(object, field, at);
		break;
	}
}

struct json_object *config_describe(const struct vloop_type *type, uint64_t features,
				    const struct config_space *config)
{
	struct json_object *object = json_object_new_object();

	for (const struct config_field *field = type->fields; field->name; field++) {
		if (field->offset + field->size > config->len)
			continue;
		if (field->gate != FIELD_ALWAYS && !(features & (1ULL << field->gate)))
			continue;
		add_field(object, field, config);
	}
	return object;
}

/* Values of a host without limits of its own; the kernel's relay clamps max_sectors. */
static void make_up_scsi(struct config_space *config)
{
	config_put(config, 0, 4, 1); /* num_queues; config_set_queues() knows better */
	config_put(config, 4, 4, 126); /* seg_max */
	config_put(config, 8, 4, 0xffff); /* max_sectors */
	config_put(config, 12, 4, 128); /* cmd_per_lun */
	config_put(config, 16, 4, 16); /* event_info_size: struct virtio_scsi_event */
	config_put(config, 20, 4, 96); /* sense_size, virtio 1.3, 5.6.4 */
	config_put(config, 24, 4, 32); /* cdb_size */
	config_put(config, 30, 2, 255); /* max_target */
	config_put(config, 32, 4, 0x3fff); /* max_lun: the flat addressing format ends there */
}

int config_make_up(const struct vloop_type *type, const struct config_wishes *wishes,
		   struct config_space *ret_config)
{
	if (type->flags & TYPE_CONFIG_REQUIRED)
		return -ENODATA;
	memset(ret_config, 0, sizeof(*ret_config));
	ret_config->len = type->config_sizes[0];
	switch (type->id) {
	case 1:
		if (wishes->has_mac)
			memcpy(ret_config->bytes, wishes->mac, sizeof(wishes->mac));
		config_put(ret_config, 6, 2, 1); /* link up */
		config_put(ret_config, 8, 2, 1);
		return 0;
	case 8:
		make_up_scsi(ret_config);
		return 0;
	case 26:
		if (!wishes->tag)
			return -ENODATA;
		/* The tag fills its field without a terminator when it is that long. */
		memcpy(ret_config->bytes, wishes->tag, strnlen(wishes->tag, 36));
		config_put(ret_config, 36, 4, 1);
		return 0;
	default:
		return 0;
	}
}

static bool counts(const struct vloop_type *type, uint64_t features)
{
	return type->count_size &&
	       (type->mq_bit == FIELD_ALWAYS || features & (1ULL << type->mq_bit));
}

uint64_t config_request_queues(const struct vloop_type *type, uint64_t features,
			       const struct config_space *config)
{
	uint64_t n;

	if (!counts(type, features))
		return 1;
	n = config_get(config, type->count_offset, type->count_size);
	return n ? n : 1;
}

uint64_t config_queues(const struct vloop_type *type, uint64_t features,
		       const struct config_space *config)
{
	uint64_t each = type->queues_each ? type->queues_each : 1;

	if (!counts(type, features))
		return type->queues;
	return type->queues_fixed + each * config_request_queues(type, features, config);
}

void config_set_queues(const struct vloop_type *type, uint32_t nqueues, struct config_space *config)
{
	uint32_t n = nqueues - type->queues_fixed;

	if (!type->count_size)
		return;
	if (type->queues_each)
		n /= type->queues_each;
	/* net counts pairs; an odd queue at the end is the control queue. */
	if (type->id == 1)
		n = nqueues / 2;
	config_put(config, type->count_offset, type->count_size, n);
}
