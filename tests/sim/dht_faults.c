/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes wrong, how often and for how long, drawn per seed: splits, isolation, one-way cuts,
 * crashes, power cuts, lost disks, stops, drifting clocks, members that change, candidates without
 * need, old requests that turn up again; and faults at the worst moment, when a decisive message is
 * half out. Then the healing and the last demands.
 */
#include "dht_world.h"

#include <stdlib.h>
#include <string.h>

enum { KINDS_MAX = 64, STRUCK_MAX = 256, OLD_MAX = 64 };

struct faults {
	struct world *w;
	uint64_t heal_ns, gap_ms;
	void (*kinds[KINDS_MAX])(struct world *w);
	unsigned int kind_count;
	/* per mille chance that a decisive message is struck at */
	unsigned int snipe_cfgacc, snipe_act, snipe_prep, snipe_acc;
	struct {
		uint64_t mark;
		unsigned int loss;
	} struck[STRUCK_MAX];
	unsigned int struck_count;
	/* requests that were under way: they may come again */
	struct packet *old[OLD_MAX];
	unsigned int old_count;
};

static uint64_t span(struct world *w)
{
	static const unsigned int ms[] = {300, 1000, 3000, 8000};

	return ms[world_random(w, 4)] * (500 + world_random(w, 1000)) * 1000;
}

static struct proc *any_node(struct world *w)
{
	return w->procs[world_random(w, w->nodes)];
}

static bool leads(struct proc *p)
{
	struct cw_dht_status s;

	if (!p->up)
		return false;
	cw_dht_status(p->dht, &s);
	return s.led > 0;
}

static struct proc *any_leader(struct world *w)
{
	unsigned int from = (unsigned int)world_random(w, w->nodes);

	for (unsigned int i = 0; i < w->nodes; i++)
		if (leads(w->procs[(from + i) % w->nodes]))
			return w->procs[(from + i) % w->nodes];
	return any_node(w);
}

/* -- what a message is */

static uint64_t varint(const uint8_t **at, const uint8_t *end)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t b = *(*at)++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			break;
	}
	return v;
}

static bool has_field(const uint8_t *at, const uint8_t *end, unsigned int wanted)
{
	while (at < end) {
		uint64_t tag = varint(&at, end), len;

		if (tag >> 3 == wanted)
			return true;
		if ((tag & 7) == 0)
			varint(&at, end);
		else if ((tag & 7) == 1)
			at += 8;
		else if ((tag & 7) == 2) {
			len = varint(&at, end);
			at += len;
		} else
			return false;
	}
	return false;
}

struct peek message_peek(const uint8_t *data, size_t len)
{
	const uint8_t *at = data, *end = data + len;
	struct peek p = {0};

	while (at < end) {
		uint64_t tag = varint(&at, end), v = 0;

		if ((tag & 7) == 0) {
			v = varint(&at, end);
			p.epoch = tag >> 3 == 4 ? v : p.epoch;
			p.round = tag >> 3 == 5 ? v : p.round;
		} else if ((tag & 7) == 1) {
			at += 8;
		} else {
			v = varint(&at, end);
			if (tag >> 3 >= BODY_PREP) {
				p.body = (unsigned int)(tag >> 3);
				p.has_next = p.body == BODY_CFGACC && has_field(at, at + v, 5);
			}
			at += v;
		}
	}
	return p;
}

/* -- the network */

static void mend(struct world *w, void *arg, uint64_t id)
{
	struct cut *c = arg;

	if (c->used && c->id == id)
		c->used = false;
	world_recut(w);
}

static struct cut *new_cut(struct world *w, uint64_t span_ns)
{
	for (unsigned int i = 0; i < CUTS_MAX; i++) {
		struct cut *c = &w->cuts[i];

		if (c->used)
			continue;
		memset(c, 0, sizeof(*c));
		c->used = true;
		c->id = ++w->cut_counter;
		world_at(w, w->now_ns + span_ns, mend, c, c->id);
		return c;
	}
	return NULL;
}

static void split(struct world *w)
{
	struct cut *c = new_cut(w, span(w));
	bool side[PROCS_MAX];

	if (c == NULL)
		return;
	for (unsigned int i = 0; i < w->total; i++)
		side[i] = world_chance(w, 500);
	for (unsigned int i = 0; i < w->total; i++)
		for (unsigned int j = 0; j < w->total; j++)
			c->from[i][j] = side[i] != side[j];
	world_recut(w);
}

