/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach_options.h"
#include "parse.h"
#include "run_settings.h"

static int list_add(struct run_list *list, char *text)
{
	char **grown;

	if (!text)
		return -ENOMEM;
	grown = realloc(list->list, (list->n + 2) * sizeof(*grown));
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	list->list = grown;
	grown[list->n++] = text;
	grown[list->n] = NULL;
	return 0;
}

/* --- values */

static int wants(struct run_parser *parser, const struct run_line *line, const char *what)
{
	const struct run_words *words = &line->words;

	if (!words->n)
		return run_complain(parser->error, words->end, "expected %s after '%s ='", what,
				    line->key.text);
	return run_complain(parser->error, words->list[0].at, "%s: expected %s, not '%.60s'",
			    line->key.text, what, words->list[0].text);
}

bool run_has_placeholder(const char *text)
{
	static const char all[] = {RUN_SOCKET, RUN_NAME, RUN_DIRECTORY, 0};

	return strpbrk(text, all) != NULL;
}

/* The only word of a setting, in which nothing can be put. */
static int one_word(struct run_parser *parser, const struct run_line *line, const char *what,
		    const char **ret_text)
{
	const struct run_words *words = &line->words;

	*ret_text = "";
	if (!words->n)
		return wants(parser, line, what);
	if (words->n > 1)
		return run_complain(parser->error, words->list[1].at,
				    "expected the end of the line: '%s' has one value",
				    line->key.text);
	if (run_has_placeholder(words->list[0].text))
		return run_complain(parser->error, words->list[0].at,
				    "%s: expected %s without ${...}", line->key.text, what);
	*ret_text = words->list[0].text;
	return 0;
}

static int take_text(struct run_parser *parser, const struct run_line *line, const char *what,
		     struct run_text *ret_text)
{
	const char *text;
	int ret = one_word(parser, line, what, &text);

	if (ret)
		return ret;
	if (!*text)
		return wants(parser, line, what);
	ret_text->at = line->words.list[0].at;
	ret_text->text = strdup(text);
	return ret_text->text ? 0 : -ENOMEM;
}

static int take_path(struct run_parser *parser, const struct run_line *line,
		     struct run_text *ret_path)
{
	int ret = take_text(parser, line, "an absolute path", ret_path);

	if (!ret && ret_path->text[0] != '/')
		return wants(parser, line, "an absolute path");
	return ret;
}

static int take_duration(struct run_parser *parser, const struct run_line *line, uint32_t *ret_ms)
{
	static const char what[] = "a time such as 500ms, 10s or 2min";
	static const struct {
		const char *suffix;
		uint32_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"", 1000}};
	const char *text, *suffix;
	char number[24];
	uint64_t value;
	size_t len;
	int ret = one_word(parser, line, what, &text);

	if (ret)
		return ret;
	len = strspn(text, "0123456789");
	suffix = text + len;
	if (!len || len >= sizeof(number))
		return wants(parser, line, what);
	memcpy(number, text, len);
	number[len] = 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(suffix, units[i].suffix) != 0)
			continue;
		if (vl_parse_u64(number, 0, 86400000 / units[i].ms, &value))
			return wants(parser, line, "a time of up to 24 hours");
		*ret_ms = (uint32_t)value * units[i].ms;
		return 0;
	}
	return wants(parser, line, what);
}

/* --- settings */

static int set_type(struct run_parser *parser, const struct run_line *line)
{
	static const char what[] = "a device type (vloop-attach(1) has the list)";
	const char *text;
	int ret = one_word(parser, line, what, &text);

	if (ret)
		return ret;
	parser->device->attach.type = type_by_name(text);
	if (!parser->device->attach.type)
		return wants(parser, line, what);
	if (parser->device->attach.type->refused)
		return run_complain(parser->error, line->words.list[0].at,
				    "%s devices cannot be attached: %s", text,
				    parser->device->attach.type->refused);
	return 0;
}

