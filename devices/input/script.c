/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libevdev/libevdev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script.h"

#define WORD_MAX	64	/* the longest name that evdev has is half as long */

/*
 * Events of a part of the script, when it is played: @head before its first sync, @tail behind its
 * last one; both are all of them where there is none.
 */
struct span {
	bool synced;
	uint64_t head;
	uint64_t tail;
};

/*
 * @at: next byte; @end: behind the last one
 * @word: where the word read last begins
 * @packet: events whose sync has not come
 * @loops: steps of the loops that are open, and their lines
 * @spans: of the script outside of all loops, and of each loop that is open, once
 */
struct parser {
	struct script *script;
	struct script_error *error;
	const char *at;
	const char *end;
	const char *line_start;
	unsigned int line;
	const char *word;
	bool packet;
	size_t room;
	unsigned int depth;
	size_t loops[SCRIPT_LOOPS];
	unsigned int loop_lines[SCRIPT_LOOPS];
	struct span spans[SCRIPT_LOOPS + 1];
};

__attribute__((format(printf, 3, 4))) static int fail_at(struct parser *p, const char *where,
							 const char *format, ...)
{
	va_list args;

	p->error->line = p->line;
	p->error->column = (unsigned int)(where - p->line_start) + 1;
	va_start(args, format);
	vsnprintf(p->error->text, sizeof(p->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- words ---- */

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
	if (p->at < p->end && *p->at == '#')
		while (p->at < p->end && *p->at != '\n')
			p->at++;
}

static bool at_line_end(struct parser *p)
{
	skip_blanks(p);
	return p->at == p->end || *p->at == '\n';
}

static bool in_word(char c)
{
	return c > ' ' && c < 0x7f && c != '#' && c != '"';
}

/* The next word of the line. */
static int read_word(struct parser *p, const char *what, char *ret_word)
{
	size_t n = 0;

	if (at_line_end(p))
		return fail_at(p, p->at, "%s is missing", what);
	p->word = p->at;
	while (p->at + n < p->end && in_word(p->at[n]))
		n++;
	if (n == 0)
		return fail_at(p, p->at, "%s expected", what);
	if (n >= WORD_MAX)
		return fail_at(p, p->at, "no %s is that long", what);
	memcpy(ret_word, p->at, n);
	ret_word[n] = '\0';
	p->at += n;
	return 0;
}

/* A text in quotes; no escapes. */
static int read_string(struct parser *p, char *ret_text)
{
	const char *start;
	size_t n;

	if (at_line_end(p) || *p->at != '"')
		return fail_at(p, p->at, "a text in double quotes expected");
	start = ++p->at;
	while (p->at < p->end && *p->at != '"' && *p->at != '\n' && *p->at != '\0')
		p->at++;
	if (p->at == p->end || *p->at != '"')
		return fail_at(p, start - 1, "this text has no end on its line");
	n = (size_t)(p->at++ - start);
	if (n > DESC_STRING)
		return fail_at(p, start + DESC_STRING, "the text is longer than %d bytes",
			       DESC_STRING);
	memcpy(ret_text, start, n);
	ret_text[n] = '\0';
	return 0;
}

static bool parse_number(const char *word, int64_t *ret_number)
{
	const char *digits = word + (*word == '+' || *word == '-');
	/* Not 0, for which a leading zero means octal. */
	int base = strncasecmp(digits, "0x", 2) ? 10 : 16;
	char *end;

	if (strspn(word, "+-0123456789") == 0)
		return false;
	errno = 0;
	*ret_number = strtoll(word, &end, base);
	return errno == 0 && *end == '\0';
}

static int read_number(struct parser *p, const char *what, int64_t min, int64_t max,
		       int64_t *ret_number)
{
	char word[WORD_MAX];
	int r = read_word(p, what, word);

	if (r < 0)
		return r;
	if (!parse_number(word, ret_number))
		return fail_at(p, p->word, "%s is not a number: %s", what, word);
	if (*ret_number < min || *ret_number > max)
		return fail_at(p, p->word, "%s is not between %lld and %lld: %s", what,
			       (long long)min, (long long)max, word);
	return 0;
}

static int read_type(struct parser *p, unsigned int *ret_type)
{
	char word[WORD_MAX];
	int64_t number;
	int type, r = read_word(p, "an event type", word);

	if (r < 0)
		return r;
	type = parse_number(word, &number) ? (number >= 0 && number < EV_CNT ? (int)number : -1) :
					     libevdev_event_type_from_name(word);
	if (type < 0 || !desc_codes((unsigned int)type))
		return fail_at(p, p->word, "no event type that a device can have: %s", word);
	*ret_type = (unsigned int)type;
	return 0;
}

/* @word: a name of evdev, or a number */
static int find_code(struct parser *p, unsigned int type, const char *word, unsigned int *ret_code)
{
	int64_t number;
	int code;

	if (parse_number(word, &number))
		code = number >= 0 && number < desc_codes(type) ? (int)number : -1;
	else
		code = libevdev_event_code_from_name(type, word);
	if (code < 0 || (unsigned int)code >= desc_codes(type))
		return fail_at(p, p->word, "no code of %s: %s", libevdev_event_type_get_name(type),
			       word);
	*ret_code = (unsigned int)code;
	return 0;
}

static int read_code(struct parser *p, unsigned int type, unsigned int *ret_code)
{
	char word[WORD_MAX];
	int r = read_word(p, "an event code", word);

	return r < 0 ? r : find_code(p, type, word, ret_code);
}

/* ---- the device ---- */

static int parse_name(struct parser *p)
{
	return read_string(p, p->script->desc.name);
}

static int parse_serial(struct parser *p)
{
	return read_string(p, p->script->desc.serial);
}

static int parse_id(struct parser *p)
{
	static const char *const names[] = { "the bus type", "the vendor", "the product",
					     "the version" };
	struct input_id *id = &p->script->desc.id;
	uint16_t *const where[] = { &id->bustype, &id->vendor, &id->product, &id->version };

	for (int i = 0; i < 4; i++) {
		int64_t number;
		int r = read_number(p, names[i], 0, UINT16_MAX, &number);

		if (r < 0)
			return r;
		*where[i] = (uint16_t)number;
	}
	return 0;
}

static int parse_property(struct parser *p)
{
	do {
		char word[WORD_MAX];
		int64_t number;
		int property, r = read_word(p, "a property", word);

		if (r < 0)
			return r;
		if (parse_number(word, &number))
			property = number >= 0 && number < INPUT_PROP_CNT ? (int)number : -1;
		else
			property = libevdev_property_from_name(word);
		if (property < 0)
			return fail_at(p, p->word, "no property: %s", word);
		p->script->desc.properties[property / 8] |= (uint8_t)(1U << property % 8);
	} while (!at_line_end(p));
	return 0;
}

/* One code, or FIRST..LAST. */
static int parse_codes(struct parser *p, unsigned int type)
{
	unsigned int first, last;
	char word[WORD_MAX], *dots;
	int r = read_word(p, "an event code", word);

	if (r < 0)
		return r;
	dots = strstr(word, "..");
	if (dots)
		*dots = '\0';
	r = find_code(p, type, word, &first);
	last = first;
	if (r == 0 && dots)
		r = find_code(p, type, dots + 2, &last);
	if (r < 0)
		return r;
	if (last < first)
		return fail_at(p, p->word, "the last code is before the first one");
	for (; first <= last; first++)
		desc_set(&p->script->desc, type, first);
	return 0;
}

static int parse_bits(struct parser *p)
{
	unsigned int type;
	int r = read_type(p, &type);

	if (r == 0 && type == EV_ABS)
		return fail_at(p, p->word, "axes have a range: use 'abs CODE MIN MAX'");
	while (r == 0) {
		r = parse_codes(p, type);
		if (at_line_end(p))
			break;
	}
	return r;
}

/* abs CODE MIN MAX [FUZZ [FLAT [RESOLUTION [VALUE]]]] */
static int parse_abs(struct parser *p)
{
	static const char *const names[] = { "the minimum", "the maximum", "the fuzz", "the flat",
					     "the resolution", "the value" };
	int64_t n[6] = { 0 };
	unsigned int code;
	int r = read_code(p, EV_ABS, &code);

	for (int i = 0; i < 6 && r == 0; i++) {
		if (i >= 2 && at_line_end(p))
			break;
		r = read_number(p, names[i], INT32_MIN, INT32_MAX, &n[i]);
		if (r == 0 && i == 1 && n[1] < n[0])
			r = fail_at(p, p->word, "the maximum is below the minimum");
		if (r == 0 && i == 1 && code == ABS_MT_SLOT &&
		    (n[0] != 0 || n[1] >= DESC_SLOTS_MAX))
			r = fail_at(p, p->word, "slots go from 0 to %d at most", DESC_SLOTS_MAX - 1);
	}
	if (r < 0)
		return r;
	desc_set(&p->script->desc, EV_ABS, code);
	p->script->desc.abs[code] = (struct desc_abs){
		.min = (int32_t)n[0],
		.max = (int32_t)n[1],
		.fuzz = (int32_t)n[2],
		.flat = (int32_t)n[3],
		.resolution = (int32_t)n[4],
	};
	p->script->initial[code] = (int32_t)n[5];
	return 0;
}

/* ---- events ---- */

static int add_step(struct parser *p, struct script_step step)
{
	struct script *script = p->script;

	if (script->num_steps == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct script_step *steps = reallocarray(script->steps, room, sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		script->steps = steps;
		p->room = room;
	}
	script->steps[script->num_steps++] = step;
	return 0;
}

/* TYPE CODE VALUE, of something that the device has */
static int read_event(struct parser *p, struct script_step *step)
{
	const char *where;
	unsigned int type, code;
	int64_t value;
	int r = read_type(p, &type);

	if (r == 0)
		r = read_code(p, type, &code);
	if (r < 0)
		return r;
	where = p->word;
	r = read_number(p, "the value", INT32_MIN, INT32_MAX, &value);
	if (r < 0)
		return r;
	if (!desc_has(&p->script->desc, type, code))
		return fail_at(p, where, "the device does not have this: declare it before, with '%s'",
			       type == EV_ABS ? "abs" : "bits");
	step->type = (uint16_t)type;
	step->code = (uint16_t)code;
	step->value = (int32_t)value;
	return 0;
}

/* What waits for its sync has to be kept, so a packet has a bound. @more comes behind @span. */
static int extend(struct parser *p, struct span *span, const struct span *more)
{
	if (span->tail + more->head > SCRIPT_PACKET_MAX)
		return fail_at(p, p->word, "more than %d events without a sync", SCRIPT_PACKET_MAX);
	if (!span->synced)
		span->head += more->head;
	span->tail = more->synced ? more->tail : span->tail + more->tail;
	span->synced |= more->synced;
	return 0;
}

/* The loop that ends here, all of its rounds. */
static int extend_by_loop(struct parser *p, uint64_t rounds)
{
	struct span *once = &p->spans[p->depth + 1], all = *once;

	if (!once->synced) {
		all.head *= rounds;
		all.tail *= rounds;
	} else if (rounds > 1 && extend(p, &all, once) < 0) {
		return -EINVAL;
	}
	return extend(p, &p->spans[p->depth], &all);
}

static bool is_output(unsigned int type)
{
	return type == EV_LED || type == EV_SND || type == EV_REP;
}

static int parse_event(struct parser *p)
{
	struct script_step step = { .op = SCRIPT_EVENT };
	const char *start = p->at;
	int r = read_event(p, &step);

	if (r < 0)
		return r;
	if (is_output(step.type) || step.type == EV_FF) {
		while (*start == ' ' || *start == '\t')
			start++;
		return fail_at(p, start, "only drivers send such events");
	}
	p->packet = true;
	r = extend(p, &p->spans[p->depth], &(struct span){ .head = 1, .tail = 1 });
	return r < 0 ? r : add_step(p, step);
}

static int parse_sync(struct parser *p)
{
	p->packet = false;
	p->spans[p->depth].synced = true;
	p->spans[p->depth].tail = 0;
	return add_step(p, (struct script_step){ .op = SCRIPT_EVENT, .type = EV_SYN,
						 .code = SYN_REPORT });
}

static int parse_expect(struct parser *p)
{
	struct script_step step = { .op = SCRIPT_EXPECT };
	const char *start = p->at;
	int r = read_event(p, &step);

	if (r < 0)
		return r;
	if (!is_output(step.type)) {
		while (*start == ' ' || *start == '\t')
			start++;
		return fail_at(p, start, "drivers send EV_LED, EV_SND and EV_REP only");
	}
	return add_step(p, step);
}

/* A number with us, ms or s. */
static int parse_wait(struct parser *p)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	struct script_step step = { .op = SCRIPT_WAIT };
	char word[WORD_MAX], *unit;
	int r = read_word(p, "a time", word);

	if (r < 0)
		return r;
	errno = 0;
	step.number = strtoull(word, &unit, 10);
	if (errno || unit == word || *word == '-' || *word == '+')
		return fail_at(p, p->word, "not a time: %s", word);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name))
			continue;
		if (step.number > SCRIPT_WAIT_MAX / units[i].us)
			return fail_at(p, p->word, "longer than an hour: %s", word);
		step.number *= units[i].us;
		return add_step(p, step);
	}
	return fail_at(p, p->word, "a time is a number with us, ms or s behind it: %s", word);
}

