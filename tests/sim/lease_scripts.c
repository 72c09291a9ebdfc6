/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directed schedules: one for each rule that chance tests seldom or never, named after the mutation
 * that removes it. Each passes with all rules and violates an invariant without its own. Nothing
 * here is left to chance: a script names the sites, the hosts, the number of addresses, clocks, and
 * what happens when. Unless it says otherwise there is one address, so whatever is freed is claimed
 * by the next gateway whose pool is empty; the first gateway starts before the others and has it.
 */
#include "lease_world.h"

#include <string.h>

enum act {
	END,
	ON,	 /* host */
	OFF,	 /* host */
	RELEASE, /* host; arg: it comes back at once */
	DECLINE, /* host */
	MOVE,	 /* host, arg: site */
	CRASH,	 /* gateway */
	START,	 /* gateway */
	PAUSE,	 /* gateway */
	WAKE,	 /* gateway */
	DEAF,	 /* gateway: no registers */
	HEARS,	 /* gateway */
	CUT,	 /* gateway, arg: the other; both ways */
	SPLIT,	 /* site; arg: bits of the gateways in half 1; hosts: by number */
	HALF,	 /* host, arg: half */
	SLOW,	 /* host: slowest clock, counts from the ACK */
	SLOWEST, /* registers prove the most there is to prove */
};

struct step {
	double at_s;
	enum act act;
	unsigned int who;
	double arg;
};

struct wire {
	unsigned int wire;
	double since_s, until_s, delay_s; /* < 0: lost */
	int gateway;			  /* -1: any */
	unsigned int skip;		  /* so many pass first */
};

struct script {
	const char *name;
	unsigned int sites[3];	 /* gateways of each */
	unsigned int clients[4]; /* of the hosts: number + 1; 0 ends */
	unsigned int at[4];	 /* their sites */
	double end_s;
	bool judge_service;
	struct wire wires[6];
	struct step steps[16];
};

