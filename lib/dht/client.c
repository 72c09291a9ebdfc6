/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller: one intention, one request-id, however often it is sent.
 *
 * Sent to whom we believe to lead, else to the voters in turn; again after 400 ms, then a little
 * later each time, until answered or the budget is used up: then the outcome is unknown and says
 * so. Whatever counts from a request counts from its first sending. A watch is kept by asking:
 * every MAP_GET makes its asker a watcher for half a minute.
 */
#include "internal.h"

#include <errno.h>

static struct request *find(struct cw_dht *dht, const struct rid *rid)
{
	struct request *r = &dht->requests[rid->counter % OPS_MAX];

	return r->used && same_rid(&r->rid, rid) ? r : NULL;
}

static void attempt(struct cw_dht *dht, struct request *r)
{
	const struct cw_node_id *to = &dht->guide;

	/* Nobody known to lead, or no answer from it: try the voters in turn. */
	if (cw_node_id_is_zero(to) || r->wait_ns > RETRY_FIRST_NS * 2)
		to = &dht->genesis.voters[cw_random_u64(&dht->config.random) %
					  dht->genesis.voter_count];
	r->next_ns = dht->now_ns + r->wait_ns;
	r->wait_ns = cw_min_u64(r->wait_ns * 3 / 2, RETRY_LAST_NS);
	send_request(dht, to, r);
}

static void finish(struct cw_dht *dht, struct request *r, struct cw_store_answer *answer)
{
	cw_store_done_fn done = r->done;
	void *arg = r->arg;

	answer->first_send_ns = r->first_ns;
	r->used = false;
	dht->request_count--;
	done(arg, answer, dht->now_ns);
}

int cw_dht_submit(struct cw_dht *dht, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	struct request *r;

	dht->now_ns = now_ns;
	if (!dht->started)
		return -ENOSPC;
	for (unsigned int i = 0; i < OPS_MAX; i++) {
		r = &dht->requests[++dht->counter % OPS_MAX];
		if (!r->used)
			break;
	}
	if (r->used)
		return -ENOSPC;
	*r = (struct request){.used = true,
			      .first_ns = now_ns,
			      .next_ns = now_ns,
			      .wait_ns = RETRY_FIRST_NS,
			      .budget_ns = request->budget_ns ? request->budget_ns : OP_BUDGET_NS,
			      .rid = {.node = dht->config.self,
				      .incarnation = dht->incarnation,
				      .counter = dht->counter},
			      .request = *request,
			      .done = done,
			      .arg = arg};
	dht->request_count++;
	if (dht->founded && request->verb != CW_STORE_MAP_WATCH &&
	    request->verb != CW_STORE_MAP_UNWATCH)
		attempt(dht, r);
	return 0;
}

void client_answer(struct cw_dht *dht, const Causeway__Dht__Answer *in)
{
	struct cw_store_answer answer;
	struct request *r;
	struct rid rid;

	if (!answer_unpack(in, &rid, &answer))
		return;
	r = find(dht, &rid);
	if (r == NULL)
		return;
	dht->answered_ns = dht->now_ns;
	finish(dht, r, &answer);
}

void client_redirect(struct cw_dht *dht, const Causeway__Dht__Redirect *in)
{
	struct cw_node_id leader;
	struct request *r;
	struct rid rid;

	if (!rid_unpack(in->rid, &rid) || !node_unpack(&in->leader, &leader) ||
	    voter_index(dht, &leader) < 0)
		return;
	r = find(dht, &rid);
	if (r == NULL || cw_node_id_equal(&dht->guide, &leader))
		return;
	dht->guide = leader;
	send_request(dht, &leader, r);
}

uint64_t client_timer(struct cw_dht *dht)
{
	uint64_t next = CW_NEVER;
	unsigned int left = dht->request_count;

	for (unsigned int i = 0; i < OPS_MAX && left > 0; i++) {
		struct request *r = &dht->requests[i];
		struct cw_store_answer answer = {.result = CW_STORE_TIMEOUT};

		if (!r->used)
			continue;
		left--;
		if (r->request.verb == CW_STORE_MAP_WATCH ||
		    r->request.verb == CW_STORE_MAP_UNWATCH) {
			answer.result = CW_STORE_OK;
			finish(dht, r, &answer);
			continue;
		}
		if (dht->now_ns - r->first_ns >= r->budget_ns) {
			finish(dht, r, &answer);
			continue;
		}
		if (dht->founded && dht->now_ns >= r->next_ns)
			attempt(dht, r);
		next = cw_min_u64(next, cw_min_u64(r->next_ns, r->first_ns + r->budget_ns));
	}
	return next;
}
