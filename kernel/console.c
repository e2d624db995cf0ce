// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queues of a console (virtio 1.3, 5.3): what their roles look at and remember, because its driver spins,
 * trusts control messages, and believes in an order between queues.
 */
#include <linux/bitops.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/virtio_console.h>

#include "types.h"

/*
 * The queues of a console are filled before its driver knows whose they are: at the end of the probe, or
 * when it says that a port is ready. See vlb_queues_call().
 */
static const struct vlb_role console_rx_role = {
	.flags = VLB_ROLE_RX | VLB_ROLE_LEN | VLB_ROLE_PROBED,
};
static const struct vlb_role port_rx_role = {
	.flags = VLB_ROLE_RX | VLB_ROLE_LEN | VLB_ROLE_KNOWN,
};

/*
 * Transmit queues of a console: hvc's put_chars() spins with interrupts off until its one buffer
 * is back. What finds the ring full is kept by hvc, or by the tty's writer.
 */
static const struct vlb_role console_tx_role = {
	.flags = VLB_ROLE_POSTED | VLB_ROLE_SPIN | VLB_ROLE_REFUSE | VLB_ROLE_PROBED,
};
static const struct vlb_role port_console_tx_role = {
	.flags = VLB_ROLE_POSTED | VLB_ROLE_SPIN | VLB_ROLE_REFUSE | VLB_ROLE_KNOWN,
};
/* A port for programs: writers sleep until there is room in the ring. */
static const struct vlb_role port_tx_role = { .flags = VLB_ROLE_POSTED | VLB_ROLE_KNOWN };

/* virtio 1.3, 5.3.2: queues 2 and 3 are for control, the others come in pairs for each port. */
#define CONSOLE_CONTROL_RX	2
#define CONSOLE_CONTROL_TX	3

/* Facts: the driver is ready; port 0 is open, port 1 ... */
#define CONSOLE_FACT_READY	0
#define CONSOLE_FACT_OPEN	1

/* Notes: it knows port 0, port 1 ...; it is asked to know them and has not answered. */
#define CONSOLE_PORTS		(VLB_QUEUES_MAX / 2)
#define CONSOLE_NOTE_KNOWN	VLB_FACTS
#define CONSOLE_NOTE_ASKED	(VLB_FACTS + CONSOLE_PORTS)

/* The first of a port's two queues; none that there is, where the port is out of range. */
static unsigned int console_queue(u32 port)
{
	if (port >= CONSOLE_PORTS)
		return VLB_QUEUES_MAX;
	port = array_index_nospec(port, CONSOLE_PORTS);
	return port ? 2 * port + 2 : 0;
}

/* A message of a control queue. False: that is too short for any. */
static bool console_parse(const u8 *piece, u32 len, u32 *ret_id, u16 *ret_event, bool *ret_value)
{
	const struct virtio_console_control *msg = (const void *)piece;

	if (len < sizeof(*msg))
		return false;
	*ret_id = le32_to_cpu((__force __le32)msg->id);
	*ret_event = le16_to_cpu((__force __le16)msg->event);
	*ret_value = msg->value;
	return true;
}

/*
 * The driver adds a port, and says at the end that it is ready, or that it could not. Until then it is told
 * nothing more about adding or removing this port: with a removal on its way already, "ready" would not be
 * true any more when it is heard here.
 */
static bool console_early(const unsigned long *facts, const u8 *piece, u32 len)
{
	bool value;
	u16 event;
	u32 id;

	if (!console_parse(piece, len, &id, &event, &value))
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_PORT_ADD:
	case VIRTIO_CONSOLE_PORT_REMOVE:
		return id < CONSOLE_PORTS && test_bit(CONSOLE_NOTE_ASKED + id, facts);
	default:
		return false;
	}
}

/*
 * A message of the control queue. The driver takes it as long enough, whatever used.len says: a name
 * shorter than nothing is written behind its buffer. And when a port becomes a console, its driver
 * begins to spin.
 */