static const struct script scripts[] = {
	/* g0 restarts and claims its host's address again; the answer is slow. The host moves; g0,
	 * that holds nothing yet, consents. Then the answer comes. */
	{.name = "inflight",
	 .sites = {1, 1},
	 .clients = {1},
	 .at = {0},
	 .end_s = 60,
	 .wires = {{WIRE_ANSWER | CW_STORE_CLAIM, 21, 60, 4, 0, 0}},
	 .steps = {{8, ON, 0, 0}, {20, CRASH, 0, 0}, {21, START, 0, 0}, {24, MOVE, 0, 1}}},
	/* Two machines with one client-id (clones) share an address. One releases it; the other
	 * believes on. */
	{.name = "anymac",
	 .sites = {1, 1},
	 .clients = {1, 1, 3},
	 .at = {0, 0, 1},
	 .end_s = 100,
	 .steps = {{8, ON, 0, 0}, {10, ON, 1, 0}, {25, RELEASE, 0, 0}, {50, ON, 2, 0}}},
	/* After a cut g0 renews generation 1 several times; all are refused, one answer is slow.
	 * Meanwhile it opened generation 2 and claimed again. Were generation 2 thought lost, g0
	 * would open a third, and until its bindings follow another site could have them without
	 * asking. */
	{.name = "othergen",
	 .sites = {1, 1},
	 .clients = {1},
	 .at = {0},
	 .end_s = 120,
	 .wires = {{WIRE_ANSWER | CW_STORE_SESSION_RENEW, 75, 80, 12, 0, 1},
		   {CW_STORE_SESSION_RENEW, 78, 92, -1, 0, 0},
		   {CW_STORE_CLAIM, 86, 120, 8, 0, 0}},
	 .steps = {{8, ON, 0, 0}, {36, DEAF, 0, 0}, {75, HEARS, 0, 0}, {90.5, MOVE, 0, 1}}},
	/* A claim for the pool is given up after 5 s and lands after 8. The gateway lives on and
	 * knows nothing of it. */
	{.name = "nosettle",
	 .sites = {1},
	 .end_s = 1500,
	 .judge_service = true,
	 .wires = {{CW_STORE_CLAIM, 1, 1.2, 8, -1, 0}, {CW_STORE_CLAIM, 1.2, 14, -1, -1, 0}}},
	/* g1's copy of the log says that the address is the first host's. It was: that host
	 * released it, g0 claimed it anew, and gives it to the second while it is cut off from
	 * everybody. */
	{.name = "nogen",
	 .sites = {2},
	 .clients = {1, 2},
	 .at = {0, 0},
	 .end_s = 110,
	 .wires = {{CW_STORE_LOOK, 30, 40, -1, 1, 0}},
	 .steps = {{8, ON, 0, 0},
		   {32, RELEASE, 0, 0},
		   {40, SPLIT, 0, 2},
		   {40, HALF, 0, 1},
		   {40, HALF, 1, 0},
		   {40, CUT, 0, 1},
		   {40, DEAF, 0, 0},
		   {41, ON, 1, 0},
		   {60, ON, 0, 0}}},
	/* g0 consents to a version; the claim of g1 is slow; the host comes back to g0, which
	 * claims again and speaks. g1, refused for its old version, must ask again. */
	{.name = "anyver",
	 .sites = {1, 1},
	 .clients = {1},
	 .at = {0},
	 .end_s = 60,
	 .wires = {{CW_STORE_CLAIM, 20.4, 21.1, 3, 1, 0}, {CW_STORE_CLAIM, 21.1, 23.6, -1, 1, 0}},
	 .steps = {{8, ON, 0, 0}, {20, MOVE, 0, 1}, {21.3, MOVE, 0, 0}}},
	/* A renewal is executed at its first send; the answer comes 20 s and many retries later.
	 * Then g0 is cut off and grants its longest lease: the end of its session is what it takes
	 * for one. */
	{.name = "lastsend",
	 .sites = {1, 1},
	 .clients = {1, 2},
	 .at = {0, 1},
	 .end_s = 230,
	 .wires = {{WIRE_ANSWER | CW_STORE_SESSION_RENEW, 26, 33, 20, 0, 0},
		   {CW_STORE_SESSION_RENEW, 33, 60, -1, 0, 0}},
	 .steps = {{8, SLOW, 0, 0},
		   {8, ON, 0, 0},
		   {52, DEAF, 0, 0},
		   {77, OFF, 0, 0},
		   {78, ON, 0, 0},
		   {80, OFF, 0, 0},
		   {193, ON, 1, 0}}},
	/* The longest lease at the end of the session, in an ACK nearly as slow as a LAN may be, to
	 * a slow host that counts from the ACK and then sleeps; the next one asks as soon as it
	 * may.
	 */
	{.name = "nomargin",
	 .sites = {1, 1},
	 .clients = {1, 2},
	 .at = {0, 1},
	 .end_s = 230,
	 .wires = {{WIRE_LAN | CW_DHCP_ACK, 50, 62, 9.9, 0, 0}},
	 .steps = {{8, SLOWEST, 0, 0},
		   {8, SLOW, 0, 0},
		   {8, ON, 0, 0},
		   {31, DEAF, 0, 0},
		   {56, OFF, 0, 0},
		   {57, ON, 0, 0},
		   {69, OFF, 0, 0},
		   {187.4, ON, 1, 0}}},
	/* The host releases, regrets it at once and gets its address again. The RELEASE, slower,
	 * waits while g0 is stopped, until the last ACK seems old enough. */
	{.name = "stalequeue",
	 .sites = {1, 1},
	 .clients = {1, 2},
	 .at = {0, 1},
	 .end_s = 100,
	 .wires = {{WIRE_LAN | CW_DHCP_RELEASE, 25, 26, 3, -1, 0}},
	 .steps = {{8, ON, 0, 0},
		   {25, RELEASE, 0, 1},
		   {27, PAUSE, 0, 0},
		   {42, WAKE, 0, 0},
		   {55, ON, 1, 0}}},
	/* Clones share an address; one of them notices the other and declines it. The other
	 * believes on. */
	{.name = "declinefree",
	 .sites = {1, 1},
	 .clients = {1, 1, 3},
	 .at = {0, 0, 1},
	 .end_s = 100,
	 .steps = {{8, ON, 0, 0}, {10, ON, 1, 0}, {25, DECLINE, 0, 0}, {50, ON, 2, 0}}},
};

const char *lease_script_name(unsigned int index)
{
	return index < CW_ARRAY_SIZE(scripts) ? scripts[index].name : NULL;
}

