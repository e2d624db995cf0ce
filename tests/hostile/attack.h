/* SPDX-License-Identifier: BSD-3-Clause */
/* What the attacks share, and the attacks: 0 if the module stood it. */
#ifndef HOSTILE_ATTACK_H
#define HOSTILE_ATTACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "ctl.h"

#define LONG_MS 60000 /* no step takes so long on a healthy machine */

/* Set when the threads of an attack are to end. */
extern atomic_bool over;

/* Says what failed; 1. */
int failed(const char *what, int error);

/*
 * All below: 0 or -errno.
 *
 * create() - a device with small rings, not registered
 * start_served() - a device that is started with a session
 * start_unserved() - a device that nobody serves: its requests fail
 * bury() - remove a device and wait for its end
 */
int create(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
	   const void *config, uint32_t config_len, uint32_t timeout_ms, uint64_t *ret_pool_len);
int start_served(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
		 const void *config, uint32_t config_len, struct ctl_session *session);
int start_unserved(int fd, uint32_t type, const char *name, uint32_t nqueues, uint64_t features,
		   const void *config, uint32_t config_len, struct vlb_status *ret_status);
int bury(int fd);

/* attack_config.c: by what a device says that it is */
int blk_cache(void);
int config_huge(void);
int config_log(void);
int config_short(void);
int console_resize(void);
int input_silent(void);
int net_announce(void);
int net_announce_cut(void);
int net_hidden(void);

/* attack_rings.c: by what it answers, or does not */
int console_control(void);
int console_ports(void);
int net_control(void);
int net_receive(void);

#endif
