/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of vloop attach, apart for its tests, and the text of its --help. */
#ifndef VLOOP_ATTACH_OPTIONS_H
#define VLOOP_ATTACH_OPTIONS_H

#include "attach.h"

/*
 * attach_parse() - EXIT_OK, or the exit code of an error that has been printed. The socket's path
 * is absolute for a process in the background; it is valid until the next call.
 */
int attach_parse(int argc, char **argv, struct attach_options *ret_options);

/*
 * For another source of options than the command line. attach_option_kind() says whether there
 * is an option @name (without "--"), and whether it has a value. attach_option() takes it:
 * NULL, or what it wants instead of @value, which has to stay valid as long as @options.
 */
enum attach_option_kind { ATTACH_OPTION_NONE, ATTACH_OPTION_FLAG, ATTACH_OPTION_VALUE };

void attach_defaults(struct attach_options *ret_options);
enum attach_option_kind attach_option_kind(const char *name);
const char *attach_option(struct attach_options *options, const char *name, const char *value);

/* attach_misfit() - an option that is not for options->type, and the type that it is for, or NULL */
const char *attach_misfit(const struct attach_options *options, const char **ret_type);

extern const char attach_help[];

#endif
