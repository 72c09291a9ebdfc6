/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The links' world: nodes that run the shipped lib/link over the stand-in DTLS, everybody wants a
 * link to everybody (so both ends open at once), hosts' packets are sealed with the SAs that links
 * agreed on, messages of all sizes go over them. Faults for a while, then healing and demands.
 *
 * Judged:
 *   a packet sealed with an SA that the other end of a living link does not have, or no longer has
 * - never (rekey is make before break); SAs outlive their link or SPIs get lost - never; two links
 *   between two nodes, or up and down out of order - never; a message in pieces, changed or twice -
 *   never; the largest packet that a path carries is found, and what is dead is not taken for
 * narrow; associations and attempts stay bounded, whatever a stranger sends; after healing every
 *   pair has one link on which packets and messages get through both ways, and it stays.
 */
#include <stdio.h>

#include "link_world.h"

static const char *const mutations[CW_LINK_MUT_COUNT] = {
	[CW_LINK_MUT_NONE] = "none",	     [CW_LINK_MUT_NOLINGER] = "nolinger",
	[CW_LINK_MUT_EAGER] = "eager",	     [CW_LINK_MUT_SPILEAK] = "spileak",
	[CW_LINK_MUT_TWOLINKS] = "twolinks", [CW_LINK_MUT_PIECES] = "pieces",
	[CW_LINK_MUT_NOSETTLE] = "nosettle",
};
/* Numbered behind those. */
static const char *const pmtu_mutations[CW_PMTU_MUT_COUNT] = {
	[CW_PMTU_MUT_NONE] = "none",	       [CW_PMTU_MUT_NOWITNESS] = "nowitness",
	[CW_PMTU_MUT_NOCONFIRM] = "noconfirm", [CW_PMTU_MUT_NORAISE] = "noraise",
	[CW_PMTU_MUT_BLINDHINT] = "blindhint",
};

static int link_mutation(const char *name)
{
	for (int i = 0; i < CW_LINK_MUT_COUNT; i++)
		if (strcmp(mutations[i], name) == 0)
			return i;
	for (int i = 0; i < CW_PMTU_MUT_COUNT; i++)
		if (strcmp(pmtu_mutations[i], name) == 0)
			return CW_LINK_MUT_COUNT + i;
	return -1;
}

static void set_mutation(struct world *w, const char *name)
{
	int i = name != NULL ? link_mutation(name) : 0;

	if (i < CW_LINK_MUT_COUNT)
		w->mutate = (enum cw_link_mutation)i;
	else
		w->mutate_pmtu = (enum cw_pmtu_mutation)(i - CW_LINK_MUT_COUNT);
}

static void wake(struct node *n, uint64_t deadline_ns)
{
	uint64_t here = clock_of(n), now = under_now(n->world->under);

	/* Clocks differ by 0.2 %: a timer may be early by that, and is asked again then. */
	under_wake(n->world->under, n->index,
		   now + CW_NS_PER_MS / 2 +
			   (deadline_ns > here ? cw_min_u64(deadline_ns - here, ACT_NS) : 0));
}

static void fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t *at = buf;

	while (len-- > 0)
		*at++ = (uint8_t)sim_random(&w->random);
}

/* -- life of a node */

static void start(struct node *n)
{
	struct world *w = n->world;
	struct dtls_stand_in_params dtls = {.node = n->id,
					    .name = n->name,
					    .site = "",
					    .random = {.fill = fill, .ctx = w},
					    .send = link_send,
					    .send_ctx = n};
	struct cw_link_config config = {.self = n->id,
					.workers = (uint8_t)n->workers,
					.random = {.fill = fill, .ctx = w},
					.dtls = &dtls_stand_in_ops,
					.kdf = dtls_stand_in_kdf,
					.sa_rekey_ns = REKEY_NS,
					.renew_ns = RENEW_NS,
					.mtu_bytes = FIRST_HOP_BYTES,
					.mtu_raise_ns = RAISE_NS,
					.mutate = w->mutate,
					.mutate_pmtu = w->mutate_pmtu};

	n->engine = dtls_stand_in_create(&dtls);
	config.engine = n->engine;
	CW_ASSERT(cw_links_create(&n->links, &config, &link_judge_ops, n) == 0);
	n->up = true;
	n->incarnation++;
	n->held = n->installed = 0;
	memset(n->pairs, 0, sizeof(n->pairs));
	wake(n, 0);
}

