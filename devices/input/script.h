/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts: a device that is described by text, and events that it sends. The format is in
 * vloop-input(1).
 */
#ifndef VLOOP_INPUT_SCRIPT_H
#define VLOOP_INPUT_SCRIPT_H

#include "desc.h"

#define SCRIPT_LOOPS	8		/* loops in loops */
#define SCRIPT_BYTES	(1U << 20)	/* of text */
#define SCRIPT_WAIT_MAX	3600000000ULL	/* one hour, in microseconds */
#define SCRIPT_PACKET_MAX	4096		/* events before a sync */

enum script_op { SCRIPT_EVENT, SCRIPT_WAIT, SCRIPT_EXPECT, SCRIPT_LOOP, SCRIPT_END };

/*
 * @type, @code, @value: SCRIPT_EVENT, SCRIPT_EXPECT
 * @number: SCRIPT_WAIT: microseconds; SCRIPT_LOOP: how often, 1 at least; SCRIPT_END: the step
 *	behind its SCRIPT_LOOP
 */
struct script_step {
	enum script_op op;
	uint16_t type;
	uint16_t code;
	int32_t value;
	uint64_t number;
};

/* @initial: values of the axes at the beginning */
struct script {
	struct input_desc desc;
	int32_t initial[ABS_CNT];
	struct script_step *steps;
	size_t num_steps;
};

/* Where and why a text is no script; lines and columns (in bytes) count from 1. */
struct script_error {
	unsigned int line;
	unsigned int column;
	char text[120];
};

/*
 * script_parse() - make a script of @len bytes of text
 *
 * Return: 0 (free it with script_free()); -EINVAL (see @ret_error); -ENOMEM.
 */
int script_parse(struct script *script, const char *text, size_t len,
		 struct script_error *ret_error);
void script_free(struct script *script);

/* ---- playing ---- */

/*
 * @at: next step
 * @left: of each loop that is being played, how often it will be played again
 * @outputs: what the driver sent last, by type and code (EV_LED, EV_SND, EV_REP)
 */
struct player {
	const struct script *script;
	size_t at;
	unsigned int depth;
	uint64_t left[SCRIPT_LOOPS];
	int32_t led[LED_CNT];
	int32_t snd[SND_CNT];
	int32_t rep[REP_CNT];
};

enum player_result {
	PLAYER_EVENT,	/* *ret_step is to be sent */
	PLAYER_WAIT,	/* ... to be waited for */
	PLAYER_BLOCKED, /* the driver has to send something first */
	PLAYER_BUSY,	/* many steps without any of those: come back soon */
	PLAYER_DONE,
};

void player_init(struct player *player, const struct script *script);
enum player_result player_next(struct player *player, const struct script_step **ret_step);

/* The driver sent this. */
void player_output(struct player *player, unsigned int type, unsigned int code, int32_t value);

#endif
