/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SITES_H
#define CW_SITES_H

/**
 * @file
 * What sites tell each other: by which table of slots each one goes, so that a peer sends a packet
 * from r to the gateway that owns slot(r) there.
 *
 * Sans I/O. A gateway tells its table to every peer it is linked with, again until the peer has
 * confirmed it; a peer goes by the highest ballot among what linked gateways of that site said.
 * Who speaks for which site is the certificates' business: the caller says with a peer what its
 * certificate names. [control] throughout. Source: design.md section 11, docs/multi-gateway.md.
 *
 * The promise: a table is believed only from a linked gateway of its site; the order of ballots is
 * kept whatever the order of messages; what is forgotten with a link is told again with the next.
 */
#include "cw_site.h"

struct cw_sites;

struct cw_sites_ops {
	/** To a peer over its link, authenticated; may be lost. */
	void (*send)(void *ctx, uint16_t peer, const uint8_t *data, size_t len);
	/** Another table counts for this site, or none any more (cw_sites_find). */
	void (*changed)(void *ctx, const uint8_t site[CW_SITE_ID_BYTES]);
	/** A peer goes by a table of our own site with this epoch, above what we told it. */
	void (*outbid)(void *ctx, uint64_t epoch);
};

/** Rules that the simulator takes away. Production: none. */
enum cw_sites_mutation {
	CW_SITES_MUT_NONE,
	CW_SITES_MUT_NOBALLOT, /* the latest message counts */
	CW_SITES_MUT_ONCE,     /* told once, confirmed or not */
	CW_SITES_MUT_NOOUTBID, /* that a peer knows better is not heeded */
	CW_SITES_MUT_FORGETS,  /* who links anew is told nothing */
	CW_SITES_MUT_COUNT
};

struct cw_sites_config {
	uint8_t site[CW_SITE_ID_BYTES]; /* our own */
	unsigned int peers_max;		/* peers are numbered below it */
	enum cw_sites_mutation mutate;
};

CW_MUST_USE int cw_sites_create(struct cw_sites **out, const struct cw_sites_config *config,
				const struct cw_sites_ops *ops, void *ctx, uint64_t now_ns);
void cw_sites_destroy(struct cw_sites *sites);

/** A link to a gateway of another site is up, or up anew: it is told our table.
 * @return 0, -ENOMEM */
CW_MUST_USE int cw_sites_peer_up(struct cw_sites *sites, uint16_t peer,
				 const uint8_t site[CW_SITE_ID_BYTES], uint64_t now_ns);
/** What it said is forgotten. */
void cw_sites_peer_down(struct cw_sites *sites, uint16_t peer, uint64_t now_ns);
/** A message of a peer's send. @return false: it is none of ours */
bool cw_sites_input(struct cw_sites *sites, uint16_t peer, const uint8_t *data, size_t len,
		    uint64_t now_ns);
/** We go by this table from now on. */
void cw_sites_tell(struct cw_sites *sites, const struct cw_site_table *table, uint64_t now_ns);
/** Peers that have not confirmed it yet. */
unsigned int cw_sites_untold(const struct cw_sites *sites);
/** @return next deadline */
uint64_t cw_sites_timer(struct cw_sites *sites, uint64_t now_ns);

/** The table that counts for a site; NULL: nobody said one. Valid until the next call. */
const struct cw_site_table *cw_sites_find(const struct cw_sites *sites,
					  const uint8_t site[CW_SITE_ID_BYTES]);

struct cw_sites_counts {
	uint64_t told, confirmed, heard, foreign, malformed; /* foreign: for a site not its own */
};
void cw_sites_counts(const struct cw_sites *sites, struct cw_sites_counts *out);

#endif /* CW_SITES_H */
