// SPDX-License-Identifier: GPL-2.0-only
/* Who may make what; the module's parameters. */
#include <linux/capability.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "vlb.h"

static char *unprivileged_types = "";
module_param(unprivileged_types, charp, 0444);
MODULE_PARM_DESC(unprivileged_types,
		 "device types that openers without CAP_SYS_ADMIN may create, comma-separated (none)");

static unsigned int max_devices = 1024;
module_param(max_devices, uint, 0644);
MODULE_PARM_DESC(max_devices, "devices at once (1024)");

static unsigned int max_devices_user = 8;
module_param(max_devices_user, uint, 0644);
MODULE_PARM_DESC(max_devices_user, "devices at once for each user without CAP_SYS_ADMIN (8)");

static unsigned int max_pool_mb = 2048;
module_param(max_pool_mb, uint, 0644);
MODULE_PARM_DESC(max_pool_mb, "MiB of one device's pool (2048, which is the most)");

static unsigned int max_pool_mb_user = 64;
module_param(max_pool_mb_user, uint, 0644);
MODULE_PARM_DESC(max_pool_mb_user,
		 "MiB of one device's pool for users without CAP_SYS_ADMIN (64)");

static bool listed(const struct vlb_type *type)
{
	const char *at = unprivileged_types;

	while (*at) {
		size_t len = strcspn(at, ",");

		if (vlb_type_by_name(at, len) == type)
			return true;
		at += len;
		at += *at == ',';
	}
	return false;
}

/**
 * vlb_policy_pool_max - the largest pool that the caller may bring
 *
 * Return: bytes.
 */
u64 vlb_policy_pool_max(void)
{
	unsigned int mb = capable(CAP_SYS_ADMIN) ? READ_ONCE(max_pool_mb) :
						   READ_ONCE(max_pool_mb_user);

	return min_t(u64, (u64)mb * SZ_1M, SZ_2G);
}

/**
 * vlb_policy_devices_max - how many devices there may be
 * @privileged: in all; else: of the caller's user
 *
 * Return: their number.
 */
unsigned int vlb_policy_devices_max(bool privileged)
{
	return privileged ? READ_ONCE(max_devices) : READ_ONCE(max_devices_user);
}

/**
 * vlb_policy_create - may the caller make such a device?
 * @type: its type
 * @args: checked, defaults filled in, out_pool_len set. Drivers may wait for timeout_ms with locks held
 *	that others wait for.
 *
 * Return: 0, -EPROTONOSUPPORT (never), -EPERM (not this caller).
 */
int vlb_policy_create(const struct vlb_type *type, const struct vlb_create *args)
{
	if (type->vclass == VLB_CLASS_REFUSED)
		return -EPROTONOSUPPORT;
	if (!capable(CAP_SYS_ADMIN) && (type->vclass != VLB_CLASS_OPEN || !listed(type) ||
					args->flags & VLB_CREATE_TRUSTED ||
					args->timeout_ms > VLB_TIMEOUT_MS_DEFAULT))
		return -EPERM;
	return args->out_pool_len <= vlb_policy_pool_max() ? 0 : -EPERM;
}
