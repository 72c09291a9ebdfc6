/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Other domains: asked of the namespace's upstream servers over the WAN port, answers kept for as
 * long as they may be.
 *
 * Against forged answers (RFC 5452): every try leaves from a random port with a random id; an
 * answer counts only from the server that this try went to, to that port, with that id and that
 * question; one question is under way once, however many hosts wait for it (section 5). EDNS keeps
 * answers in one datagram (1,232 bytes); a server that has more to say says so (TC), and so do we.
 *
 * Refuses: to cache what failed or was cut, names of our own domain (they never come here), more
 * questions than fit. A server that is silent or broken is left for the next one; after TRIES_MAX
 * tries the hosts get SERVFAIL.
 */
#include "dns.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_dns_cache.h>

#define TRIES_MAX 4u
#define TRY_NS	  (UINT64_C(1200) * CW_NS_PER_MS)

struct question_try {
	rte_be32_t server;
	rte_be16_t port;
	uint16_t id;
};

struct question {
	bool used;
	struct cw_dns_question q;
	uint8_t query[CW_DNS_QUERY_BYTES_MAX]; /* as the first host asked it */
	unsigned int tries, server;
	struct question_try sent[TRIES_MAX];
	uint64_t next_ns;
};

/* A host that waits for a question. */
struct asked {
	struct question *question; /* NULL: free */
	struct dns_asker asker;
	struct cw_dns_question q;
	uint8_t query[CW_DNS_QUERY_BYTES_MAX];
};

struct forward {
	struct cw_dns_cache *cache;
	struct question question[CW_DNS_QUESTIONS_MAX];
	struct asked asked[CW_DNS_FORWARDS_MAX];
	unsigned int questions, waiting;
};

int cw_forward_create(struct cw_control *ctl)
{
	struct forward *f = calloc(1, sizeof(*f));

	ctl->forward = f;
	return f == NULL ? -ENOMEM
			 : cw_dns_cache_create(&f->cache, cw_random_u64(&ctl->config.random));
}

void cw_forward_destroy(struct cw_control *ctl)
{
	if (ctl->forward == NULL)
		return;
	cw_dns_cache_destroy(ctl->forward->cache);
	free(ctl->forward);
	ctl->forward = NULL;
}

void cw_forward_reset(struct cw_control *ctl)
{
	cw_dns_cache_clear(ctl->forward->cache);
}

/* A response, made fit for this host: its id and question, what it takes, OPT if it sent one. */
static void pass_on(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
		    const struct cw_dns_question *q, const uint8_t *response, size_t len)
{
	uint8_t reply[CW_DNS_REPLY_BYTES_MAX];
	uint16_t flags = (uint16_t)(response[2] << 8 | response[3]);
	enum cw_dns_rcode rcode = flags & CW_DNS_RCODE;
	struct cw_dns_writer w;

	if ((flags & CW_DNS_TC) && asker->tcp != 0) {
		/* It came for the whole of it, which we could not get (decision 0008). */
		cw_dns_reply_rcode(ctl, asker, query, q, CW_DNS_SERVFAIL);
		return;
	}
	memcpy(reply, response, len);
	memcpy(reply, query, q->end);
	/* What the server is sure of (AA, AD), it told us; this host hears it from us. */
	cw_dns_reply_begin(&w, reply, sizeof(reply), q, rcode, CW_DNS_RA);
	if ((flags & CW_DNS_TC) || len > w.size) {
		w.full = true;
	} else {
		memcpy(reply + 6, response + 6, 6);
		w.len = len;
	}
	cw_dns_reply(ctl, asker, reply, cw_dns_reply_end(&w, q, rcode));
}

/* -- asking */

static void ask(struct cw_control *ctl, struct question *x)
{
	uint8_t message[CW_DNS_QUERY_BYTES_MAX + CW_DNS_OPT_BYTES];
	struct cw_dns_question q = x->q;
	struct question_try *t = &x->sent[x->tries++];
	struct cw_endpoint to = {.family = CW_FAMILY_IPV4,
				 .port = rte_cpu_to_be_16(CW_DNS_PORT),
				 .ip4 = ctl->ns.upstream[x->server % ctl->ns.upstream_count]};
	uint64_t dice = cw_random_u64(&ctl->config.random);
	uint16_t port = (uint16_t)(CW_UPSTREAM_PORT_FIRST | (dice >> 16 & CW_UPSTREAM_PORT_MASK));
	struct cw_dns_writer w;
	size_t len;

	if (rte_cpu_to_be_16(port) == ctl->config.wan_port)
		port ^= 1;
	*t = (struct question_try){
		.server = to.ip4, .port = rte_cpu_to_be_16(port), .id = (uint16_t)dice};
	x->server++;
	x->next_ns = ctl->now_ns + TRY_NS;
	memcpy(message, x->query, q.end);
	q.id = t->id;
	q.flags = CW_DNS_RD | (q.flags & CW_DNS_CD);
	q.edns = true;
	q.udp_bytes = CW_DNS_EDNS_BYTES;
	cw_dns_reply_begin(&w, message, sizeof(message), &q, CW_DNS_NOERROR, 0);
	len = cw_dns_reply_end(&w, &q, CW_DNS_NOERROR);
	message[2] &= 0x7f; /* a query, not a response */
	cw_neighbours_send_from(ctl, t->port, &to, message, len);
}

static bool same_question(const struct cw_dns_question *a, const uint8_t *am,
			  const struct cw_dns_question *b, const uint8_t *bm)
{
	return a->end == b->end && a->type == b->type && a->class == b->class &&
	       a->dnssec_ok == b->dnssec_ok && !((a->flags ^ b->flags) & CW_DNS_CD) &&
	       cw_dns_same_name(am + CW_DNS_HEADER_BYTES, bm + CW_DNS_HEADER_BYTES, a->name_bytes);
}