static int parse_loop(struct parser *p)
{
	struct script_step step = { .op = SCRIPT_LOOP };
	int64_t times;
	int r;

	if (p->depth == SCRIPT_LOOPS)
		return fail_at(p, p->word, "no more than %d loops in loops", SCRIPT_LOOPS);
	r = read_number(p, "the number of rounds", 1, UINT32_MAX, &times);
	if (r < 0)
		return r;
	step.number = (uint64_t)times;
	p->loops[p->depth] = p->script->num_steps;
	p->loop_lines[p->depth++] = p->line;
	p->spans[p->depth] = (struct span){ 0 };
	return add_step(p, step);
}

static int parse_end(struct parser *p)
{
	struct script_step step = { .op = SCRIPT_END };
	int r;

	if (!p->depth)
		return fail_at(p, p->word, "no loop to end");
	step.number = p->loops[--p->depth] + 1;
	r = extend_by_loop(p, p->script->steps[step.number - 1].number);
	return r < 0 ? r : add_step(p, step);
}

/* ---- lines ---- */

static const struct statement {
	const char *name;
	int (*parse)(struct parser *p);
	bool describes;
} statements[] = {
	{ "name", parse_name, true },	      { "serial", parse_serial, true },
	{ "id", parse_id, true },	      { "property", parse_property, true },
	{ "bits", parse_bits, true },	      { "abs", parse_abs, true },
	{ "event", parse_event, false },      { "sync", parse_sync, false },
	{ "wait", parse_wait, false },	      { "expect", parse_expect, false },
	{ "loop", parse_loop, false },	      { "end", parse_end, false },
};

