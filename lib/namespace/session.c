/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session: this gateway's one sign of life in the registers, renewed every 10 s, 30 s long.
 *
 * The deadline counts from the first send of the last acknowledged renewal (R2); past it workers
 * fall silent by themselves. A process opens a generation of its own (R7); its predecessor's, whose
 * number it reads from its own disk under the state directory's lock, it may end at once. An answer
 * counts only for the generation it was asked for.
 *
 * A generation that is over leaves its base behind: entries that were not claimed again may be
 * served under it, ever shorter, until their cover ends.
 */
#include "internal.h"

static const uint64_t *base_of(const struct cw_lease_engine *e, uint64_t sgen)
{
	for (unsigned int i = 0; i < GENERATIONS && sgen != 0; i++)
		if (e->bases[i].sgen == sgen)
			return &e->bases[i].base_ns;
	return NULL;
}

static void raise_base(struct cw_lease_engine *e, uint64_t sgen, uint64_t base_ns)
{
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < GENERATIONS; i++) {
		if (e->bases[i].sgen == sgen) {
			e->bases[i].base_ns = cw_max_u64(e->bases[i].base_ns, base_ns);
			return;
		}
		if (e->bases[i].sgen < e->bases[oldest].sgen)
			oldest = i;
	}
	e->bases[oldest].sgen = sgen;
	e->bases[oldest].base_ns = base_ns;
}

uint64_t session_deadline(const struct cw_lease_engine *e)
{
	const uint64_t *base_ns = base_of(e, e->sgen);

	return base_ns == NULL ? 0 : *base_ns + CW_LAW_SESSION_NS;
}

bool session_live(const struct cw_lease_engine *e)
{
	return e->now_ns < session_deadline(e);
}

uint32_t session_grant_s(const struct cw_lease_engine *e, const struct binding *b)
{
	const struct cw_namespace_record *ns = &e->config.ns;
	const uint64_t *base_ns =
		base_of(e, mutated(e, CW_LEASE_MUT_NORECLAIM) ? e->sgen : b->sgen);
	uint64_t cover_ns = b->cover_ns;

	if (base_ns == NULL || b->stopped || e->closing)
		return 0;
	if (mutated(e, CW_LEASE_MUT_COVERFROMNOW))
		return ns->lease_s;
	if (mutated(e, CW_LEASE_MUT_EARLYLONGER))
		cover_ns = cw_law_cover_ns(ns->lease_longest_s);
	return cw_law_grant_s(ns->lease_s, cover_ns, *base_ns, e->now_ns);
}

/* Another generation, or none: what workers answer in-line rests on it. */
static void show_all(struct cw_lease_engine *e)
{
	for (struct link *l = e->all.next; l != &e->all; l = l->next) {
		struct binding *b = CW_CONTAINER_OF(l, struct binding, all);

		if (b->shown_inline || mutated(e, CW_LEASE_MUT_NORECLAIM))
			binding_show(e, b);
		binding_due(e, b, e->now_ns);
	}
}

static void on_open(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct cw_lease_engine *e = arg;

	e->now_ns = now_ns;
	e->opening = false;
	e->isolated = answer->result == CW_STORE_TIMEOUT;
	if (answer->result != CW_STORE_OK) {
		if (answer->result == CW_STORE_BUSY)
			cw_log(e->config.log, CW_LOG_WARN, MODULE,
			       "a session of this node is open elsewhere; waiting until it is over (is there a second gateway with this identity?)");
		e->reopen_ns = now_ns + CW_NS_PER_S;
		return;
	}
	e->sgen = e->stored_sgen = answer->sgen;
	e->sent_ns = answer->first_send_ns;
	raise_base(e, e->sgen, mutated(e, CW_LEASE_MUT_LASTSEND) ? now_ns : answer->first_send_ns);
	log_sgen(e);
	cw_log(e->config.log, CW_LOG_NOTICE, MODULE, "session opened, generation %llu",
	       (unsigned long long)e->sgen);
	show_all(e);
	e->ops.session(e->ctx, e->sgen, session_deadline(e), now_ns);
	e->tick_ns = now_ns;
}

