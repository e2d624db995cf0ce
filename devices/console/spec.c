/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

/* The longest line of a file that is not cut off: a name, a path, and the words. */
#define LINE_MAX_LEN	512

static int set_name(struct port_spec *spec, const char *name)
{
	size_t len = strlen(name);

	/* It becomes a file name, /dev/virtio-ports/NAME. */
	if (len == 0 || len > MESSAGE_NAME || name[0] == '.')
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return -EINVAL;
	memcpy(spec->name, name, len + 1);
	return 0;
}

static int set_path(struct port_spec *spec, const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(spec->path) || spec->path[0])
		return -EINVAL;
	memcpy(spec->path, path, len + 1);
	return 0;
}

static const char *parse_word(struct port_spec *spec, const char *word, bool *linked)
{
	enum end_kind kind = END_NONE;

	if (!strncmp(word, "name=", 5))
		return set_name(spec, word + 5) ?
			       "name= takes 1 to 64 printable characters without space and '/', "
			       "and not '.' first" :
			       NULL;
	if (!strcmp(word, "console")) {
		spec->console = true;
		return NULL;
	}
	if (!strncmp(word, "link=", 5)) {
		*linked = true;
		return set_path(spec, word + 5) ? "link= takes a path of at most 107 bytes" : NULL;
	}
	if (!strcmp(word, "pty"))
		kind = END_PTY;
	else if (!strcmp(word, "stdio"))
		kind = END_STDIO;
	else if (!strncmp(word, "unix=", 5))
		kind = END_UNIX;
	else
		return "a port has name=NAME, one of pty, unix=PATH and stdio, link=PATH, console";
	if (spec->kind != END_NONE)
		return "a port has one of pty, unix=PATH and stdio, not two";
	spec->kind = kind;
	if (kind == END_UNIX && set_path(spec, word + 5))
		return "unix= takes a path of at most 107 bytes";
	return NULL;
}

int spec_parse(const char *text, struct port_spec *ret, const char **ret_problem)
{
	char copy[LINE_MAX_LEN], *word, *state = NULL;
	const char *problem = NULL;
	bool linked = false;

	memset(ret, 0, sizeof(*ret));
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy)) {
		*ret_problem = "too long";
		return -EINVAL;
	}
	for (word = strtok_r(copy, ",", &state); word && !problem;
	     word = strtok_r(NULL, ",", &state))
		problem = parse_word(ret, word, &linked);
	if (!problem && !ret->name[0])
		problem = "name= is missing";
	if (!problem && ret->kind == END_NONE)
		problem = "one of pty, unix=PATH and stdio is missing";
	if (!problem && linked && ret->kind != END_PTY)
		problem = "link= is for pty";
	*ret_problem = problem;
	return problem ? -EINVAL : 0;
}

int spec_check(const struct port_spec *specs, unsigned int n, const char **ret_problem)
{
	unsigned int stdio = 0;

	for (unsigned int i = 0; i < n; i++) {
		stdio += specs[i].kind == END_STDIO;
		for (unsigned int j = 0; j < i; j++) {
			if (!strcmp(specs[i].name, specs[j].name)) {
				*ret_problem = "two ports have the same name";
				return -EINVAL;
			}
			if (specs[i].path[0] && !strcmp(specs[i].path, specs[j].path)) {
				*ret_problem = "two ports have the same path";
				return -EINVAL;
			}
		}
	}
	if (stdio > 1) {
		*ret_problem = "one port at most can have the standard input and output";
		return -EINVAL;
	}
	return 0;
}

int spec_read_file(const char *path, struct port_spec *specs, unsigned int max, unsigned int *ret_n,
		   unsigned int *ret_line, const char **ret_problem)
{
	char line[LINE_MAX_LEN];
	unsigned int n = 0;
	FILE *file;
	int r = 0;

	*ret_line = 0;
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		*ret_problem = strerror(-r);
		return r;
	}
	while (r == 0 && fgets(line, sizeof(line), file)) {
		char *begin = line + strspn(line, " \t");
		size_t len = strlen(begin);

		++*ret_line;
		if (len && begin[len - 1] != '\n' && !feof(file)) {
			*ret_problem = "too long";
			r = -EINVAL;
			break;
		}
		while (len && strchr(" \t\r\n", begin[len - 1]))
			begin[--len] = 0;
		if (!len || begin[0] == '#')
			continue;
		if (n == max) {
			*ret_problem = "more ports than the device has room for (--max-ports)";
			r = -EINVAL;
		} else {
			r = spec_parse(begin, &specs[n++], ret_problem);
		}
	}
	if (r == 0 && ferror(file)) {
		r = -errno;
		*ret_line = 0;
		*ret_problem = strerror(-r);
	}
	fclose(file);
	*ret_n = n;
	return r;
}
