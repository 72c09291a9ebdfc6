/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CORE_WORLD_H
#define CW_CORE_WORLD_H

/*
 * The whole control core of a founded namespace with one voter, in virtual time, over a DTLS that
 * hides nothing (open_dtls.h). Subnet 10.128.0.0/16; the WAN address is 203.0.113.254.
 */
#include <jansson.h>

#include <cw_control.h>

struct world {
	struct cw_control *ctl;
	struct cw_peer_table *peers;
	uint64_t now_ns, lsn, durable, dice;
	unsigned int asked, answered, done;
	/* Of what control injected: how many, and the last one. */
	unsigned int injected;
	struct cw_inject_meta last;
	json_t *reply; /* the last one, borrowed until the next */
	bool mute;     /* the store answers no question for a mapping */
	const struct cw_ns_view *view; /* what workers go by now; NULL: none yet */
	/* Called with each frame that control sends; may be NULL. */
	void (*sent)(struct world *w, const uint8_t *frame, size_t len);
	struct cw_store store;
	struct cw_store_ops store_ops;
};

/* Made and founded; time has passed until it serves. */
void world_begin(struct world *w, struct cw_rcu *rcu);
void world_end(struct world *w);
void world_pass(struct world *w, uint64_t ns);
/* A request of causewayctl as JSON text; `answered` counts the replies, `done` the good ones. */
void world_ask(struct world *w, const char *text, size_t len);
/* What was appended is durable a moment later, as the log's thread reports it. */
void world_settle(struct world *w);

#endif /* CW_CORE_WORLD_H */