/* One machine alone, perhaps together with one caller that goes on asking it. */
static void isolate_one(struct world *w, struct proc *p, uint64_t span_ns)
{
	struct cut *c = new_cut(w, span_ns);
	unsigned int friend = w->nodes + (unsigned int)world_random(w, w->total - w->nodes);
	unsigned int ways = (unsigned int)world_random(w, 4);

	if (c == NULL)
		return;
	if (world_chance(w, 400))
		friend = PROCS_MAX;
	for (unsigned int i = 0; i < w->total; i++) {
		if (i == p->index || i == friend)
			continue;
		c->from[p->index][i] = ways != 2;
		c->from[i][p->index] = ways != 3;
	}
	world_recut(w);
}

static void isolate(struct world *w)
{
	isolate_one(w, world_chance(w, 700) ? any_leader(w) : any_node(w), span(w));
}

static void one_way(struct world *w)
{
	struct cut *c = new_cut(w, span(w));

	for (unsigned int i = 0; c != NULL && i < w->total; i++)
		c->from[world_random(w, w->total)][world_random(w, w->total)] = true;
	world_recut(w);
}

/* -- the processes */

static void restart(struct world *w, void *arg, uint64_t life)
{
	struct proc *p = arg;

	(void)w;
	if (p->up || p->life != life)
		return;
	if (world_chance(w, 500)) { /* a reboot: its clock begins anew */
		p->base_ns = CW_NS_PER_S + world_random(w, 1000 * CW_NS_PER_S);
		p->since_ns = w->now_ns;
	}
	proc_start(p);
	if (p->caller.is)
		caller_start(p, world_chance(w, 500));
}

static void kill_one(struct world *w, struct proc *p, uint64_t down_ns)
{
	if (!p->up)
		return;
	proc_crash(p);
	world_at(w, w->now_ns + down_ns, restart, p, p->life);
}

static void kill_node(struct world *w)
{
	kill_one(w, any_node(w), span(w));
}

/* A restart so quick that messages are still under way; sometimes of all at once. */
static void blink(struct world *w)
{
	if (world_chance(w, 300))
		for (unsigned int i = 0; i < w->nodes; i++)
			kill_one(w, w->procs[i], (10 + world_random(w, 50)) * CW_NS_PER_MS);
	kill_one(w, any_node(w), (10 + world_random(w, 100)) * CW_NS_PER_MS);
}

static void wipe_one(struct world *w, struct proc *p)
{
	if (!p->up || !may_lose(w, p))
		return;
	proc_wipe(p);
	world_at(w, w->now_ns + span(w), restart, p, p->life);
}

static void wipe(struct world *w)
{
	wipe_one(w, any_node(w));
}

static void go_on(struct world *w, void *arg, uint64_t life)
{
	struct proc *p = arg;

	(void)w;
	if (p->life == life)
		proc_resume(p);
}

static void stop(struct world *w)
{
	struct proc *p = w->procs[world_random(w, w->total)];

	if (world_chance(w, 300))
		p = any_leader(w);
	if (!p->up || p->paused)
		return;
	proc_pause(p);
	world_at(w, w->now_ns + span(w), go_on, p, p->life);
}

static void caller_dies(struct world *w)
{
	struct proc *p = w->procs[w->nodes + world_random(w, w->total - w->nodes)];

	kill_one(w, p, span(w) / 2);
}

static void drift(struct world *w)
{
	static const int64_t rates[] = {950000, 1000000, 1050000};
	struct proc *p = w->procs[world_random(w, w->total)];

	if (!p->up || p->rate_ppm == 0)
		return;
	proc_drift(p, rates[world_random(w, 3)]);
	if (p->caller.is)
		caller_believe(p);
}

static void move(struct world *w)
{
	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i]->up && !w->procs[i]->paused)
			cw_dht_move(w->procs[i]->dht, proc_clock(w->procs[i]));
}

/* Somebody else stands although nothing is wrong; two at once make a race of equal rounds. */
static void depose(struct world *w)
{
	unsigned int n = world_random(w, 3) == 0 ? 2 : 1;

	while (n-- > 0) {
		struct proc *p = any_node(w);

		if (!p->up || p->paused)
			continue;
		cw_dht_stand(p->dht, proc_clock(p));
		proc_kick(p);
	}
}

static void usurp(struct world *w, void *arg, uint64_t x)
{
	struct proc *p = arg;

	(void)x;
	if (p->up && !p->paused && !w->healed) {
		cw_dht_stand(p->dht, proc_clock(p));
		proc_kick(p);
	}
}

