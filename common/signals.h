/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include <signal.h>

/*
 * Add SIGHUP, by which a program ends with its terminal, to @set; not if it was ignored when the
 * program began, as nohup(1) has it. Who blocks it for a signalfd(2) must ask: a signal that is
 * blocked is not thrown away, though it is ignored.
 */
void vl_add_hangup(sigset_t *set);

#endif
