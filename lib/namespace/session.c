/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session: this gateway's one sign of life in the registers, renewed every 10 s, 30 s long.
 *
 * The deadline counts from the first send of the last acknowledged renewal (R2); past it workers
 * fall silent by themselves. A process opens a generation of its own (R7); its predecessor's, whose
 * number it reads from its own disk under the state directory's lock, it may end at once. An answer
 * counts only for the generation it was asked for.
 */
#include "internal.h"

static uint64_t deadline(const struct cw_lease_engine *e)
{
	return e->sgen == 0 ? 0 : e->base_ns + CW_LAW_SESSION_NS;
}

bool session_live(const struct cw_lease_engine *e)
{
	return e->now_ns < deadline(e);
}

uint32_t session_grant_s(const struct cw_lease_engine *e, const struct binding *b)
{
	if (e->sgen == 0 || b->sgen != e->sgen || b->stopped || e->closing)
		return 0;
	return cw_law_grant_s(e->config.ns.lease_s, b->cover_ns, e->base_ns, e->now_ns);
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
	e->base_ns = e->sent_ns = answer->first_send_ns;
	log_sgen(e);
	cw_log(e->config.log, CW_LOG_NOTICE, MODULE, "session opened, generation %llu",
	       (unsigned long long)e->sgen);
	e->ops.session(e->ctx, e->sgen, deadline(e), now_ns);
	e->tick_ns = now_ns;
}

static void on_renewed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct cw_lease_engine *e = arg;

	e->now_ns = now_ns;
	if (answer->result == CW_STORE_TIMEOUT) {
		if (!e->isolated)
			cw_log(e->config.log, CW_LOG_WARN, MODULE,
			       "no majority of voters answers: claiming nothing, serving known clients within their cover");
		e->isolated = true;
		return;
	}
	e->isolated = false;
	if (answer->sgen != e->sgen)
		return;
	if (answer->result != CW_STORE_OK) {
		cw_log(e->config.log, CW_LOG_WARN, MODULE, "session generation %llu is over",
		       (unsigned long long)e->sgen);
		e->sgen = 0;
		e->ops.session(e->ctx, 0, 0, now_ns);
		return;
	}
	e->base_ns = cw_max_u64(e->base_ns, answer->first_send_ns);
	e->ops.session(e->ctx, e->sgen, deadline(e), now_ns);
}

void session_tick(struct cw_lease_engine *e)
{
	struct cw_store_request request = {0};
	uint64_t jitter = CW_LAW_RENEW_NS / 10;

	if (e->sgen == 0) {
		if (e->opening || e->now_ns < e->reopen_ns)
			return;
		request.verb = CW_STORE_SESSION_OPEN;
		request.sgen = e->stored_sgen;
		request.budget_ns = 20 * CW_NS_PER_S;
		e->opening =
			cw_store_submit(&e->config.store, &request, on_open, e, e->now_ns) == 0;
		return;
	}
	if (e->now_ns - e->sent_ns <
	    CW_LAW_RENEW_NS - jitter + cw_random_u64(&e->config.random) % jitter)
		return;
	request.verb = CW_STORE_SESSION_RENEW;
	request.sgen = e->sgen;
	request.budget_ns = CW_LAW_RENEW_NS;
	if (cw_store_submit(&e->config.store, &request, on_renewed, e, e->now_ns) == 0)
		e->sent_ns = e->now_ns;
}

static void on_closed(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct cw_lease_engine *e = arg;

	(void)answer;
	e->now_ns = now_ns;
	e->closed = true;
	e->sgen = 0;
	e->ops.session(e->ctx, 0, 0, now_ns);
}

void session_close(struct cw_lease_engine *e)
{
	struct cw_store_request request = {
		.verb = CW_STORE_SESSION_CLOSE, .sgen = e->sgen, .budget_ns = 3 * CW_NS_PER_S};

	if (e->sgen == 0 ||
	    cw_store_submit(&e->config.store, &request, on_closed, e, e->now_ns) < 0)
		e->closed = true;
}