static void blink_later(struct world *w, void *arg, uint64_t down_ns)
{
	if (!w->healed)
		kill_one(w, arg, down_ns);
}

/* Two sides that both reach one machine, which restarts again and again while the other side
 * elects its own leader. */
static void bridge(struct world *w)
{
	uint64_t len = (1000 + world_random(w, 3000)) * CW_NS_PER_MS, t;
	struct proc *leader = any_leader(w), *middle = any_node(w);
	struct cut *c = new_cut(w, len);
	bool side[PROCS_MAX];

	if (c == NULL || middle == leader)
		return;
	for (unsigned int i = 0; i < w->total; i++)
		side[i] = world_chance(w, 500);
	for (unsigned int i = 0; i < w->total; i++)
		for (unsigned int j = 0; j < w->total; j++)
			c->from[i][j] =
				side[i] != side[j] && i != middle->index && j != middle->index;
	world_recut(w);
	for (t = world_random(w, 100) * CW_NS_PER_MS; t < len;
	     t += world_random(w, 500) * CW_NS_PER_MS) {
		struct proc *other = any_node(w);

		if (other != middle && side[other->index] != side[leader->index])
			world_at(w, w->now_ns + t, usurp, other, 0);
		t += (50 + world_random(w, 300)) * CW_NS_PER_MS;
		world_at(w, w->now_ns + t, blink_later, middle,
			 (1 + world_random(w, 30)) * CW_NS_PER_MS);
	}
}

static void usurp_any(struct world *w, void *arg, uint64_t x)
{
	(void)arg;
	(void)x;
	if (!w->healed)
		depose(w);
}

/* Old requests turn up again: a stuck relay moves on. */
static void late(struct world *w)
{
	struct faults *f = w->faults;

	if (world_chance(w, 600)) {
		struct proc *p = w->procs[w->nodes + world_random(w, w->total - w->nodes)];

		isolate_one(w, p, (3000 + world_random(w, 5000)) * CW_NS_PER_MS);
		world_at(w, w->now_ns + (500 + world_random(w, 500)) * CW_NS_PER_MS, usurp_any,
			 NULL, 0);
	}
	for (unsigned int k = 0; k < 6 && f->old_count > 0; k++) {
		const struct packet *m =
			f->old[world_random(w, f->old_count < OLD_MAX ? f->old_count : OLD_MAX)];

		for (unsigned int i = 0; i < w->nodes; i++)
			proc_deliver(m->from, w->procs[i], m->data, m->len,
				     (100 + world_random(w, 1000)) * CW_NS_PER_MS);
	}
}

/* -- the worst moment */

static void remember(struct faults *f, struct proc *from, struct proc *to, const uint8_t *data,
		     size_t len)
{
	struct packet **place = &f->old[f->old_count++ % OLD_MAX];

	free(f->old_count > OLD_MAX ? *place : NULL);
	*place = malloc(sizeof(**place) + len);
	CW_ASSERT(*place != NULL);
	**place = (struct packet){.from = from, .to = to, .len = len};
	memcpy((*place)->data, data, len);
}

static void strike_later(struct world *w, void *arg, uint64_t what)
{
	struct proc *p = arg;

	if (w->healed || !p->up)
		return;
	if (what == 0)
		wipe_one(w, p);
	else if (what < 3)
		isolate_one(w, p, span(w));
	else
		kill_one(w, p, (10 + world_random(w, 100)) * CW_NS_PER_MS);
}

static unsigned int *mark_of(struct world *w, uint64_t mark, bool *fresh)
{
	struct faults *f = w->faults;
	unsigned int i;

	for (i = 0; i < STRUCK_MAX && i < f->struck_count; i++) {
		if (f->struck[i].mark == mark) {
			*fresh = false;
			return &f->struck[i].loss;
		}
	}
	*fresh = true;
	i = f->struck_count++ % STRUCK_MAX;
	f->struck[i].mark = mark;
	f->struck[i].loss = 0;
	return &f->struck[i].loss;
}

