/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio device types that vloop knows: what a user calls them, what a back-end of
 * that type looks like on the wire, and where its driver shows up in this system.
 *
 * The kernel module has a table of its own (class, config writes, failing requests); here
 * is only what the user-space side needs.
 */
#ifndef VLOOP_TYPES_H
#define VLOOP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLOOP_CONFIG_SIZES 6

struct feature_name {
	unsigned int bit;
	const char *name;
};

/*
 * One member of a config space. @gate is the feature bit without which the member has no
 * meaning, FIELD_ALWAYS when it always has. A number is 1, 2, 4 or 8 bytes.
 */
enum field_kind { FIELD_NUMBER, FIELD_HEX, FIELD_MAC, FIELD_TEXT, FIELD_SECTORS };

#define FIELD_ALWAYS 64

struct config_field {
	const char *name;
	uint16_t offset;
	uint16_t size;
	uint8_t gate;
	enum field_kind kind;
};

/*
 * What a device says of itself beyond its config space as it stands. A back-end is asked for it by
 * writing @ask to the first two bytes of the config space; the answer's length is in the third
 * and the answer begins with the ninth (virtio 1.3, 5.8.4). The kernel has it in @path, below
 * /sys/bus/virtio/devices/virtioN.
 * @words: of DETAIL_WORDS: of each bit
 */
enum detail_kind {
	DETAIL_TEXT,
	DETAIL_IDS, /* bus, vendor, product, version; @path is a directory */
	DETAIL_COUNT, /* of the bits that are set */
	DETAIL_WORDS,
};

struct type_detail {
	const char *name;
	enum detail_kind kind;
	uint8_t ask[2];
	const char *path;
	const struct feature_name *words;
};

#define TYPE_CONFIG_REQUIRED (1u << 0) /* without GET_CONFIG there is no such device */
#define TYPE_PER_CPU (1u << 1) /* the driver uses one request queue per processor */
#define TYPE_ALL_QUEUES (1u << 2) /* the driver uses as many as the config space says */
/*
 * SET_CONFIG is sent for the whole config space, as QEMU does for this type: there are back-ends
 * that look at the beginning of what they get and not at its offset.
 */
#define TYPE_CONFIG_WHOLE (1u << 3)

/*
 * @queues: what a device has unless told otherwise; with TYPE_PER_CPU, @queues_fixed plus
 *	one per processor up to what the back-end has
 * @queues_each: queues for each that the config space counts; 0: one
 * @mq_bit: feature that allows more than one request queue; FIELD_ALWAYS: none is needed
 * @count_offset, @count_size: the config member with the number of request queues (or
 *	pairs, or ports); size 0: there is none
 * @config_sizes: sizes of the config space over the versions of the specification, largest
 *	first, then zeroes. Servers differ in which of them they answer.
 * @config_min: less than that cannot be this type
 * @ring_size: entries of a ring that back-ends of note take at most, without saying so; 0: the
 *	module's default will do
 * @several: what its kernel devices are called together, where it can have several with names of
 *	their own; NULL: it has one
 * @where: patterns below /sys/bus/virtio/devices/virtioN, tried in this order; each match
 *	is printed with @dev_prefix
 * @details: what else it says of itself, ended by a zero entry; the first is its title, a text; or
 *	NULL
 * @refused: why this type cannot be attached, NULL when it can
 */
struct vloop_type {
	const char *name;
	uint32_t id;
	uint32_t flags;
	const char *module;
	uint32_t queues;
	uint32_t queues_fixed;
	uint32_t queues_each;
	unsigned int mq_bit;
	uint16_t count_offset;
	uint16_t count_size;
	uint16_t config_sizes[VLOOP_CONFIG_SIZES];
	uint16_t config_min;
	uint16_t ring_size;
	const char *several;
	const char *where[2];
	const char *dev_prefix;
	const struct feature_name *features;
	const struct config_field *fields;
	const struct type_detail *details;
	const char *refused;
};

const struct vloop_type *type_by_name(const char *name);
const struct vloop_type *type_by_id(uint32_t id);

/* type_names() - those that can be attached, for messages */
const char *type_names(void);

/*
 * feature_name() - word for one feature bit of @type (NULL: only the bits that all types
 * share), NULL for a bit that has none
 */
const char *feature_name(const struct vloop_type *type, unsigned int bit);
const char *protocol_feature_name(unsigned int bit);

/* type_unknown_features() - device-specific bits of @features that @type does not have */
uint64_t type_unknown_features(const struct vloop_type *type, uint64_t features);

/* The tables of type_tables.c. */
extern const struct feature_name features_net[], features_blk[], features_console[],
	features_scsi[], features_rtc[], features_vsock[], features_sound[], features_fs[],
	features_scmi[], features_i2c[], features_can[], features_bt[], features_gpio[],
	features_none[];
extern const struct config_field fields_net[], fields_blk[], fields_console[], fields_scsi[],
	fields_vsock[], fields_sound[], fields_fs[], fields_can[], fields_bt[], fields_gpio[],
	fields_spi[], fields_input[], fields_none[];
extern const struct type_detail details_input[];

#endif
