/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records between their struct and their protobuf form, for the wire and the log. Whatever comes in
 * is checked in full: lengths, counts, enums; what does not fit is refused as a whole, never cut.
 */
#include "internal.h"

/* A host with an address of its own, on the wire: MAC, address. */
#define CW_NS_HOST_BYTES 10u

/* A record's message with everything that is not the record's own, in one allocation; the record
 * must outlive it. */
struct packed_record {
	Causeway__Dht__Record record;
	Causeway__Dht__Rid rid, hist_rid[HIST];
	Causeway__Dht__Made made[HIST], *made_at[HIST];
	Causeway__Dht__Stamp stamp;
	struct cw_node_id stamp_node;
	Causeway__Dht__Warrant warrant;
	Causeway__Dht__Rid warrant_rid;
	Causeway__Dht__Session session;
	Causeway__Dht__Mapping mapping;
	Causeway__Dht__Entry entries[CW_MAPPING_ENTRIES_MAX], *entry_at[CW_MAPPING_ENTRIES_MAX];
	Causeway__Dht__Client client;
	Causeway__Dht__Namespace ns;
	Causeway__Dht__Range ranges[CW_NS_RESERVED_MAX], *range_at[CW_NS_RESERVED_MAX];
	uint32_t ntp[CW_NS_SERVERS_MAX], upstream[CW_NS_SERVERS_MAX];
	uint8_t hosts[CW_NS_HOSTS_MAX * CW_NS_HOST_BYTES];
	Causeway__Dht__Boot boot, class_boot[CW_NS_CLASSES_MAX];
	Causeway__Dht__Class classes[CW_NS_CLASSES_MAX], *class_at[CW_NS_CLASSES_MAX];
	Causeway__Dht__Name name;
	Causeway__Dht__Value reg;
};

struct arena_block {
	struct arena_block *next;
	_Alignas(16) uint8_t bytes[];
};

void arena_init(struct arena *a)
{
	a->blocks = NULL;
	a->used = 0;
	a->failed = false;
}

void *arena_get(struct arena *a, size_t len)
{
	struct arena_block *b;

	len = (len + 15) & ~(size_t)15;
	if (a->used + len <= sizeof(a->first)) {
		a->used += len;
		return memset(a->first + a->used - len, 0, len);
	}
	b = calloc(1, sizeof(*b) + len);
	if (b == NULL) {
		a->failed = true;
		CW_ASSERT(len <= sizeof(a->first));
		return memset(a->first, 0, len); /* whatever: nothing of it is sent */
	}
	b->next = a->blocks;
	a->blocks = b;
	return b->bytes;
}

void arena_free(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
}

ProtobufCBinaryData bytes_view(const void *data, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
}

static ProtobufCBinaryData view(const void *data, size_t len)
{
	return bytes_view(data, len);
}

bool node_unpack(const ProtobufCBinaryData *in, struct cw_node_id *out)
{
	if (in->len != CW_NODE_ID_BYTES)
		return false;
	memcpy(out->b, in->data, CW_NODE_ID_BYTES);
	return true;
}

void rid_pack(const struct rid *rid, Causeway__Dht__Rid *out)
{
	causeway__dht__rid__init(out);
	out->node = view(rid->node.b, CW_NODE_ID_BYTES);
	out->incarnation = rid->incarnation;
	out->counter = rid->counter;
}

bool rid_unpack(const Causeway__Dht__Rid *in, struct rid *out)
{
	if (in == NULL || !node_unpack(&in->node, &out->node))
		return false;
	out->incarnation = in->incarnation;
	out->counter = in->counter;
	return true;
}

bool signature_unpack(const ProtobufCBinaryData *public_key, const ProtobufCBinaryData *signature,
		      struct warrant *out)
{
	if (public_key->len == 0 || public_key->len > sizeof(out->public_key) ||
	    signature->len == 0 || signature->len > sizeof(out->signature))
		return false;
	out->public_key_len = (uint8_t)public_key->len;
	memcpy(out->public_key, public_key->data, public_key->len);
	out->signature_len = (uint8_t)signature->len;
	memcpy(out->signature, signature->data, signature->len);
	return true;
}