static int set_socket(struct run_parser *parser, const struct run_line *line)
{
	return take_path(parser, line, &parser->device->socket);
}

static int add_words(struct run_list *list, const struct run_words *words)
{
	int ret = 0;

	for (size_t i = 0; i < words->n && !ret; i++)
		ret = list_add(list, strdup(words->list[i].text));
	return ret;
}

static int set_command(struct run_parser *parser, const struct run_line *line)
{
	if (!line->words.n || !*line->words.list[0].text)
		return wants(parser, line, "a program and its arguments");
	parser->device->command_at = line->words.list[0].at;
	return add_words(&parser->device->command, &line->words);
}

static int set_environment(struct run_parser *parser, const struct run_line *line)
{
	if (!line->words.n)
		return wants(parser, line, "NAME=VALUE");
	for (size_t i = 0; i < line->words.n; i++) {
		const struct run_word *word = &line->words.list[i];
		size_t len = strcspn(word->text, "=");

		if (!len || !word->text[len])
			return run_complain(parser->error, word->at,
					    "environment: expected NAME=VALUE, not '%.60s'",
					    word->text);
	}
	return add_words(&parser->device->environment, &line->words);
}

static int set_user(struct run_parser *parser, const struct run_line *line)
{
	return take_text(parser, line, "a user", &parser->device->user);
}

static int set_group(struct run_parser *parser, const struct run_line *line)
{
	return take_text(parser, line, "a group", &parser->device->group);
}

static int set_working_directory(struct run_parser *parser, const struct run_line *line)
{
	return take_path(parser, line, &parser->device->working_directory);
}

static int set_restart(struct run_parser *parser, const struct run_line *line)
{
	static const char what[] = "always, on-failure or never";
	const char *text;
	int ret = one_word(parser, line, what, &text);

	if (ret)
		return ret;
	if (!strcmp(text, "always"))
		parser->device->restart.when = RUN_RESTART_ALWAYS;
	else if (!strcmp(text, "on-failure"))
		parser->device->restart.when = RUN_RESTART_ON_FAILURE;
	else if (!strcmp(text, "never"))
		parser->device->restart.when = RUN_RESTART_NEVER;
	else
		return wants(parser, line, what);
	return 0;
}

static int set_restart_delay(struct run_parser *parser, const struct run_line *line)
{
	uint32_t *ms = &parser->device->restart.delay_ms;
	int ret = take_duration(parser, line, ms);

	/* Without any delay, a back-end that always fails would keep a processor busy. */
	return !ret && *ms < 10 ? wants(parser, line, "at least 10ms") : ret;
}

static int set_restart_delay_max(struct run_parser *parser, const struct run_line *line)
{
	return take_duration(parser, line, &parser->device->restart.delay_max_ms);
}

static int set_restart_limit(struct run_parser *parser, const struct run_line *line)
{
	static const char what[] = "a number up to 1000000, or none";
	const char *text;
	uint64_t value;
	int ret = one_word(parser, line, what, &text);

	if (ret)
		return ret;
	if (!strcmp(text, "none"))
		value = RUN_NO_LIMIT;
	else if (vl_parse_u64(text, 0, 1000000, &value))
		return wants(parser, line, what);
	parser->device->restart.limit = (uint32_t)value;
	return 0;
}

static int set_stop_timeout(struct run_parser *parser, const struct run_line *line)
{
	return take_duration(parser, line, &parser->device->stop_timeout_ms);
}

static int set_directory(struct run_parser *parser, const struct run_line *line)
{
	struct run_text directory = {0};
	int ret = take_path(parser, line, &directory);

	if (ret || parser->conf->directory)
		free(directory.text);
	else
		parser->conf->directory = directory.text;
	return ret;
}

/* @again: may be given again */
struct setting {
	const char *name;
	int (*set)(struct run_parser *parser, const struct run_line *line);
	bool again;
};

static const struct setting run_settings[] = {
	{"directory", set_directory, false},
	{0},
};

