/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "message.h"

int message_parse(const uint8_t *bytes, size_t len, uint32_t num_ports, struct message *ret)
{
	uint32_t id;
	uint16_t half[2];

	if (len < MESSAGE_HEADER)
		return -EBADMSG;
	memcpy(&id, bytes, sizeof(id));
	memcpy(half, bytes + sizeof(id), sizeof(half));
	ret->id = le32toh(id);
	ret->event = le16toh(half[0]);
	ret->value = le16toh(half[1]);

	if (ret->value > 1)
		return -EINVAL;
	switch (ret->event) {
	case MESSAGE_DEVICE_READY:
		/* It is about no port, and drivers put anything there. */
		return 0;
	case MESSAGE_PORT_READY:
	case MESSAGE_PORT_OPEN:
		return ret->id < num_ports ? 0 : -ERANGE;
	default:
		return -EINVAL;
	}
}

size_t message_build(uint8_t *buf, const struct message *message, const void *payload, size_t len)
{
	uint32_t id = htole32(message->id);
	uint16_t half[2] = { htole16(message->event), htole16(message->value) };

	memcpy(buf, &id, sizeof(id));
	memcpy(buf + sizeof(id), half, sizeof(half));
	if (len)
		memcpy(buf + MESSAGE_HEADER, payload, len);
	return MESSAGE_HEADER + len;
}

size_t message_build_resize(uint8_t *buf, uint32_t id, uint16_t cols, uint16_t rows)
{
	struct message message = { .id = id, .event = MESSAGE_RESIZE };
	uint16_t size[2] = { htole16(cols), htole16(rows) };

	return message_build(buf, &message, size, sizeof(size));
}
