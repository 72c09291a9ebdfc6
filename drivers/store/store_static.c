/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers in memory, linearizable because there is one of each, under the law of cw_law.h. For
 * labs with one gateway and for tests; several gateways of one process may attach to one set of
 * registers.
 *
 * Requests are queued at submit and carried out by the next timer call, so `done` is never called
 * from inside submit.
 */
#include "cw_store_drivers.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_law.h>

#define QUEUE_MAX 4096u
#define NS_MAX	  16u

struct session {
	struct session *next;
	struct cw_node_id node;
	uint64_t sgen;
	bool open;
	uint64_t renewed_ns, opened_ns;
};

struct mapping {
	struct mapping *next;
	rte_be32_t ip;
	struct cw_mapping m;
};

struct hint {
	struct hint *next;
	struct cw_client_hash client;
	rte_be32_t ip;
};

struct name {
	struct name *next;
	char label[CW_HOST_NAME_BYTES];
	struct cw_name_record record;
};

struct plain {
	struct plain *next;
	uint8_t kind, name_len, name[CW_STORE_REG_NAME_BYTES];
	struct cw_law_register r;
	uint64_t renewed_ns;
};

struct client {
	struct client *next;
	struct cw_store_static *registers;
	struct cw_law_claimant who;
	struct cw_store_events events;
	struct queued *queue, **tail;
	unsigned int count;
};

struct queued {
	struct queued *next;
	struct cw_store_request request;
	cw_store_done_fn done;
	void *arg;
	uint64_t first_ns;
};

struct cw_store_static {
	struct session *sessions;
	struct mapping *mappings;
	struct hint *hints;
	struct name *names;
	struct plain *plains;
	struct client *clients;
	struct cw_namespace_record ns[NS_MAX];
	unsigned int ns_count;
};

