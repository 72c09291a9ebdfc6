/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole frames from both ports through a worker's pipeline. The input is a row of records: a byte
 * that says what comes (a frame as it is from the LAN or the WAN, in one or two segments; an inner
 * packet that the peer sealed rightly; a packet that control gives back), two bytes of length, the
 * bytes. Promises: every packet ends once (sent, punted, dropped by name, or handed over), every
 * mbuf comes back, nothing leaves the WAN side but ESP to the peer and
 * what is relayed, which is ESP in a channel to one of the two, and no inner packet leaves the LAN
 * side to a host that has no binding.
 */
#include <stdlib.h>
#include <string.h>

#include <cw_channels.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>
#include <rig.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 16u

enum record {
	LAN,
	WAN,
	LAN_SPLIT,
	WAN_SPLIT,
	SEALED,
	BACK_OUT,
	BACK_IN,
	BACK_FRAME,
	CHANNEL, /* marked by a bit of its own: a number, then any datagram, in a frame that is
		    right around it */
};

static void stop(void)
{
	rig_stop();
}

static void put_sealed(struct rig *rig, const uint8_t *data, size_t len)
{
	uint8_t inner[RIG_FRAME_BYTES_MAX], frame[RIG_FRAME_BYTES_MAX];

	if (len < 1 || len > 1500)
		return;
	memcpy(inner, data, len);
	rig_put(rig, &rig->wan, frame, rig_sealed(rig, frame, inner, len), 1);
}

static void put_channel(struct rig *rig, const uint8_t *data, size_t len)
{
	uint8_t frame[RIG_FRAME_BYTES_MAX];

	if (len < 1 || len > 1400)
		return;
	rig_put(rig, &rig->wan, frame,
		rig_wan_channel(frame, (uint16_t)(CW_CHANNEL_FIRST + (data[0] & 7)), data + 1,
				len - 1),
		1);
}

/* What control gives back is what a worker once punted: an IPv4 packet that was checked. */
static void put_back(struct rig *rig, enum record what, const uint8_t *data, size_t len)
{
	static const uint8_t kinds[] = {CW_INJECT_OUTBOUND, CW_INJECT_INBOUND, CW_INJECT_LAN_FRAME};
	struct cw_inject_meta meta = {.kind = kinds[what - BACK_OUT],
				      .peer = (uint16_t)(len > 0 ? data[0] & 3 : 0)};
	struct rte_mbuf *m;

	if (len < (what == BACK_IN ? CW_IP4_BYTES : CW_ETH_BYTES) || len > 1514)
		return;
	m = rte_pktmbuf_alloc(rig->pool);
	CW_ASSERT(m != NULL);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), data, len);
	CW_ASSERT(cw_inject_enqueue(rig->inject, m, &meta));
}

static unsigned int put(struct rig *rig, enum record what, const uint8_t *data, size_t len)
{
	if (len > RIG_FRAME_BYTES_MAX)
		return 0;
	switch (what) {
	case LAN:
	case LAN_SPLIT:
		rig_put(rig, &rig->lan, data, len, what == LAN ? 1 : 2);
		break;
	case WAN:
	case WAN_SPLIT:
		rig_put(rig, &rig->wan, data, len, what == WAN ? 1 : 2);
		break;
	case CHANNEL:
		put_channel(rig, data, len);
		break;
	case SEALED:
		put_sealed(rig, data, len);
		break;
	default:
		put_back(rig, what, data, len);
	}
	return 1;
}

static void check_wan(const struct rig_frame *f)
{
	struct cw_ip4_header ip;
	struct cw_channel channel;

	CW_ASSERT(cw_ip4_parse_header(f->bytes + CW_ETH_BYTES, f->len - CW_ETH_BYTES, &ip) ==
		  CW_DROP_NONE);
	CW_ASSERT(ip.proto == CW_IP_PROTO_UDP && f->len <= RIG_FRAME_BYTES_MAX);
	if (f->bytes[42] >= 128) {
		CW_ASSERT(ip.dst == rte_cpu_to_be_32(RIG_PEER_WAN) && f->bytes[42] < 255);
		return;
	}
	CW_ASSERT(cw_channel_parse(f->bytes + 42, f->len - 42, &channel) == CW_DROP_NONE);
	CW_ASSERT(f->len == CW_CHANNEL_OUTER_BYTES + channel.bytes && ip.ttl > 0);
	CW_ASSERT(cw_wan_classify(f->bytes + 46, channel.bytes) == CW_WAN_ESP);
	CW_ASSERT(ip.dst ==
		  rte_cpu_to_be_32(channel.number == RIG_TO_NEAR ? RIG_PEER_WAN : RIG_THIRD_WAN));
}

static uint64_t ended(const struct rig *rig)
{
	uint64_t n = rig->lan.sent + rig->wan.sent + rig->punted + rig->stats.handed_over;

	for (unsigned int d = 0; d < CW_DROP_COUNT; d++)
		n += rig->stats.drops[d];
	return n - rig->stats.too_big; /* counted as a drop and answered */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	static struct rig rig; /* its tables stay: opening one waits for grace periods */
	unsigned int in = 0, sent = 0;

	if (!started) {
		rig_start();
		rig_open(&rig, true, true);
		atexit(stop);
		started = true;
	}
	while (size >= 3 && in < RECORDS_MAX) {
		size_t len = (size_t)(data[1] << 8 | data[2]);

		if (len > size - 3)
			len = size - 3;
		in += put(&rig, data[0] & 0x40 ? CHANNEL : (enum record)(data[0] % CHANNEL),
			  data + 3, len);
		if (data[0] & 0x80) {
			rig_turn(&rig);
			if (rig.wan.sent != sent)
				check_wan(&rig.wan.last);
			sent = rig.wan.sent;
		}
		data += 3 + len;
		size -= 3 + len;
	}
	rig_turn(&rig);
	if (rig.wan.sent != sent)
		check_wan(&rig.wan.last);
	/* Fragmentation makes more of one; nothing makes less. */
	CW_ASSERT(ended(&rig) >= rig.stats.rx_packets[CW_SIDE_LAN] +
					 rig.stats.rx_packets[CW_SIDE_WAN] + rig.stats.injected -
					 rig.stats.drops[CW_DROP_FRAGMENT_FAILED]);
	CW_ASSERT(rig_reset(&rig) == 0);
	return 0;
}
