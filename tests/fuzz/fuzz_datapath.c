/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole frames from both ports through a worker's pipeline. The input is a row of records: a byte
 * that says what comes (a frame as it is from the LAN or the WAN, in one or two segments; an inner
 * packet that the peer sealed rightly; a packet that control gives back), two bytes of length, the
 * bytes. Promises: every packet ends once (sent, punted, dropped by name, or handed over), every
 * mbuf comes back, nothing leaves the WAN side but ESP, and no inner packet leaves the LAN side to
 * a host that has no binding.
 */
#include <stdlib.h>
#include <string.h>

#include <cw_eth.h>
#include <cw_ip4.h>
#include <rig.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 16u

enum record { LAN, WAN, LAN_SPLIT, WAN_SPLIT, SEALED, BACK_OUT, BACK_IN, BACK_FRAME, RECORD_COUNT };

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

	CW_ASSERT(cw_ip4_parse_header(f->bytes + CW_ETH_BYTES, f->len - CW_ETH_BYTES, &ip) ==
		  CW_DROP_NONE);
	CW_ASSERT(ip.proto == CW_IP_PROTO_UDP && ip.dst == rte_cpu_to_be_32(RIG_PEER_WAN));
	CW_ASSERT(f->bytes[42] >= 128 && f->bytes[42] < 255 && f->len <= 1514);
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
		in += put(&rig, (enum record)(data[0] % RECORD_COUNT), data + 3, len);
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