int cw_store_static_create(struct cw_store_static **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

static void free_client(struct client *c)
{
	while (c->queue != NULL) {
		struct queued *next = c->queue->next;

		free(c->queue);
		c->queue = next;
	}
	free(c);
}

void cw_store_static_destroy(struct cw_store_static *r)
{
	if (r == NULL)
		return;
	while (r->sessions != NULL) {
		struct session *next = r->sessions->next;

		free(r->sessions);
		r->sessions = next;
	}
	while (r->mappings != NULL) {
		struct mapping *next = r->mappings->next;

		free(r->mappings);
		r->mappings = next;
	}
	while (r->hints != NULL) {
		struct hint *next = r->hints->next;

		free(r->hints);
		r->hints = next;
	}
	while (r->names != NULL) {
		struct name *next = r->names->next;

		free(r->names);
		r->names = next;
	}
	while (r->plains != NULL) {
		struct plain *next = r->plains->next;

		free(r->plains);
		r->plains = next;
	}
	while (r->clients != NULL) {
		struct client *next = r->clients->next;

		free_client(r->clients);
		r->clients = next;
	}
	free(r);
}

static struct session *session_of(struct cw_store_static *r, const struct cw_node_id *node,
				  uint64_t now_ns)
{
	struct session *s = r->sessions;

	while (s != NULL && !cw_node_id_equal(&s->node, node))
		s = s->next;
	if (s != NULL && s->open && now_ns - s->renewed_ns >= cw_law_session_over_ns())
		s->open = false;
	return s;
}

static struct cw_session_proof prove(struct cw_store_static *r, const struct cw_mapping_entry *e,
				     uint64_t now_ns)
{
	struct session *s = session_of(r, &e->node, now_ns);

	if (s == NULL)
		return (struct cw_session_proof){.over = true, .age_ns = UINT64_C(1) << 62};
	return (struct cw_session_proof){
		.over = s->sgen != e->sgen || !s->open,
		.age_ns = now_ns - (s->sgen > e->sgen ? s->opened_ns : s->renewed_ns)};
}

static void session_verb(struct client *c, const struct cw_store_request *q,
			 struct cw_store_answer *a, uint64_t now_ns)
{
	struct cw_store_static *r = c->registers;
	struct session *s = session_of(r, &c->who.node, now_ns);

	a->sgen = q->sgen;
	if (q->verb == CW_STORE_SESSION_OPEN) {
		if (s != NULL && s->open && s->sgen != q->sgen) {
			a->result = CW_STORE_BUSY;
			return;
		}
		if (s == NULL) {
			s = calloc(1, sizeof(*s));
			if (s == NULL) {
				a->result = CW_STORE_TIMEOUT;
				return;
			}
			s->node = c->who.node;
			s->next = r->sessions;
			r->sessions = s;
		}
		s->sgen++;
		s->open = true;
		s->renewed_ns = s->opened_ns = now_ns;
		a->sgen = s->sgen;
		return;
	}
	if (s == NULL || !s->open || s->sgen != q->sgen) {
		a->result = q->verb == CW_STORE_SESSION_CLOSE ? CW_STORE_OK : CW_STORE_LOST;
		return;
	}
	if (q->verb == CW_STORE_SESSION_CLOSE)
		s->open = false;
	else
		s->renewed_ns = now_ns;
}

static struct mapping *mapping_of(struct cw_store_static *r, rte_be32_t ip)
{
	struct mapping *m = r->mappings;

	while (m != NULL && m->ip != ip)
		m = m->next;
	if (m != NULL)
		return m;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->ip = ip;
	m->next = r->mappings;
	r->mappings = m;
	return m;
}

static void mapping_verb(struct client *c, const struct cw_store_request *q,
			 struct cw_store_answer *a, uint64_t now_ns)
{
	struct cw_store_static *r = c->registers;
	struct mapping *m = mapping_of(r, q->ip);
	struct cw_session_proof proofs[CW_MAPPING_ENTRIES_MAX] = {{0}};
	struct session *own = session_of(r, &c->who.node, now_ns);
	struct cw_mapping after;
	uint8_t left;

	if (m == NULL) {
		a->result = CW_STORE_TIMEOUT;
		return;
	}
	a->mapping = m->m;
	if (q->verb == CW_STORE_MAP_GET)
		return;
	for (unsigned int i = 0; i < m->m.entry_count; i++)
		proofs[i] = prove(r, &m->m.entries[i], now_ns);
	if (q->verb == CW_STORE_LOOK) {
		a->result = cw_law_judge(&m->m, proofs, &c->who, q, &left, a);
		return;
	}
	a->result = cw_law_apply(&m->m, proofs, &c->who,
				 own != NULL && own->open && own->sgen == q->sgen, q, &after, a);
	if (a->result != CW_STORE_OK)
		return;
	m->m = after;
	a->mapping = after;
	for (struct client *other = r->clients; other != NULL; other = other->next)
		if (other->events.changed != NULL)
			other->events.changed(other->events.ctx, q->ip, &after, now_ns);
}

static struct hint *hint_of(struct cw_store_static *r, const struct cw_client_hash *client)
{
	struct hint *h = r->hints;

	while (h != NULL && memcmp(&h->client, client, sizeof(*client)) != 0)
		h = h->next;
	return h;
}

static void client_verb(struct client *c, const struct cw_store_request *q,
			struct cw_store_answer *a)
{
	struct cw_store_static *r = c->registers;
	const struct cw_mapping *m;
	struct hint *h;

	if (q->verb == CW_STORE_CLIENTS_GET) {
		for (unsigned int i = 0; i < q->client_count; i++) {
			h = hint_of(r, &q->clients[i]);
			a->client_found[i] = h != NULL;
			a->client_ip[i] = h != NULL ? h->ip : 0;
		}
		return;
	}
	h = hint_of(r, &q->client);
	if (h == NULL) {
		h = calloc(1, sizeof(*h));
		if (h == NULL)
			return;
		h->client = q->client;
		h->ip = q->ip;
		h->next = r->hints;
		r->hints = h;
		return;
	}
	m = &mapping_of(r, h->ip)->m;
	if (m->entry_count == 0 || m->client_state != CW_CLIENT_BOUND ||
	    memcmp(&m->client, &q->client, sizeof(q->client)) != 0)
		h->ip = q->ip;
}

static void name_verb(struct client *c, const struct cw_store_request *q, struct cw_store_answer *a)
{
	struct name *n = c->registers->names;
	struct cw_name_record after, before = {0};

	while (n != NULL && strcmp(n->label, q->host_name) != 0)
		n = n->next;
	if (n != NULL)
		before = n->record;
	a->name = before;
	if (q->verb == CW_STORE_NAME_GET) {
		a->result = before.held ? CW_STORE_OK : CW_STORE_NOT_FOUND;
		return;
	}
	a->result = cw_law_name(&before, q, &after);
	if (a->result != CW_STORE_OK)
		return;
	if (n == NULL) {
		n = calloc(1, sizeof(*n));
		if (n == NULL) {
			a->result = CW_STORE_TIMEOUT;
			return;
		}
		memcpy(n->label, q->host_name, sizeof(n->label));
		n->next = c->registers->names;
		c->registers->names = n;
	}
	n->record = a->name = after;
}

static void ns_verb(struct client *c, const struct cw_store_request *q, struct cw_store_answer *a,
		    uint64_t now_ns)
{
	struct cw_store_static *r = c->registers;
	const char *name = q->verb == CW_STORE_NS_GET ? q->ns_name : q->ns.name;
	struct cw_namespace_record *ns = NULL;

	for (unsigned int i = 0; i < r->ns_count; i++)
		if (strcmp(r->ns[i].name, name) == 0)
			ns = &r->ns[i];
	if (q->verb == CW_STORE_NS_GET) {
		a->result = ns != NULL ? CW_STORE_OK : CW_STORE_NOT_FOUND;
		if (ns != NULL)
			a->ns = *ns;
		return;
	}
	if ((ns != NULL ? ns->ver : 0) != q->ver || (ns == NULL && r->ns_count == NS_MAX)) {
		a->result = q->ver == 0 ? CW_STORE_EXISTS : CW_STORE_CONFLICT;
		return;
	}
	if (ns == NULL)
		ns = &r->ns[r->ns_count++];
	*ns = q->ns;
	ns->ver = q->ver + 1;
	a->ns = *ns;
	for (struct client *other = r->clients; other != NULL; other = other->next)
		if (other->events.ns_changed != NULL)
			other->events.ns_changed(other->events.ctx, ns, now_ns);
}

static struct plain *plain_of(struct cw_store_static *r, const struct cw_store_request *q)
{
	struct plain *p = r->plains;

	while (p != NULL && (p->kind != q->reg_kind || p->name_len != q->reg_name_len ||
			     memcmp(p->name, q->reg_name, q->reg_name_len) != 0))
		p = p->next;
	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->kind = q->reg_kind;
	p->name_len = q->reg_name_len;
	memcpy(p->name, q->reg_name, q->reg_name_len);
	p->next = r->plains;
	r->plains = p;
	return p;
}

static bool plain_over(struct cw_store_static *r, const struct plain *p, uint64_t now_ns)
{
	struct cw_mapping_entry holder = {.node = p->r.reg.owner, .sgen = p->r.reg.tag};

	if (!p->r.reg.held)
		return false;
	return p->r.leased ? now_ns - p->renewed_ns >= cw_law_session_over_ns()
			   : prove(r, &holder, now_ns).over;
}

static void plain_verb(struct client *c, const struct cw_store_request *q,
		       struct cw_store_answer *a, uint64_t now_ns)
{
	/* One process, whose memory all of this is. */
	struct cw_law_caller who = {.node = c->who.node, .incarnation = 1};
	struct plain *p = plain_of(c->registers, q);
	struct cw_law_register after;
	bool writes;

	if (p == NULL) {
		a->result = CW_STORE_TIMEOUT;
		return;
	}
	a->result = cw_law_register(&p->r, &who, q, plain_over(c->registers, p, now_ns), &after,
				    &writes);
	a->reg = after.reg;
	if (!writes)
		return;
	p->r = after;
	p->renewed_ns = q->verb == CW_STORE_REG_CAS ? p->renewed_ns : now_ns;
}

static void carry_out(struct client *c, const struct queued *q, uint64_t now_ns)
{
	struct cw_store_answer a = {.result = cw_law_request(&q->request),
				    .first_send_ns = q->first_ns};

	if (a.result != CW_STORE_OK) {
		q->done(q->arg, &a, now_ns);
		return;
	}
	switch (q->request.verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		session_verb(c, &q->request, &a, now_ns);
		break;
	case CW_STORE_CLIENTS_GET:
	case CW_STORE_CLIENT_PUT:
		client_verb(c, &q->request, &a);
		break;
	case CW_STORE_NS_GET:
	case CW_STORE_NS_PUT:
		ns_verb(c, &q->request, &a, now_ns);
		break;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		name_verb(c, &q->request, &a);
		break;
	case CW_STORE_MAP_WATCH:
	case CW_STORE_MAP_UNWATCH:
		break; /* everybody attached hears of every change */
	case CW_STORE_REG_GET:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
	case CW_STORE_REG_KILL:
		plain_verb(c, &q->request, &a, now_ns);
		break;
	default:
		mapping_verb(c, &q->request, &a, now_ns);
	}
	q->done(q->arg, &a, now_ns);
}

static int submit(void *store, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	struct client *c = store;
	struct queued *q;

	if (c->count >= QUEUE_MAX)
		return -ENOSPC;
	q = malloc(sizeof(*q));
	if (q == NULL)
		return -ENOSPC;
	*q = (struct queued){.request = *request, .done = done, .arg = arg, .first_ns = now_ns};
	*c->tail = q;
	c->tail = &q->next;
	c->count++;
	return 0;
}

static uint64_t timer(void *store, uint64_t now_ns)
{
	struct client *c = store;
	struct queued *list = c->queue;

	c->queue = NULL;
	c->tail = &c->queue;
	c->count = 0;
	while (list != NULL) {
		struct queued *next = list->next;

		carry_out(c, list, now_ns);
		free(list);
		list = next;
	}
	return c->queue != NULL ? now_ns : CW_NEVER;
}

static void health(void *store, struct cw_store_health *out)
{
	(void)store;
	*out = (struct cw_store_health){.founded = true,
					.quorum = true,
					.voters = 1,
					.voters_reachable = 1,
					.voter_here = true};
}

int cw_store_static_attach(struct cw_store_static *registers, const struct cw_node_id *node,
			   const struct cw_site_id *site, const struct cw_store_events *events,
			   struct cw_store *out)
{
	static const struct cw_store_ops ops = {
		.name = "static", .submit = submit, .timer = timer, .health = health};
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->registers = registers;
	c->who.node = *node;
	c->who.site = *site;
	if (events != NULL)
		c->events = *events;
	c->tail = &c->queue;
	c->next = registers->clients;
	registers->clients = c;
	*out = (struct cw_store){.ops = &ops, .self = c};
	return 0;
}
