/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop: vhost-user back-ends as devices of this kernel. Chooses the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "streams.h"
#include "vloop.h"

static const struct subcommand *const subcommands[] = {
	&cmd_attach, &cmd_detach, &cmd_list, &cmd_show, &cmd_stats, &cmd_probe, &cmd_run,
};

#define NSUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void print_help(void)
{
	printf("Usage: vloop SUBCOMMAND [OPTION...] ...\n"
	       "\n"
	       "Make a vhost-user back-end a device of this kernel.\n"
	       "\n");
	for (size_t i = 0; i < NSUBCOMMANDS; i++)
		printf("  %-8s %s\n", subcommands[i]->name, subcommands[i]->summary);
	printf("\n"
	       "  vloop SUBCOMMAND --help    the options of one subcommand\n"
	       "  vloop --version\n"
	       "\n"
	       "Manual: vloop(1)\n");
}

/* Also behind what somebody had typed already. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int print_help_of(const struct subcommand *sub)
{
	fputs(sub->help, stdout);
	return out_finish(EXIT_OK);
}

static int run(const struct subcommand *sub, int argc, char **argv)
{
	char name[32];

	if (asks_for_help(argc, argv))
		return print_help_of(sub);
	/* getopt_long(3) begins its messages with it. */
	snprintf(name, sizeof(name), "vloop %s", sub->name);
	argv[1] = name;
	return sub->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	const char *word;
	bool help;

	/* Inherited as ignored, it would take the exit status of every child. */
	signal(SIGCHLD, SIG_DFL);
	/* Nobody can be told. */
	if (vl_open_streams())
		return EXIT_FAIL;
	msg_setup(false);
	if (argc < 2)
		return usage_error(NULL, "no subcommand given");
	word = argv[1];
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("vloop %s\n", VLOOP_VERSION);
		return out_finish(EXIT_OK);
	}
	help = !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
	if (help && argc == 2) {
		print_help();
		return out_finish(EXIT_OK);
	}
	if (help)
		word = argv[2];
	for (size_t i = 0; i < NSUBCOMMANDS; i++)
		if (!strcmp(word, subcommands[i]->name))
			return help ? print_help_of(subcommands[i])
				    : run(subcommands[i], argc, argv);
	return usage_error(NULL, "no subcommand '%s'", word);
}