static void pack_mapping(const struct record *r, struct packed_record *p)
{
	const struct cw_mapping *m = &r->mapping;

	causeway__dht__mapping__init(&p->mapping);
	p->mapping.ip = r->ip;
	p->mapping.client_state = m->client_state;
	p->mapping.client = view(&m->client, sizeof(m->client));
	p->mapping.mac = view(m->mac.b, sizeof(m->mac.b));
	p->mapping.owned = m->owned;
	p->mapping.owner = view(m->owner.b, CW_NODE_ID_BYTES);
	p->mapping.owner_site = view(m->owner_site.b, sizeof(m->owner_site.b));
	p->mapping.n_entries = m->entry_count;
	p->mapping.entries = p->entry_at;
	for (unsigned int i = 0; i < m->entry_count; i++) {
		const struct cw_mapping_entry *e = &m->entries[i];
		Causeway__Dht__Entry *out = &p->entries[i];

		causeway__dht__entry__init(out);
		out->node = view(e->node.b, CW_NODE_ID_BYTES);
		out->site = view(e->site.b, sizeof(e->site.b));
		out->sgen = e->sgen;
		out->cover_ns = e->cover_ns;
		out->stopped = e->stopped;
		p->entry_at[i] = out;
	}
	p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_MAPPING;
	p->record.mapping = &p->mapping;
}

static void pack_boot(const struct cw_ns_boot *boot, Causeway__Dht__Boot *out)
{
	causeway__dht__boot__init(out);
	out->next_server = boot->next_server;
	out->file = (char *)(uintptr_t)boot->file;
}

/* What DHCP says beyond the constants every namespace has. */
static void pack_ns_options(const struct cw_namespace_record *ns, struct packed_record *p)
{
	p->ns.rapid_commit = ns->rapid_commit;
	p->ns.authoritative = ns->authoritative;
	p->ns.static_hosts = ns->static_hosts;
	p->ns.extra = view(ns->extra, ns->extra_bytes);
	for (unsigned int i = 0; i < ns->host_count; i++) {
		memcpy(p->hosts + (size_t)i * CW_NS_HOST_BYTES, ns->hosts[i].mac.b, 6);
		memcpy(p->hosts + (size_t)i * CW_NS_HOST_BYTES + 6, &ns->hosts[i].ip, 4);
	}
	p->ns.hosts = view(p->hosts, ns->host_count * (size_t)CW_NS_HOST_BYTES);
	pack_boot(&ns->boot, &p->boot);
	p->ns.boot = &p->boot;
	p->ns.n_classes = ns->class_count;
	p->ns.classes = p->class_at;
	for (unsigned int i = 0; i < ns->class_count; i++) {
		const struct cw_ns_class *from = &ns->classes[i];

		causeway__dht__class__init(&p->classes[i]);
		p->classes[i].option = from->option;
		p->classes[i].match = (char *)(uintptr_t)from->match;
		p->classes[i].extra = view(from->extra, from->extra_bytes);
		pack_boot(&from->boot, &p->class_boot[i]);
		p->classes[i].boot = &p->class_boot[i];
		p->class_at[i] = &p->classes[i];
	}
}

