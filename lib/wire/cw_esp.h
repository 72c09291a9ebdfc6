/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ESP_H
#define CW_ESP_H

/**
 * @file
 * ESP with AES-GCM (RFC 4303, 4106) as we put it into UDP (RFC 3948), and our SPI layout. [any]
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_ESP_HEADER_BYTES  8u /* SPI and low sequence number */
#define CW_ESP_IV_BYTES	     8u
#define CW_ESP_ICV_BYTES     16u
#define CW_ESP_TRAILER_BYTES 2u	 /* pad length, next header */
#define CW_ESP_AAD_BYTES     12u /* SPI, high, low sequence number: ESN (RFC 4106 section 5) */
#define CW_ESP_NEXT_IP4	     4
#define CW_ESP_NEXT_ETHERNET 143

struct cw_esp_header {
	rte_be32_t spi;
	rte_be32_t seq_lo;
	rte_be64_t iv; /* explicit IV: the 64-bit sequence number */
} CW_PACKED;

_Static_assert(sizeof(struct cw_esp_header) == 16, "ESP header and explicit IV");

/* SPI = 1 | worker:6 | index:16 | tag:9. Worker 63 is never used, so the first byte is never 255.
 */
#define CW_SPI_WORKER_MAX 62u
#define CW_SPI_TAG_COUNT  512u

static inline uint32_t cw_spi_make(unsigned int worker, uint16_t index, unsigned int tag)
{
	return UINT32_C(0x80000000) | (uint32_t)worker << 25 | (uint32_t)index << 9 |
	       (tag & (CW_SPI_TAG_COUNT - 1));
}

static inline unsigned int cw_spi_worker(uint32_t spi)
{
	return spi >> 25 & 63;
}

static inline uint16_t cw_spi_index(uint32_t spi)
{
	return (uint16_t)(spi >> 9);
}

static inline unsigned int cw_spi_tag(uint32_t spi)
{
	return spi & (CW_SPI_TAG_COUNT - 1);
}

/** Padding so that payload, padding and trailer end on 4 bytes (RFC 4303 section 2.4). */
static inline unsigned int cw_esp_padding(unsigned int payload_bytes)
{
	return -(payload_bytes + CW_ESP_TRAILER_BYTES) & 3;
}

/** Bytes from the ESP header to the ICV for an inner packet. */
static inline unsigned int cw_esp_bytes(unsigned int payload_bytes)
{
	return (unsigned int)sizeof(struct cw_esp_header) + payload_bytes +
	       cw_esp_padding(payload_bytes) + CW_ESP_TRAILER_BYTES + CW_ESP_ICV_BYTES;
}

/** Check lengths of an ESP packet (UDP payload). @return NONE or ESP_MALFORMED; @p out is a copy of
 * the header. */
static inline enum cw_drop cw_esp_parse(const uint8_t *data, size_t len, struct cw_esp_header *out)
{
	if (CW_UNLIKELY(len < sizeof(*out) + CW_ESP_TRAILER_BYTES + CW_ESP_ICV_BYTES ||
			(len & 3) != 0))
		return CW_DROP_ESP_MALFORMED;
	memcpy(out, data, sizeof(*out));
	return CW_DROP_NONE;
}

/**
 * Take padding and trailer off an opened packet.
 *
 * @param payload plaintext behind the IV, @p len bytes without the ICV
 * @param payload_bytes out: inner packet
 * @return NONE or ESP_PADDING. Padding must count 1, 2, 3 (RFC 4303 section 2.4).
 */
static inline enum cw_drop cw_esp_trim(const uint8_t *payload, size_t len, uint8_t *next,
				       unsigned int *payload_bytes)
{
	unsigned int pad;

	if (CW_UNLIKELY(len < CW_ESP_TRAILER_BYTES))
		return CW_DROP_ESP_PADDING;
	pad = payload[len - 2];
	*next = payload[len - 1];
	if (CW_UNLIKELY(pad + CW_ESP_TRAILER_BYTES > len))
		return CW_DROP_ESP_PADDING;
	for (unsigned int i = 0; i < pad; i++)
		if (CW_UNLIKELY(payload[len - CW_ESP_TRAILER_BYTES - pad + i] != i + 1))
			return CW_DROP_ESP_PADDING;
	*payload_bytes = (unsigned int)len - CW_ESP_TRAILER_BYTES - pad;
	return CW_DROP_NONE;
}

/** The 64-bit sequence number of which the low half came, next to the highest seen (RFC 4303
 * appendix A2.2). */
static inline uint64_t cw_esp_seq(uint32_t low, uint64_t highest, uint32_t window)
{
	uint32_t top_low = (uint32_t)highest, high = (uint32_t)(highest >> 32);

	if (top_low >= window - 1) {
		if (low < top_low - window + 1)
			high++;
	} else if (low >= top_low - window + 1 && high > 0) {
		high--;
	}
	return (uint64_t)high << 32 | low;
}

#endif /* CW_ESP_H */
