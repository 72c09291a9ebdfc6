/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of hosts: what a client calls itself (option 12) becomes its name in the namespace, by a
 * create in the registers, first come, first served.
 *
 * It is done after the mapping names the client, never in the way of an ACK. A name that another
 * client holds is tried with a number behind it, or given up, as the namespace says; whether the
 * other one is still there is read from its mapping before it is believed. A name ends with its
 * mapping: nothing is written then, the next claimant sees that the holder is gone.
 *
 * Invariant: what workers answer (ops->name) is what the registers granted to this client.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

#include <cw_dns_respond.h>

/* Names being asked for at once: after a restart a whole site's are. */
#define ASKING_MAX 64u
/* No room among those being asked for. */
#define CROWDED_NS CW_NS_PER_S
/* The registers did not answer, or moved under us each time. */
#define RETRY_NS (UINT64_C(5) * CW_NS_PER_S)
/* Everything was taken: it may be free one day. */
#define TAKEN_NS   (UINT64_C(300) * CW_NS_PER_S)
#define NUMBER_MAX 99u
#define TRIES_MAX  4u

/* One attempt, from submit to answer; the binding may be gone by then. */
struct attempt {
	struct cw_lease_engine *e;
	rte_be32_t ip;
	struct cw_client_hash client;
	char candidate[CW_HOST_NAME_BYTES];
	unsigned int tries;
	struct cw_name_record seen;
};

/* The first label in lower case, if a host may be called so; else "". */
static void label_of(const struct cw_lease_engine *e, const char *name,
		     char out[CW_HOST_NAME_BYTES])
{
	size_t len = strcspn(name, ".");

	if (len >= CW_HOST_NAME_BYTES)
		len = 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
	out[len] = '\0';
	if (!cw_law_name_valid(out) || cw_dns_label_is_taken(&e->config.ns.subnet, out))
		out[0] = '\0';
}

static void candidate_of(const struct binding_name *n, char out[CW_HOST_NAME_BYTES])
{
	char number[12] = "";
	size_t len = strlen(n->wanted), more;

	if (n->number > 1)
		snprintf(number, sizeof(number), "-%u", n->number);
	more = strlen(number);
	if (len + more >= CW_HOST_NAME_BYTES)
		len = CW_HOST_NAME_BYTES - 1 - more;
	memcpy(out, n->wanted, len);
	memcpy(out + len, number, more + 1);
}

static void tell(struct cw_lease_engine *e, const struct binding *b, bool stands)
{
	if (e->ops.name != NULL)
		e->ops.name(e->ctx, b->ip, b->names.label, stands, e->now_ns);
}

/* The binding this attempt was for, if it still is; the attempt is over for everybody else. */
static struct binding *still(struct attempt *a, uint64_t now_ns)
{
	struct binding *b = binding_find(a->e, a->ip);

	a->e->now_ns = now_ns;
	if (b == NULL || !b->names.asking || b->stopped || !binding_is_of(b, &a->client))
		return NULL;
	return b;
}

static void over(struct attempt *a, struct binding *b, uint64_t retry_ns)
{
	a->e->names_asking--;
	if (b != NULL) {
		b->names.asking = false;
		b->names.retry_ns = a->e->now_ns + retry_ns;
		binding_due(a->e, b, b->names.retry_ns);
	}
	free(a);
}

/* The binding went or changed hands while we asked. */
static void void_attempt(struct attempt *a)
{
	struct binding *b = binding_find(a->e, a->ip);

	over(a, b, 0);
}

static void taken(struct attempt *a, struct binding *b)
{
	struct cw_lease_engine *e = a->e;
	struct binding_name *n = &b->names;

	if (e->config.ns.name_policy == CW_NAMES_NUMBERED && n->number < NUMBER_MAX) {
		n->number++;
		over(a, b, 0);
		return;
	}
	cw_log(e->config.log, CW_LOG_NOTICE, MODULE,
	       "host name %s is another client's: its second claimant has its computed name only",
	       n->wanted);
	n->number = 1;
	over(a, b, TAKEN_NS);
}

static void create(struct attempt *a, struct binding *b, uint64_t ver, bool proof);

static void on_holder(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct attempt *a = arg;
	struct binding *b = still(a, now_ns);
	const struct cw_mapping *m = &answer->mapping;

	if (b == NULL)
		void_attempt(a);
	else if (answer->result != CW_STORE_OK)
		over(a, b, RETRY_NS);
	else if (m->client_state == CW_CLIENT_BOUND && m->entry_count > 0 &&
		 memcmp(&m->client, &a->seen.client, sizeof(m->client)) == 0)
		taken(a, b);
	else
		create(a, b, a->seen.ver, true);
}