static int parse_statement(struct parser *p)
{
	char word[WORD_MAX];
	int r = read_word(p, "a statement", word);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		const struct statement *s = &statements[i];

		if (strcmp(word, s->name))
			continue;
		if (s->describes && p->script->num_steps)
			return fail_at(p, p->word, "'%s' has to come before all events", word);
		r = s->parse(p);
		if (r == 0 && !at_line_end(p))
			r = fail_at(p, p->at, "nothing more expected on this line");
		return r;
	}
	return fail_at(p, p->word, "no such statement: %s", word);
}

static int parse_lines(struct parser *p)
{
	while (p->at < p->end) {
		if (!at_line_end(p)) {
			int r = parse_statement(p);

			if (r < 0)
				return r;
		}
		if (p->at < p->end) {
			p->at++;
			p->line++;
			p->line_start = p->at;
		}
	}
	if (p->depth) {
		p->line = p->loop_lines[p->depth - 1];
		return fail_at(p, p->line_start, "this loop has no end");
	}
	if (p->packet)
		return fail_at(p, p->at, "the last events have no sync behind them");
	return 0;
}

int script_parse(struct script *script, const char *text, size_t len,
		 struct script_error *ret_error)
{
	struct parser p = {
		.script = script,
		.error = ret_error,
		.at = text,
		.end = text + len,
		.line_start = text,
		.line = 1,
	};
	int r;