static void pack_ns(struct arena *a, const struct cw_namespace_record *ns, struct packed_record *p)
{
	causeway__dht__namespace__init(&p->ns);
	p->ns.name = (char *)(uintptr_t)ns->name;
	p->ns.domain = (char *)(uintptr_t)ns->domain;
	p->ns.subnet = ns->subnet.ip;
	p->ns.prefix_len = ns->subnet.len;
	p->ns.lease_s = ns->lease_s;
	p->ns.lease_longest_s = ns->lease_longest_s;
	p->ns.mtu_bytes = ns->mtu_bytes;
	p->ns.mac_base = ns->mac_base;
	p->ns.router = ns->router;
	p->ns.n_reserved = ns->reserved_count;
	p->ns.reserved = p->range_at;
	for (unsigned int i = 0; i < ns->reserved_count; i++) {
		causeway__dht__range__init(&p->ranges[i]);
		p->ranges[i].first = ns->reserved[i].first;
		p->ranges[i].last = ns->reserved[i].last;
		p->range_at[i] = &p->ranges[i];
	}
	p->ns.n_ntp = ns->ntp_count;
	p->ns.ntp = p->ntp;
	memcpy(p->ntp, ns->ntp, sizeof(p->ntp));
	p->ns.n_upstream = ns->upstream_count;
	p->ns.upstream = p->upstream;
	memcpy(p->upstream, ns->upstream, sizeof(p->upstream));
	p->ns.name_policy = ns->name_policy;
	pack_ns_options(ns, p);
	policy_pack(a, &ns->policy, &p->ns);
	p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_NS;
	p->record.ns = &p->ns;
}

static void pack_value(struct arena *a, const struct record *r, struct packed_record *p)
{
	switch (r->kind) {
	case RECORD_SESSION:
		causeway__dht__session__init(&p->session);
		p->session.node = view(r->session.node.b, CW_NODE_ID_BYTES);
		p->session.sgen = r->session.sgen;
		p->session.state = r->session.state;
		p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_SESSION;
		p->record.session = &p->session;
		break;
	case RECORD_MAPPING:
		pack_mapping(r, p);
		break;
	case RECORD_CLIENT:
		causeway__dht__client__init(&p->client);
		p->client.client = view(&r->client, sizeof(r->client));
		p->client.ip = r->ip;
		p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_CLIENT;
		p->record.client = &p->client;
		break;
	case RECORD_NS:
		pack_ns(a, &r->ns, p);
		break;
	case RECORD_NAME:
		causeway__dht__name__init(&p->name);
		p->name.ip = r->ip;
		p->name.client = view(&r->client, sizeof(r->client));
		p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_NAME;
		p->record.name = &p->name;
		break;
	case RECORD_REGISTER:
		causeway__dht__value__init(&p->reg);
		p->reg.owner = view(r->reg.owner.b, CW_NODE_ID_BYTES);
		p->reg.tag = r->reg.tag;
		p->reg.leased = r->reg.leased;
		p->reg.value = view(r->reg.value, r->reg.len);
		p->record.value_case = CAUSEWAY__DHT__RECORD__VALUE_REGISTER;
		p->record.register_ = &p->reg;
		break;
	default:
		break;
	}
}

static void pack_warrant(const struct warrant *w, struct packed_record *p)
{
	if (w->signature_len == 0)
		return;
	causeway__dht__warrant__init(&p->warrant);
	rid_pack(&w->rid, &p->warrant_rid);
	p->warrant.verb = w->verb;
	p->warrant.rid = &p->warrant_rid;
	p->warrant.ver = w->ver;
	p->warrant.gen = w->gen;
	p->warrant.sgen = w->sgen;
	p->warrant.content = view(w->content, sizeof(w->content));
	p->warrant.public_key = view(w->public_key, w->public_key_len);
	p->warrant.signature = view(w->signature, w->signature_len);
	p->record.warrant = &p->warrant;
}

static bool unpack_warrant(const Causeway__Dht__Warrant *in, struct warrant *out)
{
	if (in == NULL)
		return true;
	if (in->verb >= CW_STORE_VERB_COUNT || !rid_unpack(in->rid, &out->rid) ||
	    in->content.len != sizeof(out->content) ||
	    !signature_unpack(&in->public_key, &in->signature, out))
		return false;
	out->verb = (uint8_t)in->verb;
	out->ver = in->ver;
	out->gen = in->gen;
	out->sgen = in->sgen;
	memcpy(out->content, in->content.data, sizeof(out->content));
	return true;
}

