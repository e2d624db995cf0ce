/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of vloop attach, apart for its tests, and the text of its --help. */
#ifndef VLOOP_ATTACH_OPTIONS_H
#define VLOOP_ATTACH_OPTIONS_H

#include "attach.h"

/* attach_parse() - EXIT_OK, or the exit code of an error that has been printed */
int attach_parse(int argc, char **argv, struct attach_options *ret_options);

extern const char attach_help[];

#endif
