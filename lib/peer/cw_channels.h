/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CHANNELS_H
#define CW_CHANNELS_H

/**
 * @file
 * Relay channels as workers see them: which ChannelData is ours to forward, which is for us.
 *
 * A channel number belongs to one link (RFC 8656 section 12: bound to a 5-tuple), so a channel is
 * found by the endpoint its datagrams come from and the number together. One that is forwarded
 * leaves towards another link's endpoint with that link's number; the datagram inside is ciphertext
 * to us and stays as it is. Never more than one relay stands between two nodes: control makes no
 * channel over a relayed link, a channel inside a channel is refused, and each relay takes one from
 * the hop limit.
 *
 * Control publishes all channels at once whenever one changes; workers read a snapshot that is
 * valid until their next quiescent state.
 */
#include <cw_channel.h>

#include "cw_peer.h"

/** Channels of all links together: lib/link's own limit. */
#define CW_CHANNELS_MAX 4096u
/** Bytes in front of a relayed datagram: Ethernet, IPv4, UDP, ChannelData. */
#define CW_CHANNEL_OUTER_BYTES 46u

struct cw_channel_params {
	struct cw_endpoint from; /* IPv4: where the link's other end is */
	uint16_t number;
	bool forward;		/* else its datagrams are for us, and the rest is not read */
	struct cw_endpoint to;	/* IPv4: the link that it goes to */
	uint16_t to_number;	/* its number there */
	struct cw_mac next_hop; /* on our WAN segment, towards `to` */
};

/** One published channel. */
struct cw_channel_entry {
	uint64_t from_key; /* cw_endpoint_key */
	uint16_t number;
	bool forward;
	uint8_t used; /* worker: w 1, control: reads and clears; relaxed */
	uint32_t outer_sum;
	/* worker: rw, relaxed: when the limit's bucket is empty again, in TSC cycles. One flow's
	 * datagrams come by one queue, so two workers hardly meet here; if they do, a few bytes
	 * are not counted. */
	uint64_t empty_tsc;
	uint8_t outer[CW_CHANNEL_OUTER_BYTES]; /* ready: tos, ttl, lengths, checksum per packet */
};

/** What workers read. */
struct cw_channel_index {
	uint64_t numbers[4096 / 64]; /* bit per number that some link has */
	uint64_t cycles_per_kib;     /* of the rate limit */
	uint64_t burst_cycles;	     /* how far ahead of the rate one may be */
	uint32_t mask;
	uint32_t count;
	struct cw_rcu_head rcu;
	struct cw_channel_entry slots[]; /* mask + 1 of them; number 0: free */
};

/**
 * Replace all channels. [control]
 * @param bytes_per_s limit of each channel, and @p tsc_hz the workers' clock
 * @return 0, -ENOMEM (the old ones stay), -EINVAL (more than CW_CHANNELS_MAX)
 */
CW_MUST_USE int cw_channels_publish(struct cw_peer_table *table,
				    const struct cw_channel_params *all, unsigned int count,
				    uint64_t bytes_per_s, uint64_t tsc_hz);

typedef void (*cw_channels_used_fn)(void *arg, uint64_t from_key, uint16_t number);
/** Which channels workers saw traffic on since the last call. [control] */
void cw_channels_used(struct cw_peer_table *table, cw_channels_used_fn visit, void *arg);

/** NULL while there is none. Valid until the next quiescent state. [worker] */
struct cw_channel_index *cw_channels_of(const struct cw_peer_table *table);

/**
 * [worker] The channel of a datagram from @p from_key.
 * @return NULL: RELAY_LINK in @p why when another link has that number, else RELAY_UNKNOWN
 */
struct cw_channel_entry *cw_channels_find(struct cw_channel_index *index, uint64_t from_key,
					  uint16_t number, enum cw_drop *why);

/** [worker] May so many bytes go on now? Takes them from the channel's bucket if so. */
bool cw_channels_admit(const struct cw_channel_index *index, struct cw_channel_entry *entry,
		       unsigned int bytes, uint64_t now_tsc);

#endif /* CW_CHANNELS_H */