Causeway__Dht__Record *record_pack(struct arena *a, const struct record *r, uint64_t renew_age_ns,
				   uint64_t open_age_ns, const struct stamp *stamp)
{
	struct packed_record *p = arena_get(a, sizeof(*p));

	causeway__dht__record__init(&p->record);
	p->record.key = view(r->key, KEY_BYTES);
	p->record.held = r->held;
	p->record.gen = r->gen;
	p->record.ver = r->ver;
	rid_pack(&r->rid, &p->rid);
	p->record.rid = &p->rid;
	p->record.hist = p->made_at;
	for (unsigned int i = 0; i < HIST; i++) {
		if (r->hist[i].ver == 0)
			continue;
		causeway__dht__made__init(&p->made[i]);
		rid_pack(&r->hist[i].rid, &p->hist_rid[i]);
		p->made[i].ver = r->hist[i].ver;
		p->made[i].rid = &p->hist_rid[i];
		p->made_at[p->record.n_hist++] = &p->made[i];
	}
	p->record.renew_age_ns = renew_age_ns;
	p->record.open_age_ns = open_age_ns;
	if (stamp != NULL) {
		causeway__dht__stamp__init(&p->stamp);
		p->stamp.epoch = stamp->epoch;
		p->stamp.round = stamp->ballot.round;
		p->stamp_node = stamp->ballot.node;
		p->stamp.node = view(p->stamp_node.b, CW_NODE_ID_BYTES);
		p->stamp.seq = stamp->seq;
		p->record.stamp = &p->stamp;
	}
	pack_warrant(&r->warrant, p);
	pack_value(a, r, p);
	return &p->record;
}

Causeway__Dht__Record *replica_pack(const struct cw_dht *dht, struct arena *a,
				    const struct replica *r)
{
	return record_pack(a, &r->record, age_now(dht, &r->renew), age_now(dht, &r->open),
			   &r->stamp);
}

static bool unpack_mapping(const Causeway__Dht__Mapping *in, struct record *out)
{
	struct cw_mapping *m = &out->mapping;

	if (in->n_entries > CW_MAPPING_ENTRIES_MAX || in->client_state > CW_CLIENT_DECLINED ||
	    in->client.len != sizeof(m->client) || in->mac.len != sizeof(m->mac.b) ||
	    in->owner_site.len != sizeof(m->owner_site.b) || !node_unpack(&in->owner, &m->owner))
		return false;
	out->ip = in->ip;
	m->client_state = (uint8_t)in->client_state;
	memcpy(&m->client, in->client.data, sizeof(m->client));
	memcpy(m->mac.b, in->mac.data, sizeof(m->mac.b));
	memcpy(m->owner_site.b, in->owner_site.data, sizeof(m->owner_site.b));
	m->owned = in->owned;
	for (size_t i = 0; i < in->n_entries; i++) {
		const Causeway__Dht__Entry *e = in->entries[i];
		struct cw_mapping_entry *to = &m->entries[m->entry_count];

		if (!node_unpack(&e->node, &to->node) || e->site.len != sizeof(to->site.b))
			return false;
		memcpy(to->site.b, e->site.data, sizeof(to->site.b));
		to->sgen = e->sgen;
		to->cover_ns = e->cover_ns;
		to->stopped = e->stopped;
		m->entry_count++;
	}
	m->ver = out->ver;
	m->gen = out->gen;
	m->held = out->held;
	return true;
}

static bool unpack_boot(const Causeway__Dht__Boot *in, struct cw_ns_boot *out)
{
	if (in == NULL)
		return true;
	if (strlen(in->file) >= sizeof(out->file))
		return false;
	out->next_server = in->next_server;
	memcpy(out->file, in->file, strlen(in->file) + 1);
	return true;
}

/* Options as wire bytes: whole ones only. */
static bool unpack_extra(const ProtobufCBinaryData *in, uint8_t *out, size_t size, uint8_t *bytes)
{
	if (in->len > size || !cw_ns_extra_valid(in->data, in->len))
		return false;
	if (in->len > 0)
		memcpy(out, in->data, in->len);
	*bytes = (uint8_t)in->len;
	return true;
}