static const struct setting device_settings[] = {
	{"type", set_type, false},
	{"socket", set_socket, false},
	{"command", set_command, false},
	{"environment", set_environment, true},
	{"user", set_user, false},
	{"group", set_group, false},
	{"working-directory", set_working_directory, false},
	{"restart", set_restart, false},
	{"restart-delay", set_restart_delay, false},
	{"restart-delay-max", set_restart_delay_max, false},
	{"restart-limit", set_restart_limit, false},
	{"stop-timeout", set_stop_timeout, false},
	{0},
};

static const struct setting *find_setting(const struct setting *list, const char *name)
{
	while (list->name && strcmp(list->name, name) != 0)
		list++;
	return list->name ? list : NULL;
}

/* Those of vloop attach that are about its own process are not for here. */
static enum attach_option_kind option_kind(const char *name)
{
	static const char *const own[] = {"name", "fd", "background", "json"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(name, own[i]))
			return ATTACH_OPTION_NONE;
	return attach_option_kind(name);
}

static int set_flag(struct run_parser *parser, const struct run_line *line)
{
	struct run_device_conf *device = parser->device;
	const char *text;
	char *arg;
	int ret = one_word(parser, line, "yes or no", &text);

	if (ret)
		return ret;
	if (!strcmp(text, "no"))
		return 0;
	if (strcmp(text, "yes") != 0)
		return wants(parser, line, "yes or no");
	attach_option(&device->attach, line->key.text, NULL);
	if (asprintf(&arg, "--%s", line->key.text) < 0)
		return -ENOMEM;
	return list_add(&device->args, arg);
}

static int set_option(struct run_parser *parser, const struct run_line *line)
{
	struct run_device_conf *device = parser->device;
	const char *text, *what;
	char *arg;
	int ret = one_word(parser, line, "a value", &text);

	if (ret)
		return ret;
	if (asprintf(&arg, "--%s=%s", line->key.text, text) < 0)
		return -ENOMEM;
	ret = list_add(&device->args, arg);
	if (ret)
		return ret;
	what = attach_option(&device->attach, line->key.text, strchr(arg, '=') + 1);
	return what ? wants(parser, line, what) : 0;
}

static int not_twice(struct run_parser *parser, const struct run_line *line, bool again)
{
	struct run_word *seen = parser->seen;
	size_t i;

	for (i = 0; i < parser->nseen && strcmp(seen[i].text, line->key.text) != 0; i++)
		;
	if (i < parser->nseen)
		return again ? 0
			     : run_complain(parser->error, line->key.at,
					    "'%s' was given already, in line %u", line->key.text,
					    seen[i].at.line);
	/* There are not as many names of settings. */
	if (i == RUN_SETTINGS_MAX)
		return -ENOMEM;
	seen[i].at = line->key.at;
	seen[i].text = strdup(line->key.text);
	if (!seen[i].text)
		return -ENOMEM;
	parser->nseen++;
	return 0;
}

int run_take_setting(struct run_parser *parser, const struct run_line *line)
{
	const struct setting *list = parser->device ? device_settings : run_settings;
	const struct setting *setting = find_setting(list, line->key.text);
	enum attach_option_kind kind =
		parser->device ? option_kind(line->key.text) : ATTACH_OPTION_NONE;
	int ret;

	if (!parser->in_section)
		return run_complain(parser->error, line->key.at,
				    "expected a section such as [device NAME] before the first "
				    "setting");
	if (!setting && kind == ATTACH_OPTION_NONE)
		return run_complain(parser->error, line->key.at,
				    "'%.40s' is no setting of %s (vloop.conf(5) has the list)",
				    line->key.text, parser->device ? "a device" : "[run]");
	ret = not_twice(parser, line, setting && setting->again);
	if (ret)
		return ret;
	if (setting)
		return setting->set(parser, line);
	return kind == ATTACH_OPTION_FLAG ? set_flag(parser, line) : set_option(parser, line);
}
