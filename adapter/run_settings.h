/* SPDX-License-Identifier: BSD-3-Clause */
/* Between run_conf.c, which knows sections, and run_settings.c, which knows what is in them. */
#ifndef VLOOP_RUN_SETTINGS_H
#define VLOOP_RUN_SETTINGS_H

#include "run_conf.h"

#define RUN_SETTINGS_MAX 64

/*
 * @device: of the section, NULL in [run] and before the first section
 * @seen: settings of this section so far
 */
struct run_parser {
	struct run_lexer lexer;
	struct run_error *error;
	struct run_conf *conf;
	struct run_device_conf *device;
	bool in_section;
	bool run_seen;
	struct run_word seen[RUN_SETTINGS_MAX];
	size_t nseen;
};

/* run_take_setting() - 0, -EINVAL with parser->error filled in, or -ENOMEM */
int run_take_setting(struct run_parser *parser, const struct run_line *line);

/* run_has_placeholder() - is there a ${...} in it? */
bool run_has_placeholder(const char *text);

#endif
