/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program under test, run as it will be.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/types.h>

/*
 * Run the program whose path the environment has in @variable, with up to 14 arguments, the last one
 * followed by NULL. @out: gets what it prints; @in: its standard input; -1: the test's own. It dies
 * with the test.
 */
pid_t child_run(const char *variable, const char *const *args, int out, int in);
/* Return: its exit status, or a signal's number below zero. */
int child_wait(pid_t pid);
/* SIGTERM: it has to end well. */
void child_end(pid_t pid);

#endif
