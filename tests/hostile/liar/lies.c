/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "liar.h"

static const struct {
	const char *name;
	const char *help;
} lies[LIE_END] = {
	[LIE_NONE] = {"none", "serve"},
	[LIE_ID_RANGE] = {"id-range", "complete an id just beyond the ring"},
	[LIE_ID_MAX] = {"id-max", "complete id 0xffffffff"},
	[LIE_ID_FREE] = {"id-free", "complete an id that was not offered"},
	[LIE_ID_TWICE] = {"id-twice", "complete an id twice"},
	[LIE_IDX_FAR] = {"idx-far", "move the used index by more than the ring"},
	[LIE_IDX_ONE] = {"idx-one", "move the used index without an element"},
	[LIE_IDX_BACK] = {"idx-back", "move the used index backwards"},
	[LIE_LEN_LONG] = {"len-long", "used.len a page beyond the buffers"},
	[LIE_LEN_MAX] = {"len-max", "used.len 0xffffffff"},
	[LIE_LEN_ZERO] = {"len-zero", "used.len 0"},
	[LIE_USED_FLAGS] = {"used-flags", "random used.flags"},
	[LIE_AVAIL_EVENT] = {"avail-event", "random avail_event"},
	[LIE_STATUS_NONE] = {"status-none", "complete without writing a status"},
	[LIE_SCRIBBLE_TABLES] = {"scribble-tables", "scribble over everything but the used rings"},
	[LIE_SCRIBBLE_ALL] = {"scribble-all", "scribble over everything"},
	[LIE_LATE_WRITE] = {"late-write", "change a request's memory after its completion"},
	[LIE_CALL_STORM] = {"call-storm", "write call descriptors in a loop, in many threads"},
	[LIE_CALL_STALE] = {"call-stale", "the same, after having disconnected"},
	[LIE_POOL_STALE] = {"pool-stale", "scribble over the pool after having disconnected"},
	[LIE_FD_ORDER] = {"fd-order", "close descriptors one by one with requests in flight"},
	[LIE_HANDOFF] = {"handoff", "leave descriptors and pool to a child, and exit"},
	[LIE_HANG] = {"hang", "take no more requests"},
	[LIE_STUCK] = {"stuck", "take no more requests, and answer no more messages"},
	[LIE_CONFIG_FLOOD] = {"config-flood", "send CONFIG_CHANGE without end"},
	[LIE_CHANNEL_GARBAGE] = {"channel-garbage", "send random bytes on the back-end channel"},
	[LIE_UNASKED] = {"unasked", "send a reply to nothing"},
	[LIE_REPLY_NONE] = {"reply-none", "no reply"},
	[LIE_REPLY_TWICE] = {"reply-twice", "reply twice"},
	[LIE_REPLY_CLOSE] = {"reply-close", "close instead of the reply"},
	[LIE_REPLY_VERSION] = {"reply-version", "reply with another version"},
	[LIE_REPLY_FLAGS] = {"reply-flags", "reply with undefined flags"},
	[LIE_REPLY_REQUEST] = {"reply-request", "reply to another request"},
	[LIE_REPLY_SHORT] = {"reply-short", "reply one byte short, and says so"},
	[LIE_REPLY_LONG] = {"reply-long", "reply with bytes too many"},
	[LIE_REPLY_HUGE] = {"reply-huge", "reply of 4 GiB, it says"},
	[LIE_REPLY_HALF] = {"reply-half", "half of a reply"},
	[LIE_REPLY_FDS] = {"reply-fds", "reply with descriptors"},
	[LIE_REPLY_VALUE] = {"reply-value", "reply with the largest value"},
	[LIE_CONFIG_SIZE] = {"config-size", "a config space that is larger than asked for"},
	[LIE_CONFIG_RANDOM] = {"config-random", "random config space (--seed), all features"},
	[LIE_FEATURES_CHANGE] = {"features-change",
				 "disconnect, and have fewer features the next time"},
	[LIE_CAPACITY_ZERO] = {"capacity-zero", "no capacity"},
	[LIE_CAPACITY_MAX] = {"capacity-max", "2^64 - 1 sectors"},
	[LIE_CAPACITY_SHRINK] = {"capacity-shrink", "shrink to one sector while in use"},
	[LIE_QUEUES_ZERO] = {"queues-zero", "no queues"},
	[LIE_QUEUES_MANY] = {"queues-many", "more queues than anybody has"},
};

const char *lie_name(enum lie lie)
{
	return lies[lie].name;
}

enum lie lie_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < LIE_END; i++)
		if (!strcmp(lies[i].name, name))
			break;
	return (enum lie)i;
}

void lie_list(void)
{
	for (unsigned int i = 0; i < LIE_END; i++)
		printf("  %-16s %s\n", lies[i].name, lies[i].help);
}

bool lie_due(const struct liar *liar, enum lie lie)
{
	return liar->lie == lie && liar->served >= liar->after;
}

bool lie_once(struct liar *liar)
{
	return !atomic_exchange(&liar->told, true);
}