static void split(struct lease_world *w, unsigned int site, unsigned int half_one)
{
	w->split[site] = true;
	for (unsigned int i = 0; i < w->gateway_count; i++)
		w->gateways[i].half = half_one >> i & 1;
}

static void step_gateway(struct lease_world *w, const struct step *s)
{
	struct lease_gateway *g = &w->gateways[s->who];

	switch (s->act) {
	case CRASH:
		lease_gateway_crash(g);
		break;
	case START:
		lease_gateway_start(g);
		break;
	case PAUSE:
		lease_gateway_pause(g);
		break;
	case WAKE:
		lease_gateway_wake(g);
		break;
	case DEAF:
	case HEARS:
		g->regs_in = g->regs_out = s->act == HEARS;
		break;
	case CUT:
		w->cut[s->who][(unsigned int)s->arg] = w->cut[(unsigned int)s->arg][s->who] = true;
		break;
	case SPLIT:
		split(w, s->who, (unsigned int)s->arg);
		break;
	default:
		w->regs.rate = 1 - 1.0 / CW_LAW_EPS_DIVISOR / CW_LAW_EPS_DIVISOR;
	}
}

static void on_step(struct lease_world *w, struct lease_event *ev)
{
	const struct step *s = ev->what;
	struct lease_host *h = &w->hosts[s->who];

	lease_say(w, "step %u of %u", (unsigned int)s->act, s->who);
	switch (s->act) {
	case ON:
		lease_host_on(h);
		break;
	case OFF:
		lease_host_off(h);
		break;
	case RELEASE:
		lease_host_release(h, s->arg != 0);
		break;
	case DECLINE:
		lease_host_decline(h);
		break;
	case MOVE:
		lease_host_move(h, (unsigned int)s->arg, false);
		break;
	case HALF:
		h->half = (unsigned int)s->arg;
		break;
	case SLOW:
		h->rate_ppm = -9900;
		h->late = true;
		break;
	default:
		step_gateway(w, s);
	}
}

static void on_start(struct lease_world *w, struct lease_event *ev)
{
	(void)w;
	lease_gateway_start(ev->who);
}

static void set_up(struct lease_world *w, const struct script *s)
{
	w->lease_s = w->longest_s = 120;
	w->address_count = 1;
	w->judge_service = s->judge_service;
	w->calm_ns = 0;
	for (unsigned int site = 0; site < CW_ARRAY_SIZE(s->sites); site++)
		for (unsigned int i = 0; i < s->sites[site]; i++)
			lease_gateway_init(w, w->gateway_count++, site, 0);
	for (unsigned int i = 0; i < w->gateway_count; i++)
		lease_after(w, i == 0 ? 0 : 3 * CW_NS_PER_S, on_start, &w->gateways[i]);
	for (; s->clients[w->host_count] != 0; w->host_count++)
		lease_host_init(w, w->host_count, s->clients[w->host_count] - 1,
				s->at[w->host_count]);
	for (unsigned int i = 0; s->wires[i].wire != 0; i++)
		w->rules[w->rule_count++] = (struct lease_rule){
			.wire = s->wires[i].wire,
			.since_ns = LEASE_S(s->wires[i].since_s),
			.until_ns = LEASE_S(s->wires[i].until_s),
			.delay_ns = (int64_t)(s->wires[i].delay_s * 1e9),
			.skip = s->wires[i].skip,
			.g = s->wires[i].gateway < 0 ? NULL : &w->gateways[s->wires[i].gateway]};
	for (unsigned int i = 0; s->steps[i].act != END; i++)
		lease_after(w, LEASE_S(s->steps[i].at_s), on_step, NULL)->what =
			(void *)(uintptr_t)&s->steps[i];
}

bool lease_script_run(const char *name, struct sim_result *result, enum cw_lease_mutation mutate,
		      bool trace)
{
	const struct script *s = scripts;
	struct lease_world *w = lease_world_new(1, result, mutate);

	while (strcmp(s->name, name) != 0)
		s++;
	w->script = s->name;
	w->trace = trace;
	lease_say(w, "-- %s", s->name);
	set_up(w, s);
	lease_run_until(w, LEASE_S(s->end_s));
	if (!result->violated)
		lease_judge_end(w);
	lease_world_free(w);
	return !result->violated;
}