static void lost(struct cw_lease_engine *e)
{
	cw_log(e->config.log, CW_LOG_WARN, MODULE, "session generation %llu is over",
	       (unsigned long long)e->sgen);
	e->sgen = 0;
	/* Workers are silenced before anything else is shown to them. */
	e->ops.session(e->ctx, 0, 0, e->now_ns);
	show_all(e);
}

/* Deadline and covers were counted from sendings that lie further back than this clock says. */
void cw_lease_clock_behind(struct cw_lease_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	memset(e->bases, 0, sizeof(e->bases));
	if (e->sgen != 0 && !e->closing)
		lost(e);
	e->reopen_ns = 0;
	e->tick_ns = now_ns;
}

static void on_renewed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct note *note = arg;
	struct cw_lease_engine *e = note->e;
	uint64_t sgen = note->number;

	note_drop(note);
	e->now_ns = now_ns;
	if (answer->result == CW_STORE_TIMEOUT) {
		if (!e->isolated)
			cw_log(e->config.log, CW_LOG_WARN, MODULE,
			       "no majority of voters answers: claiming nothing, serving known clients within their cover");
		e->isolated = true;
		return;
	}
	e->isolated = false;
	if (e->close_sent)
		return; /* workers are silent, and stay so */
	if (e->sgen == 0 || (sgen != e->sgen && !mutated(e, CW_LEASE_MUT_OTHERGEN)))
		return; /* an answer counts for the generation it was asked for (R7) */
	if (answer->result == CW_STORE_LOST)
		lost(e);
	if (answer->result != CW_STORE_OK)
		return;
	raise_base(e, sgen, mutated(e, CW_LEASE_MUT_LASTSEND) ? now_ns : answer->first_send_ns);
	e->ops.session(e->ctx, e->sgen, session_deadline(e), now_ns);
}

static void open(struct cw_lease_engine *e)
{
	struct cw_store_request request = {.verb = CW_STORE_SESSION_OPEN,
					   .sgen = e->stored_sgen,
					   .budget_ns = 20 * CW_NS_PER_S};

	if (e->opening || e->now_ns < e->reopen_ns)
		return;
	e->opening = cw_store_submit(&e->config.store, &request, on_open, e, e->now_ns) == 0;
}

void session_tick(struct cw_lease_engine *e)
{
	/* Several are under way at once when answers are slow: each outlives the next two. */
	struct cw_store_request request = {
		.verb = CW_STORE_SESSION_RENEW, .sgen = e->sgen, .budget_ns = 25 * CW_NS_PER_S};
	uint64_t jitter = CW_LAW_RENEW_NS / 10;
	struct note *note;

	if (e->sgen == 0) {
		open(e);
		return;
	}
	if (e->now_ns - e->sent_ns <
	    CW_LAW_RENEW_NS - jitter + cw_random_u64(&e->config.random) % jitter)
		return;
	note = note_new(e, 0);
	if (note == NULL)
		return;
	note->number = e->sgen;
	if (cw_store_submit(&e->config.store, &request, on_renewed, note, e->now_ns) == 0)
		e->sent_ns = e->now_ns;
	else
		note_drop(note);
}

static void on_closed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct cw_lease_engine *e = arg;

	(void)answer;
	e->now_ns = now_ns;
	e->closed = true;
	e->sgen = 0;
}

void session_close(struct cw_lease_engine *e)
{
	struct cw_store_request request = {
		.verb = CW_STORE_SESSION_CLOSE, .sgen = e->sgen, .budget_ns = 3 * CW_NS_PER_S};

	/* Silent first: the session is over for others before its closing is known here. */
	e->ops.session(e->ctx, 0, 0, e->now_ns);
	if (e->sgen == 0 ||
	    cw_store_submit(&e->config.store, &request, on_closed, e, e->now_ns) < 0)
		e->closed = true;
}
