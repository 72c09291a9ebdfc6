/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DHT's world: processes that run the shipped lib/dht, each with a clock that drifts, a disk
 * that keeps what was synced, and a network that loses, delays, reorders, duplicates and is cut.
 * One heap of events, one seed.
 *
 * Messages to a node ID reach every process that has it: a twin (a cloned disk, an impatient
 * operator) is one that has the same.
 */
#include "dht_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_dtls_openssl.h>

struct sim_totals dht_totals;

uint64_t world_random(struct world *w, uint64_t below)
{
	return sim_random(&w->random) % below;
}

bool world_chance(struct world *w, unsigned int per_mille)
{
	return sim_chance(&w->random, per_mille);
}

/* -- events */

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void world_at(struct world *w, uint64_t at_ns, event_fn fn, void *p, uint64_t x)
{
	struct event e = {.at_ns = at_ns, .order = w->order++, .fn = fn, .p = p, .x = x};
	size_t i;

	if (w->count == w->size) {
		w->size = w->size ? w->size * 2 : 4096;
		w->heap = realloc(w->heap, w->size * sizeof(*w->heap));
		CW_ASSERT(w->heap != NULL);
	}
	for (i = w->count++; i > 0 && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct event pop(struct world *w)
{
	struct event first = w->heap[0], last = w->heap[--w->count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->count)
			break;
		if (child + 1 < w->count && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

void world_run(struct world *w, uint64_t until_ns)
{
	while (w->count > 0 && w->heap[0].at_ns <= until_ns && !w->result->violated) {
		struct event e = pop(w);

		w->now_ns = e.at_ns;
		e.fn(w, e.p, e.x);
	}
	if (!w->result->violated)
		w->now_ns = until_ns;
}

void world_fail(struct world *w, const char *fmt, ...)
{
	size_t len;
	va_list args;

	if (w->result->violated)
		return;
	w->result->violated = true;
	va_start(args, fmt);
	vsnprintf(w->result->what, sizeof(w->result->what), fmt, args);
	va_end(args);
	len = strlen(w->result->what);
	snprintf(w->result->what + len, sizeof(w->result->what) - len, " at %.3f s",
		 (double)w->now_ns / 1e9);
}

void world_log(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->trace)
		return;
	fprintf(stderr, "%9.4f ", (double)w->now_ns / 1e9);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* -- clocks */

uint64_t proc_clock(const struct proc *p)
{
	uint64_t since = p->w->now_ns - p->since_ns;

	return p->base_ns + since / 1000000 * (uint64_t)p->rate_ppm +
	       since % 1000000 * (uint64_t)p->rate_ppm / 1000000;
}

void proc_drift(struct proc *p, int64_t rate_ppm)
{
	p->base_ns = proc_clock(p);
	p->since_ns = p->w->now_ns;
	p->rate_ppm = rate_ppm;
}

uint64_t proc_when(const struct proc *p, uint64_t clock_ns)
{
	uint64_t now = proc_clock(p);

	if (clock_ns <= now || p->rate_ppm == 0)
		return p->w->now_ns;
	return p->w->now_ns + (clock_ns - now) / (uint64_t)p->rate_ppm * 1000000 +
	       (clock_ns - now) % (uint64_t)p->rate_ppm * 1000000 / (uint64_t)p->rate_ppm + 1;
}

/* -- ops of lib/dht */

static void fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t *at = buf;

	for (; len >= 8; len -= 8, at += 8) {
		uint64_t x = sim_random(&w->random);

		memcpy(at, &x, 8);
	}
	while (len-- > 0)
		*at++ = (uint8_t)sim_random(&w->random);
}

static void receive(struct world *w, void *arg, uint64_t x)
{
	struct packet *m = arg;
	struct proc *p = m->to;

	(void)x;
	if (p->up && p->paused) {
		m->next = NULL;
		*p->backlog_tail = m;
		p->backlog_tail = &m->next;
		return;
	}
	if (p->up) {
		dht_totals.messages++;
		if (w->trace) {
			struct peek k = message_peek(m->data, m->len);

			if (k.body != BODY_HB && k.body != BODY_HB + 1)
				world_log(w, "%u -> %u body %u epoch %llu round %llu",
					  m->from->index, p->index, k.body,
					  (unsigned long long)k.epoch, (unsigned long long)k.round);
		}
		cw_dht_input(p->dht, &m->from->id, m->data, m->len, proc_clock(p));
	}
	free(m);
}

void proc_deliver(struct proc *from, struct proc *to, const uint8_t *data, size_t len,
		  uint64_t after_ns)
{
	struct packet *m = malloc(sizeof(*m) + len);

	CW_ASSERT(m != NULL);
	*m = (struct packet){.from = from, .to = to, .len = len};
	memcpy(m->data, data, len);
	world_at(from->w, from->w->now_ns + after_ns, receive, m, 0);
}

static void send_one(struct world *w, struct proc *from, struct proc *to, const void *data,
		     size_t len)
{
	uint64_t delay = 4 * CW_NS_PER_MS + world_random(w, 30 * CW_NS_PER_MS);

	if (w->hook != NULL && w->hook(w, from, to, data, len))
		return;
	if (w->cut_now[from->index][to->index] || world_chance(w, w->loss))
		return;
	if (world_chance(w, w->slow))
		delay += world_random(w, 2500 * CW_NS_PER_MS);
	proc_deliver(from, to, data, len, delay);
	if (world_chance(w, w->duplicate)) {
		uint64_t far = world_random(w, 1000);

		delay += far * far * far * 12;
		proc_deliver(from, to, data, len, delay);
	}
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns)
{
	struct proc *p = ctx;
	struct world *w = p->w;

	(void)now_ns;
	for (unsigned int i = 0; i < w->total; i++)
		if (w->procs[i] != p && cw_node_id_equal(&w->procs[i]->id, to))
			send_one(w, p, w->procs[i], data, len);
}

static void synced(struct world *w, void *arg, uint64_t x)
{
	struct proc *p = arg;
	uint64_t lsn = x & UINT32_MAX;

	(void)w;
	if (!p->up || p->life != x >> 32 || lsn <= p->synced_lsn)
		return;
	p->synced_lsn = lsn;
	if (!p->paused)
		cw_dht_durable(p->dht, lsn, 0, proc_clock(p));
}

static void keep(struct proc *p, uint8_t type, const void *data, size_t len, uint64_t lsn)
{
	struct disk_record *r = malloc(sizeof(*r) + len);

	CW_ASSERT(r != NULL);
	*r = (struct disk_record){.type = type, .lsn = lsn, .len = len};
	memcpy(r->data, data, len);
	*p->disk_tail = r;
	p->disk_tail = &r->next;
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct proc *p = ctx;

	keep(p, type, data, len, p->next_lsn++);
	world_at(p->w, p->w->now_ns + world_random(p->w, p->w->sync_ms * CW_NS_PER_MS), synced, p,
		 p->life << 32 | (p->next_lsn - 1));
	return p->next_lsn - 1;
}

static bool op_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	memcpy(out->b, node->b, sizeof(out->b)); /* every node is a site of its own */
	return true;
}

/* -- signatures: a sum that only its node makes; the public key is the node ID itself */

static uint64_t sum_of(const struct cw_node_id *node, const void *data, size_t len)
{
	uint64_t h = UINT64_C(14695981039346656037);
	const uint8_t *at = data;

	for (unsigned int i = 0; i < CW_NODE_ID_BYTES; i++)
		h = (h ^ node->b[i]) * UINT64_C(1099511628211);
	while (len-- > 0)
		h = (h ^ *at++) * UINT64_C(1099511628211);
	return h;
}

static int key_sign(void *self, const void *data, size_t len,
		    uint8_t signature[CW_KEY_SIGNATURE_BYTES], size_t *signature_len)
{
	struct proc *p = self;
	uint64_t sum = sum_of(&p->id, data, len) ^ p->lies;

	memset(signature, 0, 72); /* as long as a real one */
	memcpy(signature, &sum, sizeof(sum));
	*signature_len = 72;
	return 0;
}

static const uint8_t *key_own(void *self, size_t *len)
{
	struct proc *p = self;

	*len = CW_NODE_ID_BYTES;
	return p->id.b;
}

static bool key_check(void *self, const struct cw_node_id *node, const uint8_t *key, size_t key_len,
		      const void *data, size_t len, const uint8_t *signature, size_t signature_len)
{
	uint64_t sum = sum_of(node, data, len);

	(void)self;
	return key_len == CW_NODE_ID_BYTES && memcmp(key, node->b, key_len) == 0 &&
	       signature_len == 72 && memcmp(signature, &sum, sizeof(sum)) == 0;
}

/* In this world everybody may use registers, and nobody but the founder writes namespaces. */
static enum cw_dht_may op_may(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			      const char *ns)
{
	(void)ctx;
	(void)node;
	return right == CW_DHT_RIGHT_USE && strcmp(ns, "demo") == 0 ? CW_DHT_MAY : CW_DHT_MAY_NOT;
}

static void op_yield(void *ctx, uint8_t kind, const uint8_t *name, size_t len, uint64_t gen,
		     uint64_t now_ns)
{
	(void)kind;
	(void)now_ns;
	if (len == 1)
		caller_yield(ctx, name, gen);
}

static void op_clock_behind(void *ctx, uint64_t by_ns, uint64_t now_ns)
{
	struct proc *p = ctx;

	(void)now_ns;
	world_log(p->w, "process %u finds that its clock lost %.3f s", p->index,
		  (double)by_ns / 1e9);
	if (p->caller.is)
		caller_let_go(p);
}

/* -- life of a process */

static void tick(struct world *w, void *arg, uint64_t life)
{
	struct proc *p = arg;
	uint64_t next;

	if (!p->up || p->life != life)
		return;
	if (p->paused) {
		world_at(w, w->now_ns + 50 * CW_NS_PER_MS, tick, p, life);
		return;
	}
	next = cw_dht_timer(p->dht, proc_clock(p));
	next = cw_min_u64(next, proc_clock(p) + CW_NS_PER_S);
	world_at(w, cw_max_u64(proc_when(p, next), w->now_ns + CW_NS_PER_MS), tick, p, life);
}

void proc_kick(struct proc *p)
{
	if (p->up && !p->paused)
		cw_dht_timer(p->dht, proc_clock(p));
}

static void tell_neighbours(struct proc *p)
{
	struct world *w = p->w;
	struct cw_dht_peer peers[PROCS_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i] != NULL && w->procs[i] != p)
			peers[count++].node = w->procs[i]->id;
	cw_dht_neighbours(p->dht, peers, count, proc_clock(p));
}

static void disk_free(struct disk_record *r)
{
	while (r != NULL) {
		struct disk_record *next = r->next;

		free(r);
		r = next;
	}
}

static void emit(void *arg, uint8_t type, const void *data, size_t len)
{
	struct proc *p = arg;

	keep(p, type, data, len, p->synced_lsn); /* a snapshot makes the log no longer */
}

/* As the daemon does at start: what was replayed is written anew as a snapshot. */
static void compact(struct proc *p)
{
	struct disk_record *old = p->disk;

	p->disk = NULL;
	p->disk_tail = &p->disk;
	cw_dht_snapshot(p->dht, emit, p, proc_clock(p));
	disk_free(old);
}

void proc_start(struct proc *p)
{
	static const struct cw_dht_ops ops = {.send = op_send,
					      .append = op_append,
					      .site_of = op_site_of,
					      .may = op_may,
					      .yield = op_yield,
					      .clock_behind = op_clock_behind};
	static const struct cw_key_ops keys = {
		.sign = key_sign, .key = key_own, .check = key_check};
	struct world *w = p->w;
	struct cw_dht_config config = {.self = p->id,
				       .ns_name = "demo",
				       .random = {.fill = fill, .ctx = w},
				       .digest = cw_digest_openssl,
				       .keys = &keys,
				       .keys_self = p,
				       .mutate = p->lies ? CW_DHT_MUT_FORGE : w->mutate,
				       .tuning = {.slots = w->slots,
						  .session_ns = SIM_LEASE_NS,
						  .eps_divisor = SIM_EPS_DIV,
						  .guard_ns = SIM_GUARD_NS,
						  .dead_ns = 4 * CW_NS_PER_S,
						  .settle_ns = 2 * CW_NS_PER_S,
						  .move_ns = 6 * CW_NS_PER_S,
						  .tombstone_ns = CW_NS_PER_S,
						  .shrink_ns = 20 * CW_NS_PER_S,
						  .quota = w->quota}};

	memcpy(config.site.b, p->id.b, sizeof(config.site.b));
	CW_ASSERT(cw_dht_create(&p->dht, &config, &ops, p) == 0);
	for (const struct disk_record *r = p->disk; r != NULL; r = r->next) {
		int rc = cw_dht_replay(p->dht, r->type, r->data, r->len, proc_clock(p));

		if (rc != 0)
			world_fail(w, "process %u cannot replay its own log (type %u)", p->index,
				   r->type);
	}
	p->up = true;
	p->wiped = false;
	p->life++;
	if (p->disk != NULL)
		compact(p);
	cw_dht_start(p->dht, proc_clock(p));
	cw_dht_durable(p->dht, p->synced_lsn, 0, proc_clock(p));
	tell_neighbours(p);
	world_at(w, w->now_ns + world_random(w, 100 * CW_NS_PER_MS), tick, p, p->life);
}

static void know(void *arg, const struct cw_dht_members *m)
{
	struct proc *p = arg;

	if (p->knew_count == p->knew_size) {
		p->knew_size = p->knew_size * 2 + 16;
		p->knew = realloc(p->knew, p->knew_size * sizeof(*p->knew));
		CW_ASSERT(p->knew != NULL);
	}
	p->knew[p->knew_count++] = *m;
}

static void count_up(struct proc *p)
{
	struct cw_dht_status s;

	cw_dht_status(p->dht, &s);
	dht_totals.moves += s.counts.moves;
	dht_totals.activations += s.counts.activations;
	dht_totals.elections += s.counts.elections;
	if (s.counts.clock_behind > 0 && !p->stood)
		world_fail(p->w, "process %u thought that its clock had stood still", p->index);
}

static void drop_backlog(struct proc *p)
{
	while (p->backlog != NULL) {
		struct packet *next = p->backlog->next;

		free(p->backlog);
		p->backlog = next;
	}
	p->backlog_tail = &p->backlog;
}

void proc_crash(struct proc *p)
{
	struct disk_record **at = &p->disk;
	struct cw_dht_status s;

	world_log(p->w, "process %u crashes", p->index);
	p->knew_count = 0;
	cw_dht_visit_members(p->dht, know, p);
	count_up(p);
	cw_dht_status(p->dht, &s);
	if (s.led > 0)
		figures_leader_lost(p->w);
	if (p->caller.is)
		caller_crash(p);
	cw_dht_destroy(p->dht);
	p->dht = NULL;
	p->up = p->paused = false;
	p->life++;
	drop_backlog(p);
	/* What was not synced is gone. */
	while (*at != NULL && (*at)->lsn <= p->synced_lsn)
		at = &(*at)->next;
	disk_free(*at);
	*at = NULL;
	p->disk_tail = at;
	p->next_lsn = p->synced_lsn + 1;
}

/* The disk is gone, the machine comes back with an empty one. */
void proc_wipe(struct proc *p)
{
	struct world *w = p->w;
	struct cw_dht_status s;

	world_log(w, "process %u loses its disk", p->index);
	if (p->up) {
		cw_dht_status(p->dht, &s);
		CW_ASSERT(w->lost_count < CW_ARRAY_SIZE(w->lost));
		w->lost[w->lost_count].node = p->id;
		w->lost[w->lost_count++].disk = s.disk;
		proc_crash(p);
	}
	dht_totals.lost_disks++;
	disk_free(p->disk);
	p->disk = NULL;
	p->disk_tail = &p->disk;
	p->next_lsn = 1;
	p->synced_lsn = 0;
	p->wiped = true;
}

void proc_image(struct proc *p)
{
	struct disk_record **tail = &p->image;

	disk_free(p->image);
	p->image = NULL;
	p->image_lsn = p->synced_lsn;
	for (const struct disk_record *r = p->disk; r != NULL && r->lsn <= p->synced_lsn;
	     r = r->next) {
		*tail = malloc(sizeof(*r) + r->len);
		CW_ASSERT(*tail != NULL);
		memcpy(*tail, r, sizeof(*r) + r->len);
		(*tail)->next = NULL;
		tail = &(*tail)->next;
	}
}

/* Counts as a lost disk: what it promised since is forgotten. */
void proc_restore(struct proc *p)
{
	struct disk_record *image = p->image;

	p->image = NULL;
	proc_wipe(p);
	p->disk = image;
	for (p->disk_tail = &p->disk; *p->disk_tail != NULL; p->disk_tail = &(*p->disk_tail)->next)
		;
	p->synced_lsn = p->image_lsn;
	p->next_lsn = p->synced_lsn + 1;
}

void proc_pause(struct proc *p)
{
	if (!p->up || p->paused)
		return;
	world_log(p->w, "process %u is stopped", p->index);
	p->paused = true;
	if (p->w->mutate == CW_DHT_MUT_SUSPEND)
		proc_drift(p, 0); /* a clock that stands still in suspend (R21) */
}

void proc_resume(struct proc *p)
{
	if (!p->up || !p->paused)
		return;
	world_log(p->w, "process %u goes on", p->index);
	if (p->rate_ppm == 0) {
		p->stood = true;
		proc_drift(p, 1000000);
	}
	p->paused = false;
	cw_dht_durable(p->dht, p->synced_lsn, 0, proc_clock(p));
	while (p->backlog != NULL && p->up && !p->paused) {
		struct packet *m = p->backlog;

		p->backlog = m->next;
		if (p->backlog == NULL)
			p->backlog_tail = &p->backlog;
		cw_dht_input(p->dht, &m->from->id, m->data, m->len, proc_clock(p));
		free(m);
	}
	if (p->caller.is)
		caller_believe(p);
}

void world_recut(struct world *w)
{
	memset(w->cut_now, 0, sizeof(w->cut_now));
	for (unsigned int c = 0; c < CUTS_MAX; c++) {
		if (!w->cuts[c].used)
			continue;
		for (unsigned int i = 0; i < w->total; i++)
			for (unsigned int j = 0; j < w->total; j++)
				w->cut_now[i][j] = w->cut_now[i][j] || w->cuts[c].from[i][j];
	}
}

/* -- the world */

struct world *world_new(uint64_t seed, unsigned int nodes, enum cw_dht_mutation mutate,
			struct sim_result *result)
{
	struct world *w = calloc(1, sizeof(*w));

	CW_ASSERT(w != NULL);
	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	w->now_ns = CW_NS_PER_S;
	w->nodes = nodes;
	w->mutate = mutate;
	w->result = result;
	w->slots = 4;
	w->sync_ms = mutate == CW_DHT_MUT_NOSYNC ? 300 : 6;
	w->trace = getenv("CW_SIM_TRACE") != NULL;
	for (unsigned int i = 0; i < KEYS_MAX; i++) {
		w->histories[i] = calloc(1, sizeof(*w->histories[i]));
		CW_ASSERT(w->histories[i] != NULL);
	}
	return w;
}

struct proc *world_add(struct world *w, const struct cw_node_id *id, bool caller)
{
	static const int64_t rates[] = {950000, 1000000, 1050000};
	struct proc *p = calloc(1, sizeof(*p));
	uint64_t roll = world_random(w, 4);

	CW_ASSERT(p != NULL && w->total < PROCS_MAX);
	p->w = w;
	p->index = w->total;
	p->disk_tail = &p->disk;
	p->backlog_tail = &p->backlog;
	p->next_lsn = 1;
	p->base_ns = CW_NS_PER_S + world_random(w, 1000 * CW_NS_PER_S);
	p->since_ns = w->now_ns;
	p->rate_ppm = roll < 3 ? rates[roll] : 950000 + (int64_t)world_random(w, 100001);
	p->caller.is = caller;
	if (id != NULL) {
		p->id = *id;
	} else {
		for (unsigned int i = 0; i < CW_NODE_ID_BYTES; i++)
			p->id.b[i] = (uint8_t)world_random(w, 256);
		p->id.b[CW_NODE_ID_BYTES - 1] = (uint8_t)w->total;
	}
	w->procs[w->total++] = p;
	return p;
}

void world_free(struct world *w)
{
	for (unsigned int i = 0; i < w->total; i++) {
		struct proc *p = w->procs[i];

		if (p->up) {
			count_up(p);
			if (p->caller.is)
				caller_crash(p);
			cw_dht_destroy(p->dht);
		}
		disk_free(p->disk);
		disk_free(p->image);
		drop_backlog(p);
		free(p->knew);
		free(p);
	}
	for (size_t i = 0; i < w->count; i++)
		if (w->heap[i].fn == receive)
			free(w->heap[i].p);
	for (unsigned int i = 0; i < KEYS_MAX; i++)
		free(w->histories[i]);
	free(w->faults);
	free(w->heap);
	free(w);
}
