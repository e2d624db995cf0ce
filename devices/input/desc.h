/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an input device is: its names and numbers, what it can send, and in what state it is. All
 * of it is plain data, whatever the source.
 *
 * Types, codes and values are those of evdev (<linux/input-event-codes.h>); virtio 1.3, 5.8, hands
 * them on as they are.
 */
#ifndef VLOOP_INPUT_DESC_H
#define VLOOP_INPUT_DESC_H

#include <linux/input.h>
#include <linux/virtio_input.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESC_STRING	128		/* virtio_input_config.u.string; no terminator on the wire */
#define DESC_BITMAP	(KEY_CNT / 8)	/* keys are the longest bitmap, 96 bytes */
#define DESC_SLOTS_MAX	1024		/* input_mt_init_slots() of Linux takes no more */

#define MT_FIRST	ABS_MT_TOUCH_MAJOR
#define MT_LAST		ABS_MT_TOOL_Y
#define MT_COUNT	(MT_LAST - MT_FIRST + 1)

struct desc_abs {
	int32_t min;
	int32_t max;
	int32_t fuzz;
	int32_t flat;
	int32_t resolution;
};

/*
 * Two descriptions of the same device are equal byte for byte: begin with desc_init().
 * @bits: of each event type, a bitmap of its codes; all zero: the device does not have the type
 */
struct input_desc {
	char name[DESC_STRING + 1];
	char serial[DESC_STRING + 1];
	struct input_id id;
	uint8_t properties[INPUT_PROP_CNT / 8];
	uint8_t bits[EV_CNT][DESC_BITMAP];
	struct desc_abs abs[ABS_CNT];
};

void desc_init(struct input_desc *desc);

/* Number of codes that a type can have at most; 0 for a type that evdev does not have. */
unsigned int desc_codes(unsigned int type);

bool desc_has(const struct input_desc *desc, unsigned int type, unsigned int code);
bool desc_has_type(const struct input_desc *desc, unsigned int type);
void desc_set(struct input_desc *desc, unsigned int type, unsigned int code);

/* Contacts that the device tells apart; 0: it does not. */
unsigned int desc_slots(const struct input_desc *desc);

/*
 * The configuration space as it answers @select and @subsel (virtio 1.3, 5.8.4 and 5.8.5.2):
 * size 0 and nothing else for what does not exist.
 */
void desc_answer(const struct input_desc *desc, uint8_t select, uint8_t subsel,
		 struct virtio_input_config *ret_config);

/* ---- state ---- */

/*
 * @keys, @switches: bitmaps of what is on
 * @abs: values of the axes
 * @slot: contact that ABS_MT_* events are about
 * @mt: values of each contact, desc_slots() of them; a tracking id of -1: nothing touches
 */
struct input_state {
	const struct input_desc *desc;
	uint8_t keys[KEY_CNT / 8];
	uint8_t switches[(SW_CNT + 7) / 8];
	int32_t abs[ABS_CNT];
	unsigned int slots;
	unsigned int slot;
	int32_t (*mt)[MT_COUNT];
};

/* @desc has to outlive the state. Return: 0 or -ENOMEM. */
int state_init(struct input_state *state, const struct input_desc *desc);
void state_free(struct input_state *state);

/* An event changes the state. One that the device cannot send changes nothing. */
void state_apply(struct input_state *state, unsigned int type, unsigned int code, int32_t value);

/* Nobody touches the device: no key is down, no contact is there. Axes and switches stay. */
void state_release(struct input_state *state);

bool state_key_down(const struct input_state *state);

typedef void (*state_event_fn)(void *user, unsigned int type, unsigned int code, int32_t value);

/*
 * One packet, ended by SYN_REPORT, that brings a driver from any state to this one. Drivers
 * pass on what differs from what they have.
 */
void state_send(const struct input_state *state, state_event_fn fn, void *user);

/* How many events that is at most. */
size_t state_events_max(const struct input_desc *desc);

#endif