/* A crash says goodbye to nobody: what destroying would send is lost. */
static void stop(struct node *n, bool crash)
{
	struct world *w = n->world;

	under_set_group(w->under, n->index, crash ? n->index + 100 : 0);
	cw_links_destroy(n->links);
	dtls_stand_in_destroy(n->engine);
	under_set_group(w->under, n->index, 0);
	n->links = NULL;
	n->up = false;
	if (n->held != 0)
		link_violation(w, "node %u: %u SPIs are lost", n->index, n->held);
	if (n->installed != 0)
		link_violation(w, "node %u: %u SAs are lost", n->index, n->installed);
}

static struct cw_endpoint new_address(struct world *w)
{
	return (struct cw_endpoint){.family = CW_FAMILY_IPV4,
				    .port = rte_cpu_to_be_16(7100),
				    .ip4 = rte_cpu_to_be_32(0xc6330000 + w->next_host++)};
}

/* -- what nodes do */

static void seal_one(struct node *n, unsigned int other)
{
	struct world *w = n->world;
	struct pair *p = &n->pairs[other];
	unsigned int k = (unsigned int)(sim_random(&w->random) % p->current.K);
	rte_be32_t spi = rte_cpu_to_be_32(p->current.spi[k]);
	uint8_t packet[ESP_BYTES] = {0};

	memcpy(packet, &spi, 4);
	memcpy(packet + 4, p->current.key[k], CW_LINK_SA_KEY_BYTES);
	under_send(w->under, n->index, &p->path, packet, sizeof(packet));
	cw_links_busy(n->links, &w->nodes[other].id, clock_of(n));
	link_sums.packets++;
}

static void send_message(struct node *n, unsigned int other)
{
	static uint8_t message[MESSAGE_MAX];
	struct world *w = n->world;
	uint64_t roll = sim_random(&w->random);
	uint32_t bytes = 8 + (uint32_t)(roll % (roll >> 32 & 7 ? 500 : MESSAGE_MAX - 8));

	if (w->message_count == w->message_size) {
		w->message_size = w->message_size ? w->message_size * 2 : 4096;
		w->delivered = realloc(w->delivered, w->message_size);
		CW_ASSERT(w->delivered != NULL);
	}
	w->delivered[w->message_count] = 0;
	memcpy(message, &w->message_count, 4);
	memcpy(message + 4, &bytes, 4);
	for (size_t i = 8; i < bytes; i++)
		message[i] = link_message_byte(w->message_count, i);
	w->message_count++;
	link_sums.messages++;
	/* Without a link it is refused, and may be. */
	if (cw_links_send(n->links, &w->nodes[other].id, message, bytes, clock_of(n)) == 0)
		w->result->operations++;
}

static void check_load(struct node *n)
{
	struct cw_links_load load;

	cw_links_load(n->links, &load);
	/* A link, a handshake each way and one that is being replaced, with each; the stranger's.
	 */
	if (load.associations > 4 * n->world->count + 16 || load.attempts > n->world->count ||
	    load.links >= n->world->count)
		link_violation(n->world, "node %u has %u associations, %u attempts, %u links",
			       n->index, load.associations, load.attempts, load.links);
}

static void act(struct node *n)
{
	struct world *w = n->world;
	uint64_t now = under_now(w->under);

	for (unsigned int i = 0; i < w->count; i++) {
		struct pair *p = &n->pairs[i];

		if (i == n->index)
			continue;
		if (!p->up && now >= p->connect_ns) {
			p->connect_ns =
				now + CW_NS_PER_S / 2 + sim_random(&w->random) % CW_NS_PER_S;
			/* -EALREADY: an attempt is under way. */
			if (cw_links_connect(n->links, &w->nodes[i].id, under_address(w->under, i),
					     1, clock_of(n)) < 0)
				continue;
		}
		if (p->up && p->current.K > 0 && sim_chance(&w->random, 300))
			seal_one(n, i);
		/* After healing everybody must be heard within the judge's 10 s. */
		if (p->up && sim_chance(&w->random, w->healed ? 250 : 60))
			send_message(n, i);
	}
	check_load(n);
}

/* A forged ICMP message, that quotes what it saw: some path carries less than it does. */
static void lie(struct world *w, unsigned int victim)
{
	unsigned int other = (unsigned int)(sim_random(&w->random) % w->count);
	struct node *n = &w->nodes[victim];

	if (n->up && !n->paused && sim_chance(&w->random, 20))
		(void)cw_links_too_big(n->links, under_address(w->under, other),
				       (uint16_t)(sim_random(&w->random) % FIRST_HOP_BYTES),
				       clock_of(n));
}