/* Some copies of a decisive message get out, then the sender is cut off or dies. */
static bool strike(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
		   size_t len)
{
	static const unsigned int losses[] = {300, 500, 800, 1000};
	struct faults *f = w->faults;
	struct peek m = message_peek(data, len);
	unsigned int chance = 0, *loss;
	bool fresh;

	if (w->healed)
		return false;
	if (m.body == BODY_REQ && world_chance(w, 100))
		remember(f, from, to, data, len);
	if (m.body == BODY_CFGACC && m.has_next)
		chance = f->snipe_cfgacc;
	else if (m.body == BODY_ACT)
		chance = f->snipe_act;
	else if (m.body == BODY_PREP)
		chance = f->snipe_prep;
	else if (m.body == BODY_ACC)
		chance = f->snipe_acc;
	if (chance == 0)
		return false;
	loss = mark_of(w,
		       m.body + (uint64_t)from->index * 64 + m.epoch * 8192 +
			       (m.body == BODY_ACT ? 0 : m.round * 1000003),
		       &fresh);
	if (fresh && world_chance(w, chance)) {
		*loss = losses[world_random(w, 4)];
		if (world_chance(w, 700))
			world_at(w, w->now_ns + world_random(w, 40) * CW_NS_PER_MS, strike_later,
				 from,
				 m.body == BODY_ACT && world_chance(w, 500)
					 ? 0
					 : 1 + world_random(w, 3));
	}
	return world_chance(w, *loss);
}

/* -- the budget of lost disks */

struct budget {
	struct world *w;
	const struct proc *victim;
	uint64_t victim_disk;
	uint64_t top[CW_DHT_SLOTS];
	bool over;
	unsigned int pass;
};

static bool is_gone(const struct budget *b, const struct cw_node_id *node, uint64_t disk)
{
	if (disk == b->victim_disk && cw_node_id_equal(node, &b->victim->id))
		return true;
	for (unsigned int i = 0; i < b->w->lost_count; i++)
		if (b->w->lost[i].disk == disk && cw_node_id_equal(&b->w->lost[i].node, node))
			return true;
	return false;
}

static void weigh(void *arg, const struct cw_dht_members *m)
{
	struct budget *b = arg;
	unsigned int gone = 0;

	if (b->pass == 0) {
		if (m->active && m->epoch > b->top[m->slot])
			b->top[m->slot] = m->epoch;
		return;
	}
	/* Old members count until a majority of the new ones is active; so the last two epochs, and
	 * whatever is proposed, must all bear the loss. */
	if (m->epoch + 1 < b->top[m->slot] || m->count == 0)
		return;
	for (unsigned int i = 0; i < m->count; i++)
		gone += is_gone(b, &m->nodes[i], m->disks[i]);
	b->over = b->over || gone > m->count - (m->count / 2 + 1);
}

/* A minority of any set of members may lose their disks before it is repaired (dht.md section 11
 * (c)). */
bool may_lose(struct world *w, const struct proc *p)
{
	struct budget b = {.w = w, .victim = p};
	struct cw_dht_status s;

	if (!p->up || w->lost_count + 2 > CW_ARRAY_SIZE(w->lost))
		return false;
	cw_dht_status(p->dht, &s);
	b.victim_disk = s.disk;
	for (b.pass = 0; b.pass < 2; b.pass++) {
		for (unsigned int i = 0; i < w->nodes; i++) {
			const struct proc *x = w->procs[i];

			if (x->up)
				cw_dht_visit_members(x->dht, weigh, &b);
			else
				for (unsigned int k = 0; !x->wiped && k < x->knew_count; k++)
					weigh(&b, &x->knew[k]);
		}
	}
	return !b.over;
}

/* -- the course of a run */

static void next_fault(struct world *w, void *arg, uint64_t x)
{
	struct faults *f = arg;

	(void)x;
	if (w->healed)
		return;
	world_at(w, w->now_ns + (1 + world_random(w, 2 * f->gap_ms)) * CW_NS_PER_MS, next_fault, f,
		 0);
	f->kinds[world_random(w, f->kind_count)](w);
}

static void show_row(void *arg, const struct cw_dht_row *r)
{
	const struct proc *p = arg;

	world_log(
		p->w,
		"  process %u: %u slot(s) from %u, epoch %llu, round %llu, %s, members %u %u %u %u %u of %u, leader %d",
		p->index, r->slot_count, r->first_slot, (unsigned long long)r->epoch,
		(unsigned long long)r->round, r->phase, r->members[0].b[19], r->members[1].b[19],
		r->members[2].b[19], r->members[3].b[19], r->members[4].b[19], r->member_count,
		r->leader_known ? r->leader.b[19] : -1);
}

static void show_all(struct world *w)
{
	for (unsigned int i = 0; i < w->nodes; i++)
		if (w->procs[i]->up)
			cw_dht_rows(w->procs[i]->dht, show_row, w->procs[i]);
}

