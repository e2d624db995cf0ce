/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_loopback

#if !defined(VLB_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VLB_TRACE_H

#include <linux/tracepoint.h>

#include "vlb.h"

TRACE_EVENT(vlb_state,
	TP_PROTO(const struct vlb_device *vlb),
	TP_ARGS(vlb),
	TP_STRUCT__entry(
		__array(char, name, VLB_NAME_MAX)
		__field(u32, state)
		__field(u32, epoch)
		__field(u32, broken)
	),
	TP_fast_assign(
		memcpy(__entry->name, vlb->name, VLB_NAME_MAX);
		__entry->state = vlb->state;
		__entry->epoch = vlb->epoch;
		__entry->broken = vlb->broken;
	),
	TP_printk("%s: %s epoch=%u broken=%u", __entry->name,
		  __print_symbolic(__entry->state,
				   { VLB_STATE_CREATED, "created" },
				   { VLB_STATE_WAITING, "waiting" },
				   { VLB_STATE_RUNNING, "running" },
				   { VLB_STATE_FAILING, "failing" },
				   { VLB_STATE_BROKEN, "broken" },
				   { VLB_STATE_REMOVING, "removing" },
				   { VLB_STATE_REMOVED, "removed" }),
		  __entry->epoch, __entry->broken)
);

TRACE_EVENT(vlb_submit,
	TP_PROTO(const struct vlb_queue *q, u16 id, u16 first, u32 out_len, u32 in_len),
	TP_ARGS(q, id, first, out_len, in_len),
	TP_STRUCT__entry(
		__array(char, name, VLB_NAME_MAX)
		__field(u32, queue)
		__field(u16, id)
		__field(u16, first)
		__field(u32, out_len)
		__field(u32, in_len)
	),
	TP_fast_assign(
		memcpy(__entry->name, q->vlb->name, VLB_NAME_MAX);
		__entry->queue = q->index;
		__entry->id = id;
		__entry->first = first;
		__entry->out_len = out_len;
		__entry->in_len = in_len;
	),
	TP_printk("%s: queue=%u id=%u first=%u out=%u in=%u", __entry->name, __entry->queue,
		  __entry->id, __entry->first, __entry->out_len, __entry->in_len)
);

TRACE_EVENT(vlb_complete,
	TP_PROTO(const struct vlb_queue *q, u16 id, u16 first, u32 len),
	TP_ARGS(q, id, first, len),
	TP_STRUCT__entry(
		__array(char, name, VLB_NAME_MAX)
		__field(u32, queue)
		__field(u16, id)
		__field(u16, first)
		__field(u32, len)
	),
	TP_fast_assign(
		memcpy(__entry->name, q->vlb->name, VLB_NAME_MAX);
		__entry->queue = q->index;
		__entry->id = id;
		__entry->first = first;
		__entry->len = len;
	),
	TP_printk("%s: queue=%u id=%u first=%u len=%u", __entry->name, __entry->queue,
		  __entry->id, __entry->first, __entry->len)
);

TRACE_EVENT(vlb_config_write,
	TP_PROTO(const struct vlb_device *vlb, u32 offset, u32 len, int error),
	TP_ARGS(vlb, offset, len, error),
	TP_STRUCT__entry(
		__array(char, name, VLB_NAME_MAX)
		__field(u32, offset)
		__field(u32, len)
		__field(int, error)
	),
	TP_fast_assign(
		memcpy(__entry->name, vlb->name, VLB_NAME_MAX);
		__entry->offset = offset;
		__entry->len = len;
		__entry->error = error;
	),
	TP_printk("%s: offset=%u len=%u error=%d", __entry->name, __entry->offset,
		  __entry->len, __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
