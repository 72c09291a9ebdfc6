/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CHANNEL_H
#define CW_CHANNEL_H

/**
 * @file
 * ChannelData framing of relayed datagrams (RFC 8656 section 12.4). [any]
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_CHANNEL_BYTES 4u
#define CW_CHANNEL_FIRST 0x4000
#define CW_CHANNEL_LAST	 0x4fff

struct cw_channel {
	uint16_t number; /* host order */
	uint16_t bytes;	 /* of application data that follow */
};

/** @return NONE or RELAY_CHANNEL (short, number out of range, length beyond the datagram). */
static inline enum cw_drop cw_channel_parse(const uint8_t *data, size_t len, struct cw_channel *out)
{
	if (len < CW_CHANNEL_BYTES)
		return CW_DROP_RELAY_CHANNEL;
	out->number = (uint16_t)(data[0] << 8 | data[1]);
	out->bytes = (uint16_t)(data[2] << 8 | data[3]);
	if (out->number < CW_CHANNEL_FIRST || out->number > CW_CHANNEL_LAST ||
	    out->bytes > len - CW_CHANNEL_BYTES)
		return CW_DROP_RELAY_CHANNEL;
	return CW_DROP_NONE;
}

/** Write the header in front of @p bytes of data. */
static inline void cw_channel_write(uint8_t *out, uint16_t number, uint16_t bytes)
{
	out[0] = (uint8_t)(number >> 8);
	out[1] = (uint8_t)number;
	out[2] = (uint8_t)(bytes >> 8);
	out[3] = (uint8_t)bytes;
}

#endif /* CW_CHANNEL_H */
