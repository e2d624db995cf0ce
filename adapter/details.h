/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device says of itself beyond its config space, in words: as its back-end has it, and as
 * the kernel got it. Rows: struct type_detail.
 */
#ifndef VLOOP_DETAILS_H
#define VLOOP_DETAILS_H

#include <json-c/json.h>
#include <stddef.h>

#include "backend.h"
#include "types.h"

/*
 * details_ask() - ask a back-end of @type, which has a config space and details, and add an object
 * "details"
 *
 * What the device does not have is null. 0, or an error of backend_set_config().
 */
int details_ask(struct json_object *object, struct backend *backend, const struct vloop_type *type);

/* details_look_up() - the same from sysfs; adds nothing when there is no driver */
void details_look_up(struct json_object *object, const struct vloop_type *type, const char *virtio);

/* details_title() - the first of them. 0, or -ENOENT: the type has none, or there is no driver. */
int details_title(const struct vloop_type *type, const char *virtio, char *ret_title, size_t size);

#endif
