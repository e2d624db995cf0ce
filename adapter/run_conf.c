/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "attach_options.h"
#include "run_settings.h"

static struct run_at setting_at(const struct run_parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->nseen; i++)
		if (!strcmp(parser->seen[i].text, name))
			return parser->seen[i].at;
	return parser->device->at;
}

static int need_command(struct run_parser *parser)
{
	static const char *const of_commands[] = {"user", "group", "working-directory",
						  "environment"};
	const struct run_device_conf *device = parser->device;

	if (device->command.n)
		return 0;
	if (!device->socket.text)
		return run_complain(parser->error, device->at,
				    "device '%s' has neither 'command', the back-end to start, nor "
				    "'socket', where one listens",
				    device->name);
	for (size_t i = 0; i < parser->nseen; i++)
		for (size_t j = 0; j < sizeof(of_commands) / sizeof(of_commands[0]); j++)
			if (!strcmp(parser->seen[i].text, of_commands[j]))
				return run_complain(parser->error, parser->seen[i].at,
						    "'%s' is for a 'command', which device '%s' "
						    "does not have",
						    of_commands[j], device->name);
	return 0;
}

/* What can only be said once the whole section is known. */
static int finish_section(struct run_parser *parser)
{
	struct run_device_conf *device = parser->device;
	const char *option, *type;
	int ret = 0;

	if (device) {
		option = device->attach.type ? attach_misfit(&device->attach, &type) : NULL;
		if (!device->attach.type)
			ret = run_complain(parser->error, device->at, "device '%s' has no 'type'",
					   device->name);
		else if (option)
			ret = run_complain(parser->error, setting_at(parser, option),
					   "'%s' is for %s devices", option, type);
		else if (device->restart.delay_max_ms < device->restart.delay_ms)
			ret = run_complain(parser->error, setting_at(parser, "restart-delay-max"),
					   "'restart-delay-max' is less than 'restart-delay'");
		else
			ret = need_command(parser);
	}
	for (size_t i = 0; i < parser->nseen; i++)
		free(parser->seen[i].text);
	parser->nseen = 0;
	return ret;
}

static int add_device(struct run_parser *parser, const struct run_line *line)
{
	const struct run_word *name = &line->words.list[1];
	struct run_conf *conf = parser->conf;
	struct run_device_conf *device;
	const char *what;

	if (conf->n == RUN_DEVICES_MAX)
		return run_complain(parser->error, line->key.at, "more than %d devices",
				    RUN_DEVICES_MAX);
	for (size_t i = 0; i < conf->n; i++)
		if (!strcmp(conf->devices[i].name, name->text))
			return run_complain(parser->error, name->at,
					    "there is a device '%s' already, in line %u",
					    name->text, conf->devices[i].at.line);
	device = realloc(conf->devices, (conf->n + 1) * sizeof(*device));
	if (!device)
		return -ENOMEM;
	conf->devices = device;
	device += conf->n;
	*device = (struct run_device_conf){
		.at = line->key.at,
		.name = strdup(name->text),
		.restart = {.delay_ms = 100, .delay_max_ms = 10000, .limit = 10},
		.stop_timeout_ms = 30000,
	};
	if (!device->name)
		return -ENOMEM;
	conf->n++;
	parser->device = device;
	attach_defaults(&device->attach);
	device->attach.wait_socket_ms = 30000;
	what = attach_option(&device->attach, "name", device->name);
	if (what)
		return run_complain(parser->error, name->at,
				    "the name of a device: expected %s, not '%.60s'", what,
				    name->text);
	return 0;
}

static int take_section(struct run_parser *parser, const struct run_line *line)
{
	const struct run_words *words = &line->words;
	int ret = finish_section(parser);

	if (ret)
		return ret;
	parser->in_section = true;
	if (words->n == 1 && !strcmp(words->list[0].text, "run")) {
		if (parser->run_seen || parser->conf->n)
			return run_complain(parser->error, line->key.at,
					    "[run] has to come once, before the devices");
		parser->run_seen = true;
		return 0;
	}
	if (!words->n || strcmp(words->list[0].text, "device") != 0)
		return run_complain(parser->error, words->n ? words->list[0].at : words->end,
				    "expected 'run' or 'device NAME' between [ and ]");
	if (words->n == 1)
		return run_complain(parser->error, words->end, "expected a name after 'device'");
	if (words->n > 2)
		return run_complain(parser->error, words->list[2].at,
				    "expected ']' after the name of the device");
	return add_device(parser, line);
}