	memset(script, 0, sizeof(*script));
	desc_init(&script->desc);
	r = parse_lines(&p);
	if (r < 0)
		script_free(script);
	return r;
}

void script_free(struct script *script)
{
	free(script->steps);
	script->steps = NULL;
	script->num_steps = 0;
}

/* ---- playing ---- */

#define STEPS_AT_ONCE	256

void player_init(struct player *player, const struct script *script)
{
	memset(player, 0, sizeof(*player));
	player->script = script;
}

static int32_t *output(struct player *player, unsigned int type, unsigned int code)
{
	if (code >= desc_codes(type))
		return NULL;
	switch (type) {
	case EV_LED: return &player->led[code];
	case EV_SND: return &player->snd[code];
	case EV_REP: return &player->rep[code];
	default: return NULL;
	}
}

void player_output(struct player *player, unsigned int type, unsigned int code, int32_t value)
{
	int32_t *at = output(player, type, code);

	if (at)
		*at = value;
}

enum player_result player_next(struct player *player, const struct script_step **ret_step)
{
	for (int i = 0; i < STEPS_AT_ONCE; i++) {
		const struct script_step *step;

		if (player->at == player->script->num_steps)
			return PLAYER_DONE;
		step = &player->script->steps[player->at];
		switch (step->op) {
		case SCRIPT_EVENT:
		case SCRIPT_WAIT:
			player->at++;
			*ret_step = step;
			return step->op == SCRIPT_EVENT ? PLAYER_EVENT : PLAYER_WAIT;
		case SCRIPT_EXPECT:
			if (*output(player, step->type, step->code) != step->value)
				return PLAYER_BLOCKED;
			player->at++;
			break;
		case SCRIPT_LOOP:
			player->left[player->depth++] = step->number - 1;
			player->at++;
			break;
		case SCRIPT_END:
			if (player->left[player->depth - 1]) {
				player->left[player->depth - 1]--;
				player->at = (size_t)step->number;
			} else {
				player->depth--;
				player->at++;
			}
			break;
		}
	}
	return PLAYER_BUSY;
}
