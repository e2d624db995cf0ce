// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading. */
#if !defined(CONFIG_64BIT)
#error "virtio-loopback reads the driver's buffers through the direct map: 64-bit only"
#endif

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <xen/xen.h>

#include "vlb.h"

static int __init vlb_init(void)
{
	int err;

	/* There, drivers put DMA addresses into their rings, which cannot be read back. */
	if (xen_domain())
		return -ENODEV;
	err = vlb_devices_init();
	if (err)
		return err;
	err = misc_register(&vlb_control);
	if (err)
		vlb_devices_exit();
	return err;
}

static void __exit vlb_exit(void)
{
	misc_deregister(&vlb_control);
	vlb_devices_exit();
}

module_init(vlb_init);
module_exit(vlb_exit);

MODULE_DESCRIPTION("virtio devices that are user-space processes");
MODULE_AUTHOR("The virtio-loopback maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
