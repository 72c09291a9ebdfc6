/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's records as bytes. The checksum covers length, type, lsn and payload, so a record of
 * another log or place is not taken for one of this.
 */
#include "cw_wal.h"

#include <string.h>

#include <rte_hash_crc.h>

#define MAGIC 0xC5u

struct header {
	uint32_t len;
	uint8_t type, magic;
	uint16_t zero;
	uint64_t lsn;
	uint32_t crc;
} CW_PACKED;

_Static_assert(sizeof(struct header) == CW_WAL_HEADER_BYTES, "as documented");

/* CRC32C of bytes at any alignment. */
static uint32_t crc_of(const void *data, size_t len, uint32_t crc)
{
	const uint8_t *at = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		crc = rte_hash_crc_8byte(word, crc);
	}
	for (; len > 0; len--, at++)
		crc = rte_hash_crc_1byte(*at, crc);
	return crc;
}

static uint32_t checksum(const struct header *h, const void *payload)
{
	return crc_of(payload, h->len, crc_of(h, offsetof(struct header, crc), UINT32_MAX));
}

void cw_wal_encode(uint8_t header[CW_WAL_HEADER_BYTES], uint8_t type, uint64_t lsn,
		   const void *payload, size_t len)
{
	struct header h = {.len = (uint32_t)len, .type = type, .magic = MAGIC, .lsn = lsn};

	h.crc = checksum(&h, payload);
	memcpy(header, &h, sizeof(h));
}

enum cw_wal_verdict cw_wal_decode(const uint8_t *data, size_t len, uint8_t *type, uint64_t *lsn,
				  const uint8_t **payload, size_t *payload_len)
{
	struct header h;

	if (len == 0)
		return CW_WAL_END;
	if (len < sizeof(h))
		return CW_WAL_TORN;
	memcpy(&h, data, sizeof(h));
	if (h.magic != MAGIC || h.zero != 0 || h.len > CW_WAL_PAYLOAD_MAX ||
	    h.len > len - sizeof(h) || checksum(&h, data + sizeof(h)) != h.crc)
		return CW_WAL_TORN;
	*type = h.type;
	*lsn = h.lsn;
	*payload = data + sizeof(h);
	*payload_len = h.len;
	return CW_WAL_RECORD;
}

bool cw_wal_any_good(const uint8_t *data, size_t len)
{
	for (size_t at = 0; at + CW_WAL_HEADER_BYTES <= len; at++) {
		const uint8_t *payload;
		size_t payload_len;
		uint64_t lsn;
		uint8_t type;

		if (data[at + 5] == MAGIC && cw_wal_decode(data + at, len - at, &type, &lsn,
							   &payload, &payload_len) == CW_WAL_RECORD)
			return true;
	}
	return false;
}