static bool console_seen(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len,
			 u32 total)
{
	bool value;
	u16 event;
	u32 id;

	if (!console_parse(piece, len, &id, &event, &value))
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_PORT_ADD:
		/* One that it cannot have is not answered, and logged each time. */
		if (!vlb_queue_in_use(vlb, console_queue(id)))
			return false;
		set_bit(CONSOLE_NOTE_ASKED + id, facts);
		return true;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		if (value)
			vlb_queue_change_role(vlb, console_queue(id) + 1,
					     &port_console_tx_role);
		return true;
	case VIRTIO_CONSOLE_RESIZE:
		return len >= sizeof(struct virtio_console_control) + 2 * sizeof(__le16);
	case VIRTIO_CONSOLE_PORT_OPEN:
		/* Readers take "closed" for the end when they find no bytes before it. */
		if (!value)
			vlb_queue_catch_up(vlb, console_queue(id));
		return true;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		if (id >= CONSOLE_PORTS || !test_and_clear_bit(CONSOLE_NOTE_KNOWN + id, facts))
			return false;
		clear_bit(CONSOLE_FACT_OPEN + id, facts);
		vlb_terminals_keep(vlb, CONSOLE_CONTROL_RX);
		vlb_queues_call_no_more(vlb, console_queue(id), 2);
		return true;
	default:
		return true;
	}
}

static const struct vlb_role control_rx_role = {
	.flags = VLB_ROLE_RX | VLB_ROLE_LEN, .early = console_early, .seen = console_seen,
};

/* The driver says that it is ready, and which ports are open, to the first back-end alone. */
static int console_said(struct vlb_device *vlb, unsigned long *facts, const u8 *piece, u32 len)
{
	int fact = -1;
	bool value;
	u16 event;
	u32 id;

	if (!console_parse(piece, len, &id, &event, &value))
		return -1;
	switch (event) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		fact = CONSOLE_FACT_READY;
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (id < VLB_FACTS - CONSOLE_FACT_OPEN)
			fact = CONSOLE_FACT_OPEN + id;
		break;
	case VIRTIO_CONSOLE_PORT_READY:
		if (id >= CONSOLE_PORTS)
			break;
		if (value) {
			set_bit(CONSOLE_NOTE_KNOWN + id, facts);
			vlb_queues_call(vlb, console_queue(id), 2);
		}
		/* After that: what waited for this may be the port's removal. */
		smp_mb__before_atomic();
		clear_bit(CONSOLE_NOTE_ASKED + id, facts);
		vlb_queues_call(vlb, CONSOLE_CONTROL_RX, 1);
		break;
	}
	if (fact >= 0)
		assign_bit(fact, facts, value);
	return fact;
}

static u32 console_restate(unsigned int fact, bool so, u8 bytes[VLB_FACT_BYTES])
{
	bool ready = fact == CONSOLE_FACT_READY;
	const struct virtio_console_control msg = {
		.id = (__force __virtio32)cpu_to_le32(ready ? VIRTIO_CONSOLE_BAD_ID :
							      fact - CONSOLE_FACT_OPEN),
		.event = (__force __virtio16)cpu_to_le16(ready ? VIRTIO_CONSOLE_DEVICE_READY :
								 VIRTIO_CONSOLE_PORT_OPEN),
		.value = (__force __virtio16)cpu_to_le16(so),
	};

	memcpy(bytes, &msg, sizeof(msg));
	return sizeof(msg);
}

/* The driver spins here too, but forgets what finds the ring full. */
static const struct vlb_role control_tx_role = {
	.flags = VLB_ROLE_POSTED | VLB_ROLE_SPIN,
	.said = console_said, .restate = console_restate,
};

/**
 * vlb_console_roles - the roles of a console's queues
 * @index: the queue
 * @nvqs: how many the driver asked for
 * @features: that it accepted
 *
 * Return: as struct vlb_type.role.
 */
const struct vlb_role *vlb_console_roles(unsigned int index, unsigned int nvqs, u64 features)
{
	if (!(features & BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT)))
		return index % 2 ? &console_tx_role : &console_rx_role;
	switch (index) {
	case CONSOLE_CONTROL_RX: return &control_rx_role;
	case CONSOLE_CONTROL_TX: return &control_tx_role;
	default: return index % 2 ? &port_tx_role : &port_rx_role;
	}
}
