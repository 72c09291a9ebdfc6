/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a key's history linearizable? Wing and Gong's search, just in time: all orders of the open
 * operations that explain every answer so far. By itself a held key may become free as its next
 * version (its lease was ended; whether too early, the holders' judge says), and a free key's
 * version may jump (its tombstone was collected).
 */
#include "dht_world.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 64, CONFIGS_MAX = 65536 };

struct state {
	bool held;
	uint64_t owner, gen, ver, val;
};

struct configuration {
	struct state state;
	uint64_t early; /* open operations that have taken effect */
};

struct search {
	struct configuration *list;
	unsigned int count, size;
	unsigned int *table, table_size;
};

static bool is_mine(const struct state *s, const struct entry *e)
{
	return s->held && s->owner == e->owner && s->gen == e->gen;
}

static bool is_write(const struct entry *e)
{
	return e->verb == CW_STORE_REG_CREATE || e->verb == CW_STORE_REG_TAKEOVER ||
	       e->verb == CW_STORE_REG_CAS || e->verb == CW_STORE_REG_RELEASE;
}

static bool same_state(const struct state *a, const struct state *b)
{
	return a->held == b->held && a->owner == b->owner && a->gen == b->gen && a->ver == b->ver &&
	       a->val == b->val;
}

/* What is shown must be the state, or what it may become by itself. */
static bool step_shown(struct state *s, const struct entry *e)
{
	struct state shown = {e->held, e->s_owner, e->s_gen, e->s_ver, e->s_val};

	if (!same_state(&shown, s)) {
		if (shown.held || shown.ver < s->ver + s->held)
			return false;
		*s = shown;
	}
	switch (e->result) {
	case CW_STORE_OK:
		return true;
	case CW_STORE_EXISTS:
		return s->held && s->ver == e->exp;
	case CW_STORE_CONFLICT:
		return s->ver != e->exp;
	case CW_STORE_NOT_OWNER:
		return !is_mine(s, e);
	case CW_STORE_ALIVE:
		return s->held && s->gen == e->gen;
	case CW_STORE_LAPSED:
		return !s->held;
	default:
		return false;
	}
}

/* The sequential register: @return false if it cannot happen here. */
static bool step(struct state *s, const struct entry *e)
{
	bool known = e->result != CW_STORE_TIMEOUT;

	if (known && e->shown && (e->result != CW_STORE_OK || e->verb == CW_STORE_REG_GET))
		return step_shown(s, e);
	switch (e->verb) {
	case CW_STORE_REG_GET:
		return true;
	case CW_STORE_REG_RENEW:
		return is_mine(s, e);
	case CW_STORE_REG_KILL:
		if (s->held && s->gen == e->gen)
			*s = (struct state){.ver = s->ver + 1};
		return true;
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_TAKEOVER:
		if (e->exp < s->ver + s->held)
			return false;
		*s = (struct state){true, e->owner, e->exp + 1, e->exp + 1, e->val};
		return true;
	default:
		if (!is_mine(s, e) || s->ver != e->exp)
			return false;
		if (e->verb == CW_STORE_REG_CAS) {
			s->ver++;
			s->val = e->val;
		} else {
			*s = (struct state){.ver = s->ver + 1};
		}
		return true;
	}
}

static uint64_t hash_of(const struct configuration *c)
{
	uint64_t h = c->early * 31 + c->state.ver;

	h = h * UINT64_C(0x9E3779B97F4A7C15) ^ c->state.owner;
	h = h * UINT64_C(0x9E3779B97F4A7C15) ^ (c->state.val + c->state.held);
	return h ^ h >> 29;
}

/* @return true when it was not there. */
static bool add(struct search *s, const struct configuration *c)
{
	uint64_t at = hash_of(c);

	if (s->count >= CONFIGS_MAX)
		return false;
	for (;; at++) {
		unsigned int *place = &s->table[at % s->table_size];

		if (*place == 0) {
			s->list[s->count++] = *c;
			*place = s->count;
			return true;
		}
		if (s->list[*place - 1].early == c->early &&
		    same_state(&s->list[*place - 1].state, &c->state))
			return false;
	}
}

static void search_clear(struct search *s)
{
	s->count = 0;
	memset(s->table, 0, s->table_size * sizeof(*s->table));
}

static bool search_make(struct search *s)
{
	*s = (struct search){.size = CONFIGS_MAX, .table_size = CONFIGS_MAX * 2};
	s->list = malloc(s->size * sizeof(*s->list));
	s->table = calloc(s->table_size, sizeof(*s->table));
	return s->list != NULL && s->table != NULL;
}

struct moment {
	uint64_t at_ns;
	bool returns;
	unsigned int entry;
};

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	if (x->returns != y->returns)
		return x->returns ? 1 : -1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* All configurations in which this operation has taken effect. */
static void advance(struct search *from, struct search *to, const struct entry *entries,
		    const int *open, unsigned int wanted)
{
	search_clear(to);
	for (unsigned int k = 0; k < from->count; k++) {
		struct configuration c = from->list[k];

		if (c.early >> wanted & 1) {
			c.early &= ~(UINT64_C(1) << wanted);
			add(to, &c);
			continue;
		}
		for (unsigned int j = 0; j < OPEN_MAX; j++) {
			struct configuration next = c;

			if (open[j] < 0 || (c.early >> j & 1) ||
			    !step(&next.state, &entries[open[j]]))
				continue;
			next.early |= UINT64_C(1) << j;
			add(from, &next);
		}
	}
}

/* A pending write whose version has passed can never take effect. */
static void drop_dead(struct search *s, const struct entry *entries, int *open)
{
	uint64_t oldest = UINT64_MAX, gone = 0;

	for (unsigned int k = 0; k < s->count; k++)
		oldest = cw_min_u64(oldest, s->list[k].state.ver);
	for (unsigned int j = 0; j < OPEN_MAX; j++)
		if (open[j] >= 0 && entries[open[j]].returned_ns == 0 &&
		    oldest > entries[open[j]].exp) {
			open[j] = -1;
			gone |= UINT64_C(1) << j;
		}
	for (unsigned int k = 0; k < s->count; k++)
		s->list[k].early &= ~gone;
}

static unsigned int place_open(int *open, unsigned int entry)
{
	for (unsigned int j = 0; j < OPEN_MAX; j++) {
		if (open[j] >= 0)
			continue;
		open[j] = (int)entry;
		return j;
	}
	return OPEN_MAX;
}

static const struct entry *follow(const struct entry *entries, const struct moment *moments,
				  unsigned int count, struct search *now, struct search *then)
{
	static const struct configuration begin;
	int open[OPEN_MAX];

	memset(open, -1, sizeof(open));
	search_clear(now);
	add(now, &begin);
	for (unsigned int m = 0; m < count; m++) {
		const struct moment *at = &moments[m];
		struct search swap;
		unsigned int j = 0;

		if (!at->returns) {
			if (place_open(open, at->entry) == OPEN_MAX)
				return NULL; /* more than can be followed: not judged further */
			continue;
		}
		while (open[j] != (int)at->entry)
			j++;
		advance(now, then, entries, open, j);
		if (then->count == 0)
			return &entries[at->entry];
		open[j] = -1;
		drop_dead(then, entries, open);
		swap = *now;
		*now = *then;
		*then = swap;
	}
	return NULL;
}

const struct entry *judge_history(const struct entry *entries, unsigned int count)
{
	struct moment *moments = calloc(count * 2 + 1, sizeof(*moments));
	const struct entry *bad = NULL;
	struct search now, then;
	unsigned int n = 0;

	CW_ASSERT(moments != NULL && search_make(&now) && search_make(&then));
	for (unsigned int i = 0; i < count; i++) {
		const struct entry *e = &entries[i];

		if (e->returned_ns == 0 && !is_write(e))
			continue;
		moments[n++] = (struct moment){e->called_ns, false, i};
		if (e->returned_ns != 0)
			moments[n++] = (struct moment){e->returned_ns, true, i};
	}
	qsort(moments, n, sizeof(*moments), by_time);
	bad = follow(entries, moments, n, &now, &then);
	free(moments);
	free(now.list);
	free(now.table);
	free(then.list);
	free(then.table);
	return bad;
}

/* -- the judge judged */

#define E(t0, t1, v, who, ...)                                                                     \
	{                                                                                          \
		.called_ns = (t0) + 1, .returned_ns = (t1), .verb = CW_STORE_REG_##v,              \
		.owner = who, .val = who, __VA_ARGS__                                              \
	}
#define SHOWS(h, o, g, v, x)                                                                       \
	.shown = true, .held = h, .s_owner = o, .s_gen = g, .s_ver = v, .s_val = x
#define FREE(v) SHOWS(false, 0, 0, v, 0)
#define BY_A	SHOWS(true, 1, 1, 1, 1)
#define BY_B	SHOWS(true, 2, 2, 2, 2)
#define UNKNOWN .result = CW_STORE_TIMEOUT

static const struct {
	const char *what;
	bool good;
	struct entry entries[4];
} examples[] = {
	{"sequence",
	 true,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, GET, 2, BY_A),
	  E(5, 6, RELEASE, 1, .exp = 1, .gen = 1), E(7, 8, CREATE, 2, .exp = 2)}},
	{"concurrent read of either",
	 true,
	 {E(1, 6, CREATE, 1, .exp = 0), E(2, 3, GET, 2, FREE(0)), E(4, 5, GET, 2, BY_A)}},
	{"pending took effect", true, {E(1, 0, CREATE, 1, UNKNOWN), E(5, 6, GET, 2, BY_A)}},
	{"pending did not", true, {E(1, 0, CREATE, 1, UNKNOWN), E(5, 6, GET, 2, FREE(0))}},
	{"refusal",
	 true,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, CREATE, 2, .result = CW_STORE_CONFLICT, BY_A),
	  E(5, 6, CREATE, 2, .exp = 1, .result = CW_STORE_EXISTS, BY_A)}},
	{"floor",
	 true,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, RELEASE, 1, .exp = 1, .gen = 1),
	  E(5, 6, GET, 2, FREE(9)), E(7, 8, CREATE, 2, .exp = 9)}},
	{"stale read", false, {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, GET, 2, FREE(0))}},
	{"reads go back",
	 false,
	 {E(1, 9, CREATE, 1, .exp = 0), E(2, 3, GET, 2, BY_A), E(4, 5, GET, 3, FREE(0))}},
	{"lost write",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, CREATE, 2, .exp = 2), E(5, 6, GET, 3, BY_A)}},
	{"two winners", false, {E(1, 2, CREATE, 1, .exp = 0), E(1, 2, CREATE, 2, .exp = 0)}},
	{"applied twice",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, RELEASE, 1, .exp = 1, .gen = 1),
	  E(5, 6, GET, 2, SHOWS(true, 1, 3, 3, 1))}},
	{"wrong refusal", false, {E(1, 2, CREATE, 1, .result = CW_STORE_EXISTS, FREE(0))}},
	{"refused but done", false, {E(1, 2, CREATE, 1, .result = CW_STORE_CONFLICT, BY_A)}},
	{"taken while held", false, {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, CREATE, 2, .exp = 1)}},
	{"renew after loss",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, CREATE, 2, .exp = 2),
	  E(5, 6, RENEW, 1, .exp = 1, .gen = 1)}},
	{"release by a stranger",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, RELEASE, 2, .exp = 1, .gen = 1),
	  E(5, 6, GET, 2, FREE(2))}},
	{"version went back",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, RELEASE, 1, .exp = 1, .gen = 1),
	  E(5, 6, GET, 1, FREE(0))}},
	{"cas lost",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, CAS, 1, .exp = 1, .gen = 1),
	  E(5, 6, GET, 2, BY_A)}},
	{"value from nowhere",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0), E(3, 4, GET, 2, SHOWS(true, 2, 2, 2, 9))}},
	{"refused, then done",
	 false,
	 {E(1, 2, CREATE, 1, .exp = 0),
	  E(3, 4, CREATE, 2, .exp = 1, .result = CW_STORE_EXISTS, BY_A), E(5, 6, GET, 3, BY_B)}},
};

const char *judge_selftest(void)
{
	for (size_t i = 0; i < CW_ARRAY_SIZE(examples); i++) {
		unsigned int n = 0;

		while (n < 4 && examples[i].entries[n].called_ns != 0)
			n++;
		if ((judge_history(examples[i].entries, n) == NULL) != examples[i].good)
			return examples[i].what;
	}
	return NULL;
}