/* --- what follows from the whole */

/* One of the texts in which ${...} can be, as it is meant. */
static int expand(const struct run_device_conf *device, char **text)
{
	const char *const values[] = {
		[RUN_SOCKET] = device->socket.text,
		[RUN_NAME] = device->name,
		[RUN_DIRECTORY] = device->directory,
	};
	char *expanded;
	size_t size;
	FILE *stream;

	if (!run_has_placeholder(*text))
		return 0;
	stream = open_memstream(&expanded, &size);
	if (!stream)
		return -ENOMEM;
	for (const char *p = *text; *p; p++)
		if ((unsigned char)*p < sizeof(values) / sizeof(values[0]))
			fputs(values[(unsigned char)*p], stream);
		else
			fputc(*p, stream);
	if (fclose(stream))
		return -ENOMEM;
	free(*text);
	*text = expanded;
	return 0;
}

static int finish_device(struct run_parser *parser, struct run_device_conf *device)
{
	int ret = 0;

	if (asprintf(&device->directory, "%s/%s", parser->conf->directory, device->name) < 0) {
		device->directory = NULL;
		return -ENOMEM;
	}
	if (!device->socket.text) {
		device->socket.at = device->at;
		if (asprintf(&device->socket.text, "%s/socket", device->directory) < 0) {
			device->socket.text = NULL;
			return -ENOMEM;
		}
	}
	if (strlen(device->socket.text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return run_complain(parser->error, device->socket.at,
				    "device '%s': the path of its socket is longer than %zu bytes; "
				    "choose a shorter directory",
				    device->name, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	device->attach.socket = device->socket.text;
	for (size_t i = 0; i < device->command.n && !ret; i++)
		ret = expand(device, &device->command.list[i]);
	for (size_t i = 0; i < device->environment.n && !ret; i++)
		ret = expand(device, &device->environment.list[i]);
	return ret;
}

static int parse(struct run_parser *parser, const char *default_directory)
{
	struct run_conf *conf = parser->conf;
	struct run_line line;
	int ret;

	do {
		ret = run_lex(&parser->lexer, &line);
		if (!ret && line.kind == RUN_LINE_SECTION)
			ret = take_section(parser, &line);
		else if (!ret && line.kind == RUN_LINE_SETTING)
			ret = run_take_setting(parser, &line);
		else if (!ret)
			break;
		run_line_free(&line);
	} while (!ret);
	if (!ret)
		ret = finish_section(parser);
	if (!ret && !conf->n)
		ret = run_complain(parser->error, parser->lexer.at,
				   "expected at least one section [device NAME]");
	if (!ret && !conf->directory) {
		conf->directory = strdup(default_directory);
		ret = conf->directory ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < conf->n && !ret; i++)
		ret = finish_device(parser, &conf->devices[i]);
	return ret;
}

int run_conf_parse(const char *text, size_t len, const char *directory,
		   const char *default_directory, struct run_conf *ret_conf,
		   struct run_error *ret_error)
{
	struct run_parser parser = {.error = ret_error, .conf = ret_conf};
	int ret;

	*ret_conf = (struct run_conf){0};
	*ret_error = (struct run_error){0};
	run_lexer_init(&parser.lexer, text, len, ret_error);
	if (directory) {
		ret_conf->directory = strdup(directory);
		if (!ret_conf->directory)
			return -ENOMEM;
	}
	ret = parse(&parser, default_directory);
	for (size_t i = 0; i < parser.nseen; i++)
		free(parser.seen[i].text);
	return ret;
}

static void list_free(struct run_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->list[i]);
	free(list->list);
}

void run_conf_free(struct run_conf *conf)
{
	for (size_t i = 0; i < conf->n; i++) {
		struct run_device_conf *device = &conf->devices[i];

		list_free(&device->args);
		list_free(&device->command);
		list_free(&device->environment);
		free(device->user.text);
		free(device->group.text);
		free(device->working_directory.text);
		free(device->socket.text);
		free(device->directory);
		free(device->name);
	}
	free(conf->devices);
	free(conf->directory);
	*conf = (struct run_conf){0};
}