/* Somebody has it: is it still there? */
static void look_at_holder(struct attempt *a, struct binding *b)
{
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = true, .ip = a->seen.ip, .budget_ns = OP_NS};

	if (cw_store_submit(&a->e->config.store, &request, on_holder, a, a->e->now_ns) < 0)
		over(a, b, RETRY_NS);
}

static void on_created(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct attempt *a = arg;
	struct binding *b = still(a, now_ns);

	if (b == NULL) {
		void_attempt(a);
		return;
	}
	a->seen = answer->name;
	if (answer->result == CW_STORE_OK) {
		memcpy(b->names.label, a->candidate, sizeof(a->candidate));
		b->names.ver = answer->name.ver;
		tell(a->e, b, true);
		over(a, b, 0);
	} else if ((answer->result != CW_STORE_CONFLICT && answer->result != CW_STORE_EXISTS) ||
		   ++a->tries == TRIES_MAX) {
		over(a, b, RETRY_NS);
	} else if (!a->seen.held || memcmp(&a->seen.client, &a->client, sizeof(a->client)) == 0) {
		create(a, b, a->seen.ver, false);
	} else {
		look_at_holder(a, b);
	}
}

static void create(struct attempt *a, struct binding *b, uint64_t ver, bool proof)
{
	struct cw_store_request request = {.verb = CW_STORE_NAME_CREATE,
					   .ver = ver,
					   .has_proof = proof,
					   .ip = a->ip,
					   .client = a->client,
					   .budget_ns = OP_NS};

	memcpy(request.host_name, a->candidate, sizeof(request.host_name));
	if (cw_store_submit(&a->e->config.store, &request, on_created, a, a->e->now_ns) < 0)
		over(a, b, RETRY_NS);
}

static void ignore(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	(void)arg;
	(void)answer;
	(void)now_ns;
}

/* The client calls itself something else now: its old name is free at once. */
static void give_back(struct cw_lease_engine *e, struct binding *b)
{
	struct cw_store_request request = {.verb = CW_STORE_NAME_RELEASE,
					   .ver = b->names.ver,
					   .client = b->who.hash,
					   .budget_ns = OP_NS};

	memcpy(request.host_name, b->names.label, sizeof(request.host_name));
	names_withdraw(e, b);
	/* If it does not arrive, the name ends with the mapping. */
	if (cw_store_submit(&e->config.store, &request, ignore, NULL, e->now_ns) < 0)
		cw_log(e->config.log, CW_LOG_DEBUG, MODULE, "name not released");
}

void names_withdraw(struct cw_lease_engine *e, struct binding *b)
{
	if (b->names.label[0] != '\0')
		tell(e, b, false);
	b->names.label[0] = '\0';
}

void names_tick(struct cw_lease_engine *e, struct binding *b)
{
	struct binding_name *n = &b->names;
	struct attempt *a;

	if (b->stopped || b->client_state != CW_CLIENT_BOUND ||
	    e->config.ns.name_policy == CW_NAMES_OFF) {
		names_withdraw(e, b);
		return;
	}
	if (n->asking || e->now_ns < n->retry_ns || !b->written)
		return;
	if (strcmp(n->from, b->name) != 0) {
		memcpy(n->from, b->name, sizeof(n->from));
		if (n->label[0] != '\0')
			give_back(e, b);
		label_of(e, n->from, n->wanted);
		n->number = 1;
	}
	if (n->wanted[0] == '\0' || n->label[0] != '\0')
		return;
	n->retry_ns = e->now_ns + CROWDED_NS;
	a = e->names_asking < ASKING_MAX ? calloc(1, sizeof(*a)) : NULL;
	if (a == NULL)
		return;
	*a = (struct attempt){.e = e, .ip = b->ip, .client = b->who.hash};
	candidate_of(n, a->candidate);
	e->names_asking++;
	n->asking = true;
	create(a, b, 0, false);
}

uint64_t names_due(const struct cw_lease_engine *e, const struct binding *b)
{
	const struct binding_name *n = &b->names;

	if (n->asking || b->stopped || !b->written || b->client_state != CW_CLIENT_BOUND ||
	    e->config.ns.name_policy == CW_NAMES_OFF)
		return CW_NEVER;
	if (strcmp(n->from, b->name) != 0)
		return e->now_ns;
	return n->wanted[0] != '\0' && n->label[0] == '\0' ? n->retry_ns : CW_NEVER;
}