static void must_answer(struct world *w, void *arg, uint64_t x)
{
	(void)arg;
	(void)x;
	for (unsigned int k = 0; k < w->keys; k++)
		if (w->answered_ns[k] < w->heal_ns)
			world_fail(w, "no answer for key %u within 10 s after healing", k);
	if (w->result->violated)
		show_all(w);
}

static void must_hold(struct world *w, void *arg, uint64_t x)
{
	(void)arg;
	(void)x;
	for (unsigned int k = 0; k < w->keys; k++)
		if (w->holder[k] == NULL && w->held_ns[k] <= w->heal_ns)
			world_fail(w, "nobody could take key %u after healing", k);
}

/* Leadership goes on moving, so an age that is not carried shows. */
static void shuffle(struct world *w, void *arg, uint64_t x)
{
	(void)arg;
	(void)x;
	if (w->now_ns > w->heal_ns + FREE_NS)
		return;
	world_at(w, w->now_ns + 4 * CW_NS_PER_S, shuffle, NULL, 0);
	depose(w);
}

static void heal(struct world *w, void *arg, uint64_t x)
{
	(void)arg;
	(void)x;
	world_log(w, "--- healed");
	w->healed = true;
	w->heal_ns = w->now_ns;
	w->loss = w->duplicate = w->slow = 0;
	memset(w->cuts, 0, sizeof(w->cuts));
	world_recut(w);
	for (unsigned int i = 0; i < w->total; i++) {
		struct proc *p = w->procs[i];

		if (!p->up && !(p->caller.is && i >= w->nodes + 2))
			restart(w, p, p->life);
		else if (p->up && p->caller.is && i >= w->nodes + 2)
			proc_crash(p); /* all gateways but two are gone for good */
		proc_resume(p);
		p->caller.lazy_permille = 0;
		p->caller.session_lazy = false;
		for (unsigned int k = 0; k < w->keys; k++)
			p->caller.wants[k].claim.lazy = false;
	}
	world_at(w, w->now_ns + CW_NS_PER_S, shuffle, NULL, 0);
	world_at(w, w->now_ns + HEAL_NS, must_answer, NULL, 0);
	world_at(w, w->now_ns + FREE_NS, must_hold, NULL, 0);
}

void faults_begin(struct world *w, uint64_t heal_ns)
{
	static void (*const all[])(struct world *) = {split, isolate, one_way,	   kill_node, blink,
						      wipe,  stop,    caller_dies, drift,     move,
						      move,  depose,  bridge,	   late};
	static const unsigned int losses[] = {0, 20, 100}, duplicates[] = {0, 30, 100},
				  slows[] = {0, 20, 80}, gaps[] = {700, 1500, 3000},
				  weights[] = {0, 1, 1, 2, 4}, snipes[] = {0, 300, 600},
				  accs[] = {0, 10, 50};
	struct faults *f = calloc(1, sizeof(*f));

	CW_ASSERT(f != NULL);
	w->faults = f;
	f->w = w;
	f->heal_ns = heal_ns;
	f->gap_ms = gaps[world_random(w, 3)];
	w->loss = losses[world_random(w, 3)];
	w->duplicate = duplicates[world_random(w, 3)];
	w->slow = slows[world_random(w, 3)];
	for (size_t i = 0; i < CW_ARRAY_SIZE(all); i++)
		for (unsigned int n = weights[world_random(w, 5)]; n > 0; n--)
			f->kinds[f->kind_count++] = all[i];
	for (size_t i = 0; f->kind_count == 0 && i < CW_ARRAY_SIZE(all); i++)
		f->kinds[i] = all[i];
	if (f->kind_count == 0)
		f->kind_count = CW_ARRAY_SIZE(all);
	f->snipe_cfgacc = snipes[world_random(w, 3)];
	f->snipe_act = snipes[world_random(w, 3)];
	f->snipe_prep = snipes[world_random(w, 3)];
	f->snipe_acc = accs[world_random(w, 3)];
	w->hook = strike;
	world_at(w, w->now_ns + CW_NS_PER_S + world_random(w, CW_NS_PER_S), next_fault, f, 0);
	world_at(w, heal_ns, heal, NULL, 0);
}

void faults_end(struct world *w)
{
	struct faults *f = w->faults;

	for (unsigned int i = 0; f != NULL && i < OLD_MAX; i++)
		free(f->old[i]);
}
