// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's KUnit tests, together with the parts that they test. Not loaded beside the module:
 * both have the same trace events.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "fake.h"

kunit_test_suites(&vlb_answers_suite, &vlb_arena_suite, &vlb_config_suite, &vlb_console_suite,
		  &vlb_event_suite, &vlb_kick_suite, &vlb_relay_suite, &vlb_roles_suite,
		  &vlb_types_suite);

MODULE_DESCRIPTION("KUnit tests of virtio-loopback");
MODULE_LICENSE("GPL");
