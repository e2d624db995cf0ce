/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "console.h"

int main(int argc, char **argv)
{
	static struct console console;
	struct vloop_args args = { .size = sizeof(args) };
	int r;

	r = vloop_program_parse(&console_program, argc, argv, &args, &console.options);
	if (r > 0)
		return EXIT_SUCCESS;
	if (r < 0 || console_options_check(&console.options) < 0)
		return EXIT_FAILURE;
	r = console_open(&console);
	if (r == 0)
		r = vloop_program_run(&console_program, &args, console.dev);
	console_close(&console);
	return r < 0 || console.error ? EXIT_FAILURE : EXIT_SUCCESS;
}
