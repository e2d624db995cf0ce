/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desc.h"

static bool test_bit(const uint8_t *bitmap, unsigned int bit)
{
	return bitmap[bit / 8] & (1U << bit % 8);
}

static void put_bit(uint8_t *bitmap, unsigned int bit, bool on)
{
	if (on)
		bitmap[bit / 8] |= (uint8_t)(1U << bit % 8);
	else
		bitmap[bit / 8] &= (uint8_t)~(1U << bit % 8);
}

void desc_init(struct input_desc *desc)
{
	memset(desc, 0, sizeof(*desc));
}

unsigned int desc_codes(unsigned int type)
{
	switch (type) {
	case EV_KEY: return KEY_CNT;
	case EV_REL: return REL_CNT;
	case EV_ABS: return ABS_CNT;
	case EV_MSC: return MSC_CNT;
	case EV_SW: return SW_CNT;
	case EV_LED: return LED_CNT;
	case EV_SND: return SND_CNT;
	case EV_REP: return REP_CNT;
	case EV_FF: return FF_CNT;
	default: return 0;
	}
}

bool desc_has(const struct input_desc *desc, unsigned int type, unsigned int code)
{
	return code < desc_codes(type) && test_bit(desc->bits[type], code);
}

bool desc_has_type(const struct input_desc *desc, unsigned int type)
{
	static const uint8_t none[DESC_BITMAP];

	return type < EV_CNT && memcmp(desc->bits[type], none, sizeof(none));
}

void desc_set(struct input_desc *desc, unsigned int type, unsigned int code)
{
	if (code < desc_codes(type))
		put_bit(desc->bits[type], code, true);
}

unsigned int desc_slots(const struct input_desc *desc)
{
	int32_t max = desc->abs[ABS_MT_SLOT].max;

	if (!desc_has(desc, EV_ABS, ABS_MT_SLOT) || max < 0)
		return 0;
	return (unsigned int)(max < DESC_SLOTS_MAX ? max + 1 : DESC_SLOTS_MAX);
}

/* ---- configuration space ---- */

static uint8_t answer_text(const char *text, struct virtio_input_config *config)
{
	size_t len = strnlen(text, sizeof(config->u.string));

	memcpy(config->u.string, text, len);
	return (uint8_t)len;
}

/* Bitmaps end with their last byte that is not zero. */
static uint8_t answer_bits(const uint8_t *bitmap, size_t len, struct virtio_input_config *config)
{
	while (len && !bitmap[len - 1])
		len--;
	memcpy(config->u.bitmap, bitmap, len);
	return (uint8_t)len;
}

static uint8_t answer_id(const struct input_id *id, struct virtio_input_config *config)
{
	config->u.ids = (struct virtio_input_devids){
		.bustype = htole16(id->bustype),
		.vendor = htole16(id->vendor),
		.product = htole16(id->product),
		.version = htole16(id->version),
	};
	return sizeof(config->u.ids);
}

static uint8_t answer_abs(const struct desc_abs *abs, struct virtio_input_config *config)
{
	config->u.abs = (struct virtio_input_absinfo){
		.min = htole32((uint32_t)abs->min),
		.max = htole32((uint32_t)abs->max),
		.fuzz = htole32((uint32_t)abs->fuzz),
		.flat = htole32((uint32_t)abs->flat),
		.res = htole32((uint32_t)abs->resolution),
	};
	return sizeof(config->u.abs);
}

static uint8_t answer(const struct input_desc *desc, uint8_t select, uint8_t subsel,
		      struct virtio_input_config *config)
{
	switch (select) {
	case VIRTIO_INPUT_CFG_EV_BITS:
		return desc_codes(subsel) ? answer_bits(desc->bits[subsel], DESC_BITMAP, config) : 0;
	case VIRTIO_INPUT_CFG_ABS_INFO:
		return desc_has(desc, EV_ABS, subsel) ? answer_abs(&desc->abs[subsel], config) : 0;
	}
	/* The others have no second selector. */
	if (subsel)
		return 0;
	switch (select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
		return answer_text(desc->name, config);
	case VIRTIO_INPUT_CFG_ID_SERIAL:
		return answer_text(desc->serial, config);
	case VIRTIO_INPUT_CFG_ID_DEVIDS:
		return answer_id(&desc->id, config);
	case VIRTIO_INPUT_CFG_PROP_BITS:
		return answer_bits(desc->properties, sizeof(desc->properties), config);
	default:
		return 0;
	}
}