static struct question *find_or_ask(struct cw_control *ctl, const uint8_t *query,
				    const struct cw_dns_question *q)
{
	struct forward *f = ctl->forward;
	struct question *unused = NULL;

	for (unsigned int i = 0; i < CW_DNS_QUESTIONS_MAX; i++) {
		struct question *x = &f->question[i];

		if (x->used && same_question(&x->q, x->query, q, query))
			return x;
		if (!x->used && unused == NULL)
			unused = x;
	}
	if (unused == NULL)
		return NULL;
	*unused = (struct question){.used = true, .q = *q};
	memcpy(unused->query, query, q->end);
	/* Not always the first: the load and the waiting are shared. */
	unused->server = (unsigned int)(cw_random_u64(&ctl->config.random) & 0xff);
	f->questions++;
	ask(ctl, unused);
	return unused;
}

void cw_forward_query(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
		      const struct cw_dns_question *q)
{
	struct forward *f = ctl->forward;
	uint8_t kept[CW_DNS_EDNS_BYTES];
	struct asked *slot = NULL;
	unsigned int of_host = 0;
	size_t len = cw_dns_cache_get(f->cache, q, query, ctl->now_ns, kept, sizeof(kept));

	if (len != 0) {
		pass_on(ctl, asker, query, q, kept, len);
		return;
	}
	for (unsigned int i = 0; i < CW_DNS_FORWARDS_MAX; i++) {
		struct asked *a = &f->asked[i];

		if (a->question == NULL) {
			slot = slot == NULL ? a : slot;
			continue;
		}
		of_host += a->asker.ip == asker->ip;
		/* The host itself asks again: one answer is enough. */
		if (a->asker.ip == asker->ip && a->asker.port == asker->port && a->q.id == q->id &&
		    same_question(&a->q, a->query, q, query))
			return;
	}
	if (slot != NULL && of_host < CW_DNS_FORWARDS_PER_HOST_MAX)
		slot->question = find_or_ask(ctl, query, q);
	if (slot == NULL || slot->question == NULL) {
		cw_dns_reply_rcode(ctl, asker, query, q, CW_DNS_SERVFAIL);
		return;
	}
	slot->asker = *asker;
	slot->q = *q;
	memcpy(slot->query, query, q->end);
	f->waiting++;
}

/* -- hearing */

/* @param response NULL: SERVFAIL for all */
static void settle(struct cw_control *ctl, struct question *x, const uint8_t *response, size_t len)
{
	struct forward *f = ctl->forward;

	for (unsigned int i = 0; i < CW_DNS_FORWARDS_MAX && f->waiting > 0; i++) {
		struct asked *a = &f->asked[i];

		if (a->question != x)
			continue;
		a->question = NULL;
		f->waiting--;
		if (response != NULL)
			pass_on(ctl, &a->asker, a->query, &a->q, response, len);
		else
			cw_dns_reply_rcode(ctl, &a->asker, a->query, &a->q, CW_DNS_SERVFAIL);
	}
	x->used = false;
	f->questions--;
}

static struct question *find_asked(struct forward *f, const struct cw_punt_meta *meta, uint16_t id)
{
	for (unsigned int i = 0; i < CW_DNS_QUESTIONS_MAX && f->questions > 0; i++) {
		struct question *x = &f->question[i];

		for (unsigned int t = 0; x->used && t < x->tries; t++)
			if (x->sent[t].id == id && x->sent[t].port == meta->to_port &&
			    x->sent[t].server == meta->from.ip4)
				return x;
	}
	return NULL;
}

void cw_forward_input(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		      size_t len)
{
	uint8_t response[CW_DNS_EDNS_BYTES];
	struct cw_dns_response facts;
	struct question *x;
	unsigned int rcode;

	if (len > sizeof(response))
		return;
	memcpy(response, data, len);
	if (!cw_dns_take_response(response, &len, &facts))
		return;
	x = find_asked(ctl->forward, meta, facts.id);
	if (x == NULL || facts.question_end != x->q.end ||
	    !cw_dns_same_name(response + CW_DNS_HEADER_BYTES, x->query + CW_DNS_HEADER_BYTES,
			      x->q.name_bytes) ||
	    memcmp(response + x->q.end - 4, x->query + x->q.end - 4, 4) != 0) {
		ctl->counts.upstream_unasked++;
		return;
	}
	rcode = facts.flags & CW_DNS_RCODE;
	if (rcode != CW_DNS_NOERROR && rcode != CW_DNS_NXDOMAIN && x->tries < TRIES_MAX &&
	    x->tries < ctl->ns.upstream_count) {
		ask(ctl, x); /* this server will not; another may */
		return;
	}
	if (facts.has_ttl && !(facts.flags & CW_DNS_TC) &&
	    (rcode == CW_DNS_NOERROR || rcode == CW_DNS_NXDOMAIN))
		cw_dns_cache_put(ctl->forward->cache, &x->q, x->query, response, len, facts.ttl_s,
				 ctl->now_ns);
	settle(ctl, x, response, len);
}

void cw_forward_timer(struct cw_control *ctl)
{
	struct forward *f = ctl->forward;

	for (unsigned int i = 0; i < CW_DNS_QUESTIONS_MAX && f->questions > 0; i++) {
		struct question *x = &f->question[i];

		if (!x->used || ctl->now_ns < x->next_ns)
			continue;
		if (x->tries < TRIES_MAX && ctl->ns.upstream_count > 0) {
			ask(ctl, x);
			continue;
		}
		ctl->counts.upstream_timeouts++;
		settle(ctl, x, NULL, 0);
	}
}
