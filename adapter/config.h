/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Config spaces: in words for people, made up for the types whose back-ends leave them to
 * the front-end, and adjusted to what was chosen at attach.
 */
#ifndef VLOOP_CONFIG_H
#define VLOOP_CONFIG_H

#include <json-c/json.h>
#include <stdint.h>

#include "types.h"

#define CONFIG_MAX 1024 /* as VLB_CONFIG_MAX; the wire allows no more than 4096 */

struct config_space {
	uint32_t len;
	uint8_t bytes[CONFIG_MAX];
};

/*
 * What the user said about a config space that the back-end does not have (net, fs).
 * @has_mac: else the driver picks a random address
 */
struct config_wishes {
	bool has_mac;
	uint8_t mac[6];
	const char *tag;
};

/* config_get(), config_put() - a little-endian number of 1, 2, 4 or 8 bytes; 0 beyond the end */
uint64_t config_get(const struct config_space *config, unsigned int offset, unsigned int size);
void config_put(struct config_space *config, unsigned int offset, unsigned int size,
		uint64_t value);

/*
 * config_describe() - a new object with a member for each field of @type that lies within
 * the config space and whose feature is among @features
 */
struct json_object *config_describe(const struct vloop_type *type, uint64_t features,
				    const struct config_space *config);

/*
 * config_make_up() - the config space of a @type whose back-end has none. 0, or -ENODATA
 * when this type cannot go without one, or without a wish that is missing.
 */
int config_make_up(const struct vloop_type *type, const struct config_wishes *wishes,
		   struct config_space *ret_config);

/*
 * config_request_queues() - how many request queues (pairs for net) the back-end says it
 * has; 1 without the feature or the field
 */
uint64_t config_request_queues(const struct vloop_type *type, uint64_t features,
			       const struct config_space *config);

/*
 * config_queues() - how many queues such a device has in all (not for net, whose control
 * queue depends on more than the config space)
 */
uint64_t config_queues(const struct vloop_type *type, uint64_t features,
		       const struct config_space *config);

/*
 * config_set_queues() - show the driver no more queues than the device was created with:
 * it believes this field, and would ask for queues that are not there
 */
void config_set_queues(const struct vloop_type *type, uint32_t nqueues,
		       struct config_space *config);

#endif