static bool unpack_ns_options(const Causeway__Dht__Namespace *in, struct cw_namespace_record *out)
{
	out->rapid_commit = in->rapid_commit;
	out->authoritative = in->authoritative;
	out->static_hosts =
		in->static_hosts < CW_STATIC_POLICY_COUNT ? (uint8_t)in->static_hosts : 0;
	if (in->hosts.len > sizeof(out->hosts) || in->hosts.len % CW_NS_HOST_BYTES != 0 ||
	    in->hosts.len / CW_NS_HOST_BYTES > CW_NS_HOSTS_MAX)
		return false;
	for (size_t at = 0; at < in->hosts.len; at += CW_NS_HOST_BYTES) {
		memcpy(out->hosts[out->host_count].mac.b, in->hosts.data + at, 6);
		memcpy(&out->hosts[out->host_count++].ip, in->hosts.data + at + 6, 4);
	}
	if (in->n_classes > CW_NS_CLASSES_MAX || !unpack_boot(in->boot, &out->boot) ||
	    !unpack_extra(&in->extra, out->extra, sizeof(out->extra), &out->extra_bytes))
		return false;
	for (size_t i = 0; i < in->n_classes; i++) {
		const Causeway__Dht__Class *c = in->classes[i];
		struct cw_ns_class *to = &out->classes[out->class_count++];

		if ((c->option != 60 && c->option != 77) || strlen(c->match) >= sizeof(to->match) ||
		    !unpack_boot(c->boot, &to->boot) ||
		    !unpack_extra(&c->extra, to->extra, sizeof(to->extra), &to->extra_bytes))
			return false;
		to->option = (uint8_t)c->option;
		memcpy(to->match, c->match, strlen(c->match) + 1);
	}
	return true;
}

size_t cw_dht_ns_bytes(const struct cw_namespace_record *ns)
{
	struct record *record = calloc(1, sizeof(*record));
	size_t bytes = SIZE_MAX;
	struct arena a;

	if (record == NULL)
		return bytes;
	record->kind = RECORD_NS;
	record->ns = *ns;
	arena_init(&a);
	bytes = causeway__dht__namespace__get_packed_size(record_pack(&a, record, 0, 0, NULL)->ns);
	arena_free(&a);
	free(record);
	return bytes;
}

bool ns_unpack(const Causeway__Dht__Namespace *in, struct cw_namespace_record *out)
{
	*out = (struct cw_namespace_record){
		.subnet = {.ip = in->subnet, .len = (uint8_t)in->prefix_len},
		.lease_s = in->lease_s,
		.lease_longest_s = in->lease_longest_s,
		.mtu_bytes = (uint16_t)in->mtu_bytes,
		.mac_base = (uint16_t)in->mac_base,
		.router = in->router};
	if (in->prefix_len < 1 || in->prefix_len > 30 || in->mtu_bytes > UINT16_MAX ||
	    in->mac_base > UINT16_MAX || in->n_reserved > CW_NS_RESERVED_MAX ||
	    in->n_ntp > CW_NS_SERVERS_MAX || in->n_upstream > CW_NS_SERVERS_MAX ||
	    in->name_policy >= CW_NAMES_POLICY_COUNT || strlen(in->name) >= sizeof(out->name) ||
	    strlen(in->domain) >= sizeof(out->domain) ||
	    (in->subnet & ~cw_prefix4_mask(out->subnet.len)) != 0 || in->lease_s == 0 ||
	    in->lease_longest_s < in->lease_s)
		return false;
	memcpy(out->name, in->name, strlen(in->name) + 1);
	memcpy(out->domain, in->domain, strlen(in->domain) + 1);
	for (size_t i = 0; i < in->n_reserved; i++)
		out->reserved[out->reserved_count++] =
			(struct cw_ip4_range){in->reserved[i]->first, in->reserved[i]->last};
	for (size_t i = 0; i < in->n_ntp; i++)
		out->ntp[out->ntp_count++] = in->ntp[i];
	for (size_t i = 0; i < in->n_upstream; i++)
		out->upstream[out->upstream_count++] = in->upstream[i];
	out->name_policy = (uint8_t)in->name_policy;
	return unpack_ns_options(in, out) && policy_unpack(in, &out->policy);
}

