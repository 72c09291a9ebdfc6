/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables told and heard across the WAN.
 *
 * Telling: a peer that has not confirmed our present table is told it, at once and then ever more
 * rarely. Hearing: each linked gateway of another site has one word, the highest table that it
 * said; the highest of a site's words counts. A gateway that was stopped and wakes says an old
 * table and changes nothing.
 *
 * A site whose gateways all start anew counts from one again, while a word of the time before may
 * stand until its link is found dead. So a confirmation says which table its sender goes by, and
 * whoever sees a higher one than its own proposes above it (ops.outbid).
 *
 * Refuses: a table from a gateway whose certificate names another site. Invariant: `best` of a site
 * is the highest of its peers' words, as long as one of them has said any.
 */
#include "cw_sites.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

enum {
	/* Sites in one chain of the hash stay few at 10,000 peers. */
	BUCKETS = 4096,
};

/* A message is repeated after the first of these, doubled until the second: a round trip around the
 * world is about 300 ms. */
#define RETELL_MIN_NS (UINT64_C(50) * CW_NS_PER_MS)
#define RETELL_MAX_NS (UINT64_C(1) * CW_NS_PER_S)
/* A peer may say what it likes; it makes us propose no more often. */
#define OUTBID_NS (UINT64_C(1) * CW_NS_PER_S)

struct far_site {
	struct far_site *hash_next;
	uint8_t site[CW_SITE_ID_BYTES];
	struct far_peer *peers;
	struct cw_site_table best; /* epoch 0: nobody said any */
};

struct far_peer {
	uint16_t number;
	struct far_site *site;
	struct far_peer *next; /* of the same site */
	struct cw_site_table *word;
	bool told;
	uint64_t due_ns, interval_ns;
};

struct cw_sites {
	struct cw_sites_config config;
	struct cw_sites_ops ops;
	void *ctx;
	struct cw_site_table ours; /* epoch 0: none yet */
	struct far_peer **peer;
	struct far_site *bucket[BUCKETS];
	unsigned int untold;
	uint64_t due_ns, outbid_ns;
	struct cw_sites_counts counts;
};

