/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the control queues (virtio 1.3, 5.3.6.2): checked on the way in, built on the way out. */
#ifndef CONSOLE_MESSAGE_H
#define CONSOLE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* virtio 1.3, 5.3.6.2; <linux/virtio_console.h> has them as VIRTIO_CONSOLE_*. */
enum message_event {
	MESSAGE_DEVICE_READY = 0,
	MESSAGE_PORT_ADD = 1,
	MESSAGE_PORT_REMOVE = 2,
	MESSAGE_PORT_READY = 3,
	MESSAGE_CONSOLE_PORT = 4,
	MESSAGE_RESIZE = 5,
	MESSAGE_PORT_OPEN = 6,
	MESSAGE_PORT_NAME = 7,
};

#define MESSAGE_HEADER	8U	/* le32 id, le16 event, le16 value */
#define MESSAGE_NAME	64U	/* the longest name */
#define MESSAGE_MAX	(MESSAGE_HEADER + MESSAGE_NAME)

struct message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

/**
 * message_parse() - check what the driver sent
 * @bytes: the beginning of the message, MESSAGE_HEADER bytes where it has so many
 * @len: bytes that it has
 * @num_ports: ports of the device
 * @ret: the message
 *
 * Return: 0; -EBADMSG (shorter than a message); -EINVAL (an event that drivers do not send, or a value
 * that it does not have); -ERANGE (a port that the device does not have).
 */
int message_parse(const uint8_t *bytes, size_t len, uint32_t num_ports, struct message *ret);

/**
 * message_build() - a message for the driver
 * @buf: room for MESSAGE_MAX bytes
 * @payload: what follows the header, at most MESSAGE_NAME bytes
 *
 * Return: bytes.
 */
size_t message_build(uint8_t *buf, const struct message *message, const void *payload, size_t len);

/**
 * message_build_resize() - the same for MESSAGE_RESIZE (virtio 1.3, 5.3.6.2.2: columns, then rows)
 *
 * Return: bytes.
 */
size_t message_build_resize(uint8_t *buf, uint32_t id, uint16_t cols, uint16_t rows);

#endif
