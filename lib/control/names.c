/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host names in the published table: those of our own hosts, told by the lease engine, and those of
 * other sites, learnt from the registers when somebody asks.
 *
 * A name stands while its mapping is bound to the client that registered it: both registers are
 * read before a name of another site is believed. What is believed lives for KNOWN_NS and is asked
 * again before that while it is in use; that nobody has a name is believed for a moment only. A
 * register that does not answer leaves the table as it is: names get old, they do not turn into
 * lies.
 *
 * Invariant: a name of a host here is never replaced by what a register says.
 */
#include "dns.h"

#include <errno.h>
#include <stdlib.h>

/* A mapping is cached that long anywhere (CW_STORE_CACHE_NS): names get no older. */
#define KNOWN_NS   CW_STORE_CACHE_NS
#define REFRESH_NS (UINT64_C(3) * CW_NS_PER_S)
/* In use: asked for within this time. */
#define USED_NS (UINT64_C(15) * CW_NS_PER_S)
#define ASK_NS	(UINT64_C(2500) * CW_NS_PER_MS)
#define BUCKETS 1024u

struct lookup {
	struct lookup *next;
	char label[CW_NAME_LABEL_BYTES];
	bool asking;
	uint64_t expires_ns;
	struct cw_name_record record;
	struct cw_control *ctl;
};

struct names {
	struct lookup *bucket[BUCKETS];
	unsigned int count, cursor;
};

int cw_names_create(struct cw_control *ctl)
{
	ctl->lookups = calloc(1, sizeof(*ctl->lookups));
	return ctl->lookups == NULL ? -ENOMEM : 0;
}

void cw_names_destroy(struct cw_control *ctl)
{
	if (ctl->lookups == NULL)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++)
		while (ctl->lookups->bucket[i] != NULL) {
			struct lookup *next = ctl->lookups->bucket[i]->next;

			free(ctl->lookups->bucket[i]);
			ctl->lookups->bucket[i] = next;
		}
	free(ctl->lookups);
	ctl->lookups = NULL;
}

static unsigned int bucket_of(const char *label)
{
	uint32_t h = 2166136261u;

	while (*label != '\0')
		h = (h ^ (uint8_t)*label++) * 16777619u;
	return h % BUCKETS;
}

static bool is_local(const struct cw_control *ctl, const char *label)
{
	const struct cw_name *name = cw_name_find(ctl->names, label, strlen(label));

	return name != NULL && name->is_local;
}

static void learnt(struct lookup *l, rte_be32_t ip)
{
	struct cw_control *ctl = l->ctl;
	struct cw_name facts = {.ip = ip};

	l->expires_ns = ctl->now_ns + (ip != 0 ? KNOWN_NS : CW_NEGATIVE_NS);
	facts.expires_tsc = ctl->ops.tsc_of_ns(ctl->ctx, l->expires_ns);
	memcpy(facts.label, l->label, sizeof(facts.label));
	if (!is_local(ctl, l->label) && cw_name_publish(ctl->names, &facts) < 0)
		cw_log(ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE,
		       "no room for another name");
	cw_dns_name_settled(ctl, l->label);
}

static void on_mapping(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct lookup *l = arg;
	const struct cw_mapping *m = &answer->mapping;

	l->ctl->now_ns = now_ns;
	l->asking = false;
	if (answer->result != CW_STORE_OK) {
		cw_dns_name_settled(l->ctl, l->label);
		return;
	}
	learnt(l, m->client_state == CW_CLIENT_BOUND && m->entry_count > 0 &&
				  memcmp(&m->client, &l->record.client, sizeof(m->client)) == 0
			  ? l->record.ip
			  : 0);
}

static void on_name(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct lookup *l = arg;
	struct cw_control *ctl = l->ctl;
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .ip = answer->name.ip, .budget_ns = ASK_NS};

	ctl->now_ns = now_ns;
	l->asking = false;
	if (answer->result == CW_STORE_NOT_FOUND) {
		learnt(l, 0);
		return;
	}
	l->record = answer->name;
	if (answer->result == CW_STORE_OK)
		l->asking = cw_store_submit(&ctl->store, &request, on_mapping, l, ctl->now_ns) == 0;
	if (!l->asking)
		cw_dns_name_settled(ctl, l->label);
}

static bool ask(struct lookup *l)
{
	struct cw_control *ctl = l->ctl;
	struct cw_store_request request = {.verb = CW_STORE_NAME_GET, .budget_ns = ASK_NS};

	memcpy(request.host_name, l->label, sizeof(request.host_name));
	l->asking = cw_store_submit(&ctl->store, &request, on_name, l, ctl->now_ns) == 0;
	return l->asking;
}

bool cw_names_ask(struct cw_control *ctl, const char *label)
{
	struct lookup **at = &ctl->lookups->bucket[bucket_of(label)];
	struct lookup *l;

	if (!ctl->have_store)
		return false;
	while (*at != NULL && strcmp((*at)->label, label) != 0)
		at = &(*at)->next;
	l = *at;
	if (l == NULL) {
		if (ctl->lookups->count >= CW_DNS_LOOKUPS_MAX)
			return false;
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			return false;
		memcpy(l->label, label, strlen(label) + 1);
		l->ctl = ctl;
		*at = l;
		ctl->lookups->count++;
	}
	return l->asking || ask(l);
}

/* @return true when it is to be forgotten. */
static bool look_at(struct cw_control *ctl, struct lookup *l)
{
	const struct cw_name *name;
	uint64_t used_ns;

	if (l->asking || ctl->now_ns + REFRESH_NS < l->expires_ns)
		return false;
	name = cw_name_find(ctl->names, l->label, strlen(l->label));
	if (name != NULL && name->is_local)
		return true;
	used_ns = name == NULL ? 0
			       : ctl->ops.ns_of_tsc(ctl->ctx, __atomic_load_n(&name->used_tsc,
									      __ATOMIC_RELAXED));
	if (name != NULL && name->ip != 0 && name->used_tsc != 0 &&
	    ctl->now_ns < used_ns + USED_NS) {
		ask(l);
		return false;
	}
	if (ctl->now_ns < l->expires_ns)
		return false;
	if (name != NULL)
		cw_name_retire(ctl->names, l->label);
	return true;
}

/* A part of the lookups per call: all of them within a second. */
void cw_names_timer(struct cw_control *ctl)
{
	struct names *n = ctl->lookups;

	for (unsigned int i = 0; i < BUCKETS / 8 && n->count > 0; i++) {
		struct lookup **at = &n->bucket[n->cursor++ % BUCKETS];

		while (*at != NULL) {
			struct lookup *l = *at;

			if (!look_at(ctl, l)) {
				at = &l->next;
				continue;
			}
			*at = l->next;
			free(l);
			n->count--;
		}
	}
}

void cw_names_local(struct cw_control *ctl, rte_be32_t ip, const char *label, bool stands)
{
	struct cw_name facts = {.ip = ip, .is_local = true, .expires_tsc = UINT64_MAX};
	const struct cw_name *name = cw_name_find(ctl->names, label, strlen(label));

	if (!stands) {
		if (name != NULL && name->is_local && name->ip == ip)
			cw_name_retire(ctl->names, label);
		return;
	}
	memcpy(facts.label, label, strlen(label) + 1);
	if (cw_name_publish(ctl->names, &facts) < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no room for another name: %s is not answered", label);
	cw_dns_name_settled(ctl, label);
}