/* Somebody who has no certificate, and hears what is sent. */
static void strange(struct world *w)
{
	uint8_t data[200];
	size_t len = 1 + sim_random(&w->random) % sizeof(data);
	unsigned int victim = (unsigned int)(sim_random(&w->random) % w->count);

	if (sim_chance(&w->random, 500) && w->seen_len > 0) {
		under_send(w->under, w->count, &w->seen_to, w->seen, w->seen_len);
	} else {
		fill(w, data, len);
		if (sim_chance(&w->random, 700) && len > 14) {
			memset(data, 0, 13);
			data[0] = (uint8_t)(20 + sim_random(&w->random) % 4);
			data[13] = 1;
		}
		under_send(w->under, w->count, under_address(w->under, victim), data, len);
	}
	lie(w, victim);
	under_wake(w->under, w->count, under_now(w->under) + CW_NS_PER_S / 20);
}

static void on_timer(void *ctx, unsigned int index)
{
	struct world *w = ctx;
	struct node *n = &w->nodes[index];
	uint64_t next;

	if (index == w->count) {
		strange(w);
		return;
	}
	if ((!n->up || n->paused) && under_now(w->under) < n->back_ns) {
		under_wake(w->under, index, n->back_ns);
		return;
	}
	n->paused = false;
	if (!n->up)
		start(n);
	if (under_now(w->under) >= n->act_ns) {
		n->act_ns = under_now(w->under) + ACT_NS;
		act(n);
	}
	next = cw_links_timer(n->links, clock_of(n));
	wake(n, next);
}

static void on_datagram(void *ctx, unsigned int index, const struct cw_endpoint *from,
			const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	struct node *n = &w->nodes[index];

	if (index == w->count || !n->up || n->paused)
		return;
	if (data[0] >= 128 && len == ESP_BYTES) {
		link_open(n, from, data);
	} else {
		cw_links_input(n->links, from, data, len, clock_of(n));
		wake(n, cw_links_timer(n->links, clock_of(n)));
	}
}

/* -- faults */

/* The way to it became narrower, or wider. */
static void set_mtu(struct node *n)
{
	struct world *w = n->world;
	unsigned int bytes = MTU_LEAST_BYTES + (unsigned int)(sim_random(&w->random) % 230);

	under_set_mtu(w->under, n->index, bytes < FIRST_HOP_BYTES ? bytes : FIRST_HOP_BYTES);
	n->mtu_ns = under_now(w->under);
}

static void fault(struct world *w)
{
	unsigned int i = (unsigned int)(sim_random(&w->random) % w->count);
	unsigned int j = (unsigned int)(sim_random(&w->random) % w->count);
	struct under_conditions *c = under_conditions(w->under);
	struct node *n = &w->nodes[i];
	struct cw_endpoint at;
	uint64_t span = (UINT64_C(1) << (sim_random(&w->random) % 4)) * CW_NS_PER_S;

	switch (sim_random(&w->random) % 9) {
	case 0:
		under_cut(w->under, i, j);
		break;
	case 1:
		under_set_group(w->under, i, (unsigned int)(sim_random(&w->random) % 3));
		break;
	case 2:
		under_heal(w->under);
		break;
	case 3:
		if (n->up && !n->paused) {
			stop(n, true);
			n->back_ns = under_now(w->under) + span / 4;
			under_wake(w->under, i, n->back_ns);
		}
		break;
	case 4:
		n->paused = n->up;
		n->back_ns = under_now(w->under) + span;
		under_wake(w->under, i, n->back_ns);
		break;
	case 5: /* its NAT forgot it, or it moved */
		at = new_address(w);
		under_place(w->under, i, 0, &at);
		break;
	case 6:
	case 7:
		set_mtu(n);
		break;
	default:
		w->calm = false;
		c->loss = (unsigned int)(sim_random(&w->random) % 300);
		c->duplicate = (unsigned int)(sim_random(&w->random) % 100);
		c->slow = (unsigned int)(sim_random(&w->random) % 60);
	}
}

static void heal(struct world *w)
{
	struct under_conditions *c = under_conditions(w->under);

	w->healed = true;
	w->heal_ns = under_now(w->under);
	under_heal(w->under);
	c->loss = c->duplicate = c->slow = 0;
	for (unsigned int i = 0; i < w->count; i++) {
		w->nodes[i].back_ns = w->heal_ns;
		under_wake(w->under, i, w->heal_ns);
	}
}

static void check_mtu(struct world *w, struct node *n, unsigned int other)
{
	struct cw_link_info info = {.mtu_bytes = 0};
	uint16_t want = link_mtu_of(w, n->index, other);

	if (!cw_links_info(n->links, &w->nodes[other].id, &info) || info.mtu_bytes != want ||
	    info.mtu_state != CW_PMTU_CONFIRMED)
		link_violation(w, "node %u has %u bytes (%s) for the path to %u, which carries %u",
			       n->index, info.mtu_bytes, cw_pmtu_state_name(info.mtu_state), other,
			       want);
}

