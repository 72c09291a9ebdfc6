/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that others wait for are kept until the link they left by has proven itself.
 *
 * The death of an idle far link is noticed late (30 s, so that its keepalives cost little): when
 * many nodes die at once, a lookup meets such a link at every third hop, and all of those would be
 * lost although the ring is whole. A frame makes its link busy (op busy), and a busy link is known
 * to be dead within 2 s; then what left by it lately goes another way.
 *
 * So a frame may arrive twice: what is signed carries a number that is taken once. It refuses to
 * wait for an answer: a link that lives has all it was given, or its datagram was lost, which is
 * the service's to notice. ConnectTo messages are not kept: they are said again anyway, and when
 * many nodes are gone there are enough of them to push out everything else.
 *
 * Bounded: KEPT_MAX frames and KEPT_BYTES_MAX bytes; the oldest gives way.
 */
#include "internal.h"

#include <stdlib.h>

/* A busy link's death is noticed after 2 s; a little more for timers and a round trip. */
#define KEPT_NS (UINT64_C(3) * CW_NS_PER_S)

static void drop_oldest(struct cw_overlay *o)
{
	struct kept *k = &o->kept[o->kept_at % KEPT_MAX];

	o->kept_bytes -= k->len;
	free(k->bytes);
	k->bytes = NULL;
	o->kept_at++;
	o->kept_count--;
}

void kept_add(struct cw_overlay *o, const struct cw_node_id *by, uint8_t *bytes, size_t len,
	      uint64_t now_ns)
{
	if (o->kept == NULL)
		o->kept = calloc(KEPT_MAX, sizeof(*o->kept));
	if (o->kept == NULL || len > KEPT_BYTES_MAX || o->config.mutate == CW_OVERLAY_MUT_LETGO) {
		free(bytes);
		return;
	}
	while (o->kept_count == KEPT_MAX || o->kept_bytes + len > KEPT_BYTES_MAX)
		drop_oldest(o);
	o->kept[(o->kept_at + o->kept_count++) % KEPT_MAX] =
		(struct kept){.by = *by, .bytes = bytes, .len = len, .sent_ns = now_ns};
	o->kept_bytes += len;
}

void kept_link_down(struct cw_overlay *o, const struct cw_node_id *by)
{
	for (unsigned int i = 0; i < o->kept_count; i++) {
		struct kept *k = &o->kept[(o->kept_at + i) % KEPT_MAX];

		k->again |= cw_node_id_equal(&k->by, by);
		o->kept_again |= k->again;
	}
}

static void send_again(struct cw_overlay *o, const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, bytes);

	if (frame == NULL)
		return;
	o->info.rerouted++;
	if (route_frame(o, frame, NULL, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "no other way for a frame");
	causeway__overlay__frame__free_unpacked(frame, NULL);
}

uint64_t kept_timer(struct cw_overlay *o, uint64_t now_ns)
{
	/* What goes again is kept again, at the end, which may make the oldest give way. */
	for (unsigned int at = o->kept_at, end = at + o->kept_count; o->kept_again && at != end;
	     at++) {
		struct kept *k = &o->kept[at % KEPT_MAX], was = *k;

		if (!was.again)
			continue;
		o->kept_bytes -= was.len;
		*k = (struct kept){.sent_ns = was.sent_ns};
		if (now_ns - was.sent_ns < KEPT_NS)
			send_again(o, was.bytes, was.len, now_ns);
		free(was.bytes);
	}
	o->kept_again = false;
	while (o->kept_count > 0 && now_ns - o->kept[o->kept_at % KEPT_MAX].sent_ns >= KEPT_NS)
		drop_oldest(o);
	return o->kept_count > 0 ? o->kept[o->kept_at % KEPT_MAX].sent_ns + KEPT_NS : CW_NEVER;
}

void kept_free(struct cw_overlay *o)
{
	while (o->kept_count > 0)
		drop_oldest(o);
	free(o->kept);
}
