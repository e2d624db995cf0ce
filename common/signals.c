/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "signals.h"

void vl_add_hangup(sigset_t *set)
{
	struct sigaction action;

	if (sigaction(SIGHUP, NULL, &action) < 0 || action.sa_handler == SIG_IGN)
		return;
	sigaddset(set, SIGHUP);
}