static void check_healed(struct world *w)
{
	uint64_t late = under_now(w->under) - 3 * CW_NS_PER_S;

	for (unsigned int i = 0; i < w->count; i++)
		for (unsigned int j = 0; j < w->count; j++) {
			const struct pair *p = &w->nodes[i].pairs[j];

			if (i == j)
				continue;
			if (!p->up)
				link_violation(w, "nodes %u and %u are not linked after healing", i,
					       j);
			else if (!cw_endpoint_equal(&p->path, under_address(w->under, j)))
				link_violation(w, "node %u has a wrong path to %u", i, j);
			else if (p->opened_ns < late)
				link_violation(w, "packets of node %u do not get through to %u", j,
					       i);
			else if (p->message_ns + 10 * CW_NS_PER_S < under_now(w->under))
				link_violation(w, "messages of node %u do not get through to %u", j,
					       i);
			else
				check_mtu(w, &w->nodes[i], j);
		}
}

static void set_up(struct world *w, uint64_t seed, unsigned int nodes)
{
	static const struct under_ops ops = {.deliver = on_datagram, .timer = on_timer};
	struct under_conditions *c;
	struct cw_endpoint at;

	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	w->count = nodes;
	w->next_host = 1;
	w->calm = true;
	w->under = under_create(nodes + 1, &w->random, &ops, w);
	c = under_conditions(w->under);
	*c = (struct under_conditions){.delay_ns = 20 * CW_NS_PER_MS,
				       .jitter_ns = 20 * CW_NS_PER_MS,
				       .slow_ns = 2 * CW_NS_PER_S,
				       .duplicate_ns = 3 * CW_NS_PER_S};
	for (unsigned int i = 0; i <= nodes; i++) {
		at = new_address(w);
		under_place(w->under, i, 0, &at);
	}
	for (unsigned int i = 0; i < nodes; i++) {
		struct node *n = &w->nodes[i];

		n->world = w;
		n->index = i;
		fill(w, n->id.b, sizeof(n->id.b));
		snprintf(n->name, sizeof(n->name), "node%u", i);
		n->workers = 1 + (unsigned int)(sim_random(&w->random) % WORKERS_MAX);
		n->rate = 100000 - 199 + sim_random(&w->random) % 399;
		n->skew_ns = (int64_t)(sim_random(&w->random) % (1000 * CW_NS_PER_S));
		under_set_mtu(w->under, i, FIRST_HOP_BYTES);
		start(n);
	}
	under_wake(w->under, nodes, under_now(w->under));
}

static void link_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t end_ns, heal_ns, now;

	CW_ASSERT(w != NULL);
	w->result = result;
	set_mutation(w, options->mutate);
	set_up(w, seed, options->nodes);
	now = under_now(w->under);
	heal_ns = now + options->seconds * CW_NS_PER_S;
	end_ns = heal_ns + HEAL_S * CW_NS_PER_S;
	while (now < heal_ns && !result->violated) {
		now = cw_min_u64(heal_ns, now + 1 + sim_random(&w->random) % (3 * CW_NS_PER_S));
		under_run(w->under, now);
		fault(w);
	}
	heal(w);
	while (now < end_ns && !result->violated) {
		now += CW_NS_PER_S;
		under_run(w->under, now);
	}
	if (!result->violated)
		check_healed(w);
	w->ended = true;
	for (unsigned int i = 0; i < w->count; i++)
		if (w->nodes[i].up)
			stop(&w->nodes[i], false);
	under_destroy(w->under);
	free(w->records);
	free(w->delivered);
	free(w);
}

static void link_report(FILE *out, bool json)
{
	fprintf(out,
		json ? ",\"packets\":%llu,\"opened\":%llu,\"messages\":%llu,\"delivered\":%llu,\"rekeys\":%llu,\"links\":%llu,\"mtu_changes\":%llu"
		     : "packets %llu, opened %llu, messages %llu, delivered %llu, rekeys %llu, links made %llu, MTUs changed %llu\n",
		(unsigned long long)link_sums.packets, (unsigned long long)link_sums.opened,
		(unsigned long long)link_sums.messages, (unsigned long long)link_sums.delivered,
		(unsigned long long)link_sums.rekeys, (unsigned long long)link_sums.ups,
		(unsigned long long)link_sums.mtus);
}

const struct sim_suite sim_link = {.name = "link",
				   .nodes_min = 2,
				   .nodes_max = NODES_MAX,
				   .nodes_usual = 4,
				   .run = link_run,
				   .mutation = link_mutation,
				   .report = link_report,
				   .healing_s = HEAL_S};
