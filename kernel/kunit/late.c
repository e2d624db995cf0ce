// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module for tests: makes hvc late where its threads meet. hvc_remove() begins when khvcd has had the time
 * to ask for input of a console that its driver has forgotten, and khvcd hangs that terminal up when
 * everybody else is gone; see terminal.c. Otherwise it takes a thread that is preempted in that moment.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

#define REMOVE_LATE_MS	100
#define HANGUP_LATE_MS	500

static atomic_t hangups;

static int hangups_get(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&hangups));
}

static const struct kernel_param_ops hangups_ops = { .get = hangups_get };
module_param_cb(hangups, &hangups_ops, NULL, 0444);
MODULE_PARM_DESC(hangups, "terminals that khvcd has hung up");

static int late_remove(struct kprobe *probe, struct pt_regs *regs)
{
	mdelay(REMOVE_LATE_MS);
	return 0;
}

static int late_hangup(struct kprobe *probe, struct pt_regs *regs)
{
	if (!strcmp(current->comm, "khvcd")) {
		atomic_inc(&hangups);
		mdelay(HANGUP_LATE_MS);
	}
	return 0;
}

static struct kprobe remove_probe = { .symbol_name = "hvc_remove", .pre_handler = late_remove };
static struct kprobe hangup_probe = { .symbol_name = "tty_hangup", .pre_handler = late_hangup };
static struct kprobe *probes[] = { &remove_probe, &hangup_probe };

static int __init late_init(void)
{
	return register_kprobes(probes, ARRAY_SIZE(probes));
}

static void __exit late_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}

module_init(late_init);
module_exit(late_exit);

MODULE_DESCRIPTION("Makes hvc late, for tests of virtio-loopback");
MODULE_LICENSE("GPL");
