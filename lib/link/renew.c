/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A handshake beside the link that takes its place: make before break.
 *
 * An association's keys and its look at the certificates should not be older than an hour, and a
 * link should not go down for that. The DTLS client shakes hands anew at the link's own endpoint
 * and says in its Hello that this renews the link. When an end has heard the other's Hello on the
 * new association, it moves the link over: SAs in use, path, statistics. The old association is not
 * the link any more but still takes what is on its way, and closes after RETIRED_NS. The client
 * then agrees on new SAs, from the new keys.
 *
 * It refuses to begin in the middle of an SA agreement, and holds agreements back while it runs, so
 * both ends have the same idea of what is moved. A peer that restarted meanwhile has no link to
 * move; it takes the Hello as any other. Invariant: at most one association of a node is its link.
 */
#include "internal.h"

void renew_schedule(struct association *a, uint64_t now_ns)
{
	uint64_t all = a->links->config.renew_ns, spread = all / 10 + 1;

	a->renew_ns = now_ns + all - spread / 2 + cw_random_u64(&a->links->config.random) % spread;
}

static void begin(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_dtls_session *session =
		links->config.dtls->connect(links->config.engine, &a->path, now_ns);
	struct association *next;

	a->renew_ns = now_ns + RENEW_RETRY_NS;
	if (session == NULL)
		return;
	next = association_add(links, session, &a->path, true, now_ns);
	if (next == NULL) {
		links->config.dtls->close(session);
		return;
	}
	a->successor = next;
	next->predecessor = a;
}

static uint64_t ask_for(struct association *a, uint64_t now_ns)
{
	Causeway__Link__RenewWant want = CAUSEWAY__LINK__RENEW_WANT__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	if (!a->renew_asked)
		return CW_NEVER;
	if (now_ns < a->renew_ns)
		return a->renew_ns;
	a->renew_ns = now_ns + RENEW_ASK_NS;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_RENEW;
	frame.renew = &want;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "renewal not asked for");
	return a->renew_ns;
}

void renew_wanted(struct association *a, uint64_t now_ns)
{
	/* A peer that asks without end gets one at a time, each after the last has settled. */
	if (a->client && a->is_link && a->successor == NULL &&
	    now_ns - a->renewed_ns >= RENEW_ASK_NS / 2)
		a->renew_ns = now_ns;
}

uint64_t renew_timer(struct association *a, uint64_t now_ns)
{
	if (!a->client)
		return ask_for(a, now_ns);
	if (a->successor != NULL)
		return CW_NEVER;
	if (now_ns < a->renew_ns)
		return a->renew_ns;
	if (a->sa.phase != SA_IDLE)
		return now_ns + SA_RETRY_NS;
	begin(a, now_ns);
	return a->renew_ns;
}

bool renew_fits(const struct association *a, const struct association *old)
{
	const struct cw_identity *was = &old->identity, *is = &a->identity;

	if (a->client != old->client || (a->client ? a->predecessor != old : !a->renews))
		return false;
	if (old->sa.phase != SA_IDLE || a->peer_workers != old->peer_workers ||
	    a->suite != old->suite)
		return false;
	/* What a new certificate grants or takes away is not slipped in: the link begins anew. */
	return strcmp(was->site, is->site) == 0 && was->roles == is->roles &&
	       was->namespace_count == is->namespace_count &&
	       memcmp(was->namespaces, is->namespaces, sizeof(was->namespaces)) == 0 &&
	       was->group_count == is->group_count &&
	       memcmp(was->groups, is->groups, sizeof(was->groups)) == 0;
}

void renew_take_over(struct association *a, struct association *old, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	bool moved = !cw_endpoint_equal(&a->path, &old->path);

	renew_forget(a);
	link_leave(old);
	link_enter(a);
	a->no_sas = old->no_sas;
	a->renewals = old->renewals + 1;
	a->rekeys = old->rekeys;
	a->established_ns = old->established_ns;
	a->rtt_ns = old->rtt_ns;
	a->fell_ns = old->fell_ns;
	a->class = old->class;
	a->busy_ns = old->busy_ns;
	a->busy_until_ns = old->busy_until_ns;
	a->pings = old->pings;
	a->pings_lost = old->pings_lost;
	a->stun_ns = old->stun_ns;
	a->changes = old->changes;
	a->changes_since_ns = old->changes_since_ns;
	a->sa = old->sa;
	/* Answers to the old one's questions come to the old one. */
	a->pmtu = old->pmtu;
	cw_pmtu_again(&a->pmtu, now_ns);
	a->told_mtu_bytes = old->told_mtu_bytes;
	links->config.kdf.cleanse(&old->sa, sizeof(old->sa));
	old->retired = true;
	old->retire_ns = now_ns + RETIRED_NS;
	renew_schedule(a, now_ns);
	a->renewed_ns = now_ns;
	/* A handshake that was under way when the certificate changed showed the old one. */
	if (old->renew_again)
		a->renew_ns = now_ns;
	if (old->renew_asked && a->began_ns <= old->asked_ns) {
		a->renew_asked = true;
		a->asked_ns = old->asked_ns;
		a->renew_ns = now_ns;
	}
	if (moved)
		measure_moved(a, now_ns);
	if (moved)
		links->ops.moved(links->ctx, &a->identity.node, &a->path, now_ns);
}

void renew_forget(struct association *a)
{
	if (a->successor != NULL)
		a->successor->predecessor = NULL;
	if (a->predecessor != NULL)
		a->predecessor->successor = NULL;
	a->successor = a->predecessor = NULL;
}

void cw_links_renew(struct cw_links *links, uint64_t spread_ns, uint64_t now_ns)
{
	for (unsigned int i = 0; i < links->count; i++) {
		struct association *a = links->all[i];
		uint64_t at = now_ns + cw_random_u64(&links->config.random) % (spread_ns + 1);

		if (a->dead || !a->established)
			continue;
		if (links->config.dtls->recheck != NULL) {
			const char *why = links->config.dtls->recheck(a->session);

			if (why != NULL) {
				links->ops.refused(links->ctx, &a->path, why, now_ns);
				association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
				continue;
			}
		}
		if (!a->is_link)
			continue;
		a->renew_again = a->successor != NULL;
		a->renew_asked = !a->client;
		a->asked_ns = now_ns;
		a->renew_ns = a->client ? cw_min_u64(a->renew_ns, at) : at;
		association_touch(a);
	}
	links_sweep(links);
}

unsigned int cw_links_recheck(struct cw_links *links, uint64_t now_ns)
{
	unsigned int ended = 0;

	for (unsigned int i = 0; i < links->count; i++) {
		struct association *a = links->all[i];
		const char *why = NULL;

		if (a->dead)
			continue;
		if (!links_admit(links, &a->path))
			why = LINKS_NO_PATH;
		else if (a->established && links->ops.objection != NULL)
			why = links->ops.objection(links->ctx, &a->identity);
		if (why == NULL)
			continue;
		links->ops.refused(links->ctx, &a->path, why, now_ns);
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		ended++;
	}
	links_sweep(links);
	return ended;
}