static bool unpack_value(const Causeway__Dht__Record *in, struct record *out)
{
	switch (in->value_case) {
	case CAUSEWAY__DHT__RECORD__VALUE_SESSION:
		out->kind = RECORD_SESSION;
		out->session.sgen = in->session->sgen;
		out->session.state = (uint8_t)in->session->state;
		return in->session->state <= SESSION_DEAD &&
		       node_unpack(&in->session->node, &out->session.node);
	case CAUSEWAY__DHT__RECORD__VALUE_MAPPING:
		out->kind = RECORD_MAPPING;
		return unpack_mapping(in->mapping, out);
	case CAUSEWAY__DHT__RECORD__VALUE_CLIENT:
		out->kind = RECORD_CLIENT;
		out->ip = in->client->ip;
		if (in->client->client.len != sizeof(out->client))
			return false;
		memcpy(&out->client, in->client->client.data, sizeof(out->client));
		return true;
	case CAUSEWAY__DHT__RECORD__VALUE_NS:
		out->kind = RECORD_NS;
		if (!ns_unpack(in->ns, &out->ns))
			return false;
		out->ns.ver = in->ver;
		return true;
	case CAUSEWAY__DHT__RECORD__VALUE_NAME:
		out->kind = RECORD_NAME;
		out->ip = in->name->ip;
		if (in->name->client.len != sizeof(out->client))
			return false;
		memcpy(&out->client, in->name->client.data, sizeof(out->client));
		return true;
	case CAUSEWAY__DHT__RECORD__VALUE_REGISTER:
		out->kind = RECORD_REGISTER;
		if (in->register_->value.len > CW_STORE_VALUE_BYTES ||
		    !node_unpack(&in->register_->owner, &out->reg.owner))
			return false;
		out->reg.tag = in->register_->tag;
		out->reg.leased = in->register_->leased;
		out->reg.len = (uint16_t)in->register_->value.len;
		if (out->reg.len > 0)
			memcpy(out->reg.value, in->register_->value.data, out->reg.len);
		return true;
	default: /* absent: free, not younger than any collected tombstone */
		out->kind = RECORD_NONE;
		return !in->held;
	}
}

bool record_unpack(const Causeway__Dht__Record *in, struct record *out, struct stamp *stamp,
		   uint64_t *renew_age_ns, uint64_t *open_age_ns)
{
	/* Namespaces are whole structs of their own; what is behind the others is not read. */
	memset(out, 0, offsetof(struct record, mapping) + sizeof(out->mapping));
	if (in == NULL || in->key.len != KEY_BYTES || in->n_hist > HIST)
		return false;
	memcpy(out->key, in->key.data, KEY_BYTES);
	out->held = in->held;
	out->gen = in->gen;
	out->ver = in->ver;
	if ((in->rid != NULL && !rid_unpack(in->rid, &out->rid)) ||
	    !unpack_warrant(in->warrant, &out->warrant))
		return false;
	for (size_t i = 0; i < in->n_hist; i++) {
		out->hist[i].ver = in->hist[i]->ver;
		if (!rid_unpack(in->hist[i]->rid, &out->hist[i].rid))
			return false;
	}
	if (stamp != NULL) {
		memset(stamp, 0, sizeof(*stamp));
		if (in->stamp != NULL) {
			stamp->epoch = in->stamp->epoch;
			stamp->ballot.round = in->stamp->round;
			stamp->seq = in->stamp->seq;
			if (!node_unpack(&in->stamp->node, &stamp->ballot.node))
				return false;
		}
	}
	if (renew_age_ns != NULL)
		*renew_age_ns = in->renew_age_ns;
	if (open_age_ns != NULL)
		*open_age_ns = in->open_age_ns;
	return unpack_value(in, out);
}
