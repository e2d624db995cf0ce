// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading; the machine's sleep and end. */
#if !defined(CONFIG_64BIT)
#error "virtio-loopback reads the driver's buffers through the direct map: 64-bit only"
#endif

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <xen/xen.h>

#include "vlb.h"

/* What a machine that ends gives its drivers to end, before all devices are broken. */
#define SHUTDOWN_SECONDS	60

static int sleep_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	switch (action) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		return notifier_from_errno(vlb_devices_sleep());
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		vlb_devices_wake();
	}
	return NOTIFY_DONE;
}

static struct notifier_block sleep_block = { .notifier_call = sleep_notify };

static void give_up_fn(struct work_struct *work)
{
	vlb_devices_give_up();
}

static DECLARE_DELAYED_WORK(give_up_work, give_up_fn);

/* Drivers end what they have begun before the machine does, while back-ends may be there or not. */
static int shutdown_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	queue_delayed_work(vlb_wq, &give_up_work, SHUTDOWN_SECONDS * HZ);
	return NOTIFY_DONE;
}

static struct notifier_block shutdown_block = { .notifier_call = shutdown_notify };

static int __init vlb_init(void)
{
	int err;

	/* There, drivers put DMA addresses into their rings, which cannot be read back. */
	if (xen_domain())
		return -ENODEV;
	err = vlb_devices_init();
	if (err)
		return err;
	err = register_pm_notifier(&sleep_block);
	if (err)
		goto exit;
	err = register_reboot_notifier(&shutdown_block);
	if (err)
		goto unregister_sleep;
	err = misc_register(&vlb_control);
	if (err)
		goto unregister_shutdown;
	return 0;

unregister_shutdown:
	unregister_reboot_notifier(&shutdown_block);
unregister_sleep:
	unregister_pm_notifier(&sleep_block);
exit:
	vlb_devices_exit();
	return err;
}

static void __exit vlb_exit(void)
{
	misc_deregister(&vlb_control);
	unregister_reboot_notifier(&shutdown_block);
	unregister_pm_notifier(&sleep_block);
	cancel_delayed_work_sync(&give_up_work);
	vlb_devices_exit();
}

module_init(vlb_init);
module_exit(vlb_exit);

MODULE_DESCRIPTION("virtio devices that are user-space processes");
MODULE_AUTHOR("The virtio-loopback maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