void desc_answer(const struct input_desc *desc, uint8_t select, uint8_t subsel,
		 struct virtio_input_config *ret_config)
{
	memset(ret_config, 0, sizeof(*ret_config));
	ret_config->select = select;
	ret_config->subsel = subsel;
	ret_config->size = answer(desc, select, subsel, ret_config);
}

/* ---- state ---- */

#define TRACKING	(ABS_MT_TRACKING_ID - MT_FIRST)

int state_init(struct input_state *state, const struct input_desc *desc)
{
	memset(state, 0, sizeof(*state));
	state->desc = desc;
	state->slots = desc_slots(desc);
	if (!state->slots)
		return 0;
	state->mt = calloc(state->slots, sizeof(*state->mt));
	if (!state->mt)
		return -ENOMEM;
	for (unsigned int i = 0; i < state->slots; i++)
		state->mt[i][TRACKING] = -1;
	return 0;
}

void state_free(struct input_state *state)
{
	free(state->mt);
	state->mt = NULL;
}

static void apply_abs(struct input_state *state, unsigned int code, int32_t value)
{
	if (code == ABS_MT_SLOT) {
		if (value >= 0 && (uint32_t)value < state->slots)
			state->slot = (unsigned int)value;
	} else if (code >= MT_FIRST && code <= MT_LAST) {
		if (state->slots)
			state->mt[state->slot][code - MT_FIRST] = value;
	} else {
		state->abs[code] = value;
	}
}

void state_apply(struct input_state *state, unsigned int type, unsigned int code, int32_t value)
{
	if (!desc_has(state->desc, type, code))
		return;
	if (type == EV_KEY)
		put_bit(state->keys, code, value);
	else if (type == EV_SW)
		put_bit(state->switches, code, value);
	else if (type == EV_ABS)
		apply_abs(state, code, value);
}

void state_release(struct input_state *state)
{
	memset(state->keys, 0, sizeof(state->keys));
	for (unsigned int i = 0; i < state->slots; i++)
		state->mt[i][TRACKING] = -1;
}

bool state_key_down(const struct input_state *state)
{
	static const uint8_t none[sizeof(state->keys)];

	return memcmp(state->keys, none, sizeof(none));
}

static void send_keys(const struct input_state *state, bool down, state_event_fn fn, void *user)
{
	for (unsigned int code = 0; code < KEY_CNT; code++)
		if (desc_has(state->desc, EV_KEY, code) && test_bit(state->keys, code) == down)
			fn(user, EV_KEY, code, down);
}

static void send_contact(const struct input_state *state, unsigned int slot, state_event_fn fn,
			 void *user)
{
	const int32_t *mt = state->mt[slot];

	fn(user, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
	fn(user, EV_ABS, ABS_MT_TRACKING_ID, mt[TRACKING]);
	if (mt[TRACKING] < 0)
		return;
	for (unsigned int code = MT_FIRST; code <= MT_LAST; code++)
		if (code != ABS_MT_TRACKING_ID && desc_has(state->desc, EV_ABS, code))
			fn(user, EV_ABS, code, mt[code - MT_FIRST]);
}

void state_send(const struct input_state *state, state_event_fn fn, void *user)
{
	const struct input_desc *desc = state->desc;

	/* Releases first: what a driver has down and the source has not must never meet a new key. */
	send_keys(state, false, fn, user);
	send_keys(state, true, fn, user);
	for (unsigned int code = 0; code < SW_CNT; code++)
		if (desc_has(desc, EV_SW, code))
			fn(user, EV_SW, code, test_bit(state->switches, code));
	for (unsigned int code = 0; code < ABS_MT_SLOT; code++)
		if (desc_has(desc, EV_ABS, code))
			fn(user, EV_ABS, code, state->abs[code]);
	for (unsigned int slot = 0; slot < state->slots; slot++)
		send_contact(state, slot, fn, user);
	if (state->slots)
		fn(user, EV_ABS, ABS_MT_SLOT, (int32_t)state->slot);
	fn(user, EV_SYN, SYN_REPORT, 0);
}

size_t state_events_max(const struct input_desc *desc)
{
	return KEY_CNT + SW_CNT + ABS_CNT + desc_slots(desc) * (size_t)(MT_COUNT + 1) + 2;
}