int cw_sites_create(struct cw_sites **out, const struct cw_sites_config *config,
		    const struct cw_sites_ops *ops, void *ctx, uint64_t now_ns)
{
	struct cw_sites *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->config = *config;
	s->ops = *ops;
	s->ctx = ctx;
	s->due_ns = CW_NEVER;
	s->outbid_ns = now_ns;
	s->peer = calloc(config->peers_max, sizeof(struct far_peer *));
	if (s->peer == NULL) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

static struct far_site **place_of(const struct cw_sites *s, const uint8_t site[CW_SITE_ID_BYTES])
{
	struct far_site **at;
	uint32_t h;

	memcpy(&h, site, sizeof(h));
	at = (struct far_site **)&s->bucket[h % BUCKETS];
	while (*at != NULL && memcmp((*at)->site, site, CW_SITE_ID_BYTES) != 0)
		at = &(*at)->hash_next;
	return at;
}

const struct cw_site_table *cw_sites_find(const struct cw_sites *s,
					  const uint8_t site[CW_SITE_ID_BYTES])
{
	const struct far_site *f = *place_of(s, site);

	return f != NULL && f->best.epoch != 0 ? &f->best : NULL;
}

/* The words of a site changed: which one counts now? */
static void choose(struct cw_sites *s, struct far_site *f, const struct far_peer *latest)
{
	struct cw_site_table best = {0};

	for (const struct far_peer *p = f->peers; p != NULL; p = p->next)
		if (p->word != NULL && site_table_compare(p->word, &best) > 0)
			best = *p->word;
	if (s->config.mutate == CW_SITES_MUT_NOBALLOT && latest != NULL)
		best = *latest->word;
	if (site_table_compare(&best, &f->best) == 0 && best.split == f->best.split)
		return;
	f->best = best;
	s->ops.changed(s->ctx, f->site);
}

/* -- telling */

static void tell_one(struct cw_sites *s, struct far_peer *p, uint64_t now_ns)
{
	uint8_t message[CW_SITE_BYTES_MAX];

	_Static_assert(4 + CW_SITE_ID_BYTES + 2 + 33 + CW_SITE_MEMBERS_MAX * CW_NODE_ID_BYTES +
				       CW_SITE_SLOTS_MAX <=
			       CW_SITE_BYTES_MAX,
		       "a whole table fits");
	s->ops.send(s->ctx, p->number, message,
		    site_write_table(TYPE_TABLE, s->config.site, &s->ours, message));
	s->counts.told++;
	p->due_ns = now_ns + p->interval_ns;
	p->interval_ns = cw_min_u64(p->interval_ns * 2, RETELL_MAX_NS);
	if (s->config.mutate == CW_SITES_MUT_ONCE && !p->told) {
		p->told = true;
		s->untold--;
	}
}

static void must_hear(struct cw_sites *s, struct far_peer *p, uint64_t now_ns)
{
	if (p->told)
		s->untold++;
	p->told = false;
	p->interval_ns = RETELL_MIN_NS;
	tell_one(s, p, now_ns);
	s->due_ns = cw_min_u64(s->due_ns, p->due_ns);
}

void cw_sites_tell(struct cw_sites *s, const struct cw_site_table *table, uint64_t now_ns)
{
	s->ours = *table;
	if (table->epoch == 0)
		return;
	for (unsigned int i = 0; i < s->config.peers_max; i++)
		if (s->peer[i] != NULL)
			must_hear(s, s->peer[i], now_ns);
}

unsigned int cw_sites_untold(const struct cw_sites *s)
{
	return s->untold;
}

uint64_t cw_sites_timer(struct cw_sites *s, uint64_t now_ns)
{
	if (s->untold == 0 || now_ns < s->due_ns)
		return s->untold == 0 ? CW_NEVER : s->due_ns;
	s->due_ns = CW_NEVER;
	for (unsigned int i = 0; i < s->config.peers_max && s->untold > 0; i++) {
		struct far_peer *p = s->peer[i];

		if (p == NULL || p->told)
			continue;
		if (now_ns >= p->due_ns)
			tell_one(s, p, now_ns);
		if (!p->told)
			s->due_ns = cw_min_u64(s->due_ns, p->due_ns);
	}
	return s->due_ns;
}

/* -- links */

void cw_sites_peer_down(struct cw_sites *s, uint16_t peer, uint64_t now_ns)
{
	struct far_peer *p = peer < s->config.peers_max ? s->peer[peer] : NULL, **at;
	struct far_site *f;

	(void)now_ns;
	if (p == NULL)
		return;
	f = p->site;
	for (at = &f->peers; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	s->peer[peer] = NULL;
	s->untold -= !p->told;
	choose(s, f, NULL);
	free(p->word);
	free(p);
	if (f->peers == NULL) {
		*place_of(s, f->site) = f->hash_next;
		free(f);
	}
}

int cw_sites_peer_up(struct cw_sites *s, uint16_t peer, const uint8_t site[CW_SITE_ID_BYTES],
		     uint64_t now_ns)
{
	struct far_site **at;
	struct far_peer *p;

	CW_ASSERT(peer < s->config.peers_max);
	if (memcmp(site, s->config.site, CW_SITE_ID_BYTES) == 0)
		return 0;
	p = s->peer[peer];
	if (p != NULL && memcmp(p->site->site, site, CW_SITE_ID_BYTES) == 0) {
		if (s->ours.epoch != 0 && s->config.mutate != CW_SITES_MUT_FORGETS)
			must_hear(s, p, now_ns);
		return 0;
	}
	cw_sites_peer_down(s, peer, now_ns);
	at = place_of(s, site);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	if (*at == NULL) {
		*at = calloc(1, sizeof(struct far_site));
		if (*at == NULL) {
			free(p);
			return -ENOMEM;
		}
		memcpy((*at)->site, site, CW_SITE_ID_BYTES);
	}
	*p = (struct far_peer){.number = peer, .site = *at, .next = (*at)->peers, .told = true};
	(*at)->peers = p;
	s->peer[peer] = p;
	if (s->ours.epoch != 0 && s->config.mutate != CW_SITES_MUT_FORGETS)
		must_hear(s, p, now_ns);
	return 0;
}

void cw_sites_destroy(struct cw_sites *s)
{
	if (s == NULL)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (s->bucket[i] != NULL) {
			struct far_site *f = s->bucket[i];

			s->bucket[i] = f->hash_next;
			while (f->peers != NULL) {
				struct far_peer *p = f->peers;

				f->peers = p->next;
				free(p->word);
				free(p);
			}
			free(f);
		}
	}
	free(s->peer);
	free(s);
}

/* -- hearing */

static void on_table(struct cw_sites *s, struct far_peer *p, const struct cw_site_table *said)
{
	uint8_t message[CW_SITE_BYTES_MAX];
	int order = p->word == NULL ? 1 : site_table_compare(said, p->word);

	s->counts.heard++;
	if (said->epoch == 0)
		return;
	if (p->word == NULL)
		p->word = malloc(sizeof(*p->word));
	if (p->word == NULL)
		return; /* it says it again */
	if (s->config.mutate == CW_SITES_MUT_NOBALLOT)
		order = 1;
	if (order > 0 || (order == 0 && said->split != p->word->split)) {
		*p->word = *said;
		choose(s, p->site, p);
	}
	/* An old one may be confirmed as well: `best` says what counts. */
	s->ops.send(s->ctx, p->number, message,
		    site_write_table(TYPE_TABLE_ACK, p->site->site, &p->site->best, message));
}

static void on_ack(struct cw_sites *s, struct far_peer *p, const struct cw_site_table *theirs,
		   uint64_t now_ns)
{
	int order = site_table_compare(theirs, &s->ours);

	s->counts.confirmed++;
	if (order >= 0 && !p->told) {
		p->told = true;
		s->untold--;
	}
	if (order <= 0 || now_ns < s->outbid_ns || s->config.mutate == CW_SITES_MUT_NOOUTBID)
		return;
	s->outbid_ns = now_ns + OUTBID_NS;
	s->ops.outbid(s->ctx, theirs->epoch);
}

bool cw_sites_input(struct cw_sites *s, uint16_t peer, const uint8_t *data, size_t len,
		    uint64_t now_ns)
{
	struct far_peer *p = peer < s->config.peers_max ? s->peer[peer] : NULL;
	uint8_t site[CW_SITE_ID_BYTES];
	struct cw_site_table table;
	enum type type;

	if (len < 4 || (data[3] != TYPE_TABLE && data[3] != TYPE_TABLE_ACK))
		return false;
	if (!site_read_table(data, len, &type, site, &table)) {
		s->counts.malformed++;
		return true;
	}
	if (p == NULL || memcmp(site, type == TYPE_TABLE ? p->site->site : s->config.site,
				CW_SITE_ID_BYTES) != 0) {
		s->counts.foreign++;
		return true;
	}
	if (type == TYPE_TABLE)
		on_table(s, p, &table);
	else
		on_ack(s, p, &table, now_ns);
	return true;
}

void cw_sites_counts(const struct cw_sites *s, struct cw_sites_counts *out)
{
	*out = s->counts;
}
