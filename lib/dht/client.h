/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_CLIENT_H
#define CW_DHT_CLIENT_H

/* The caller's requests (client.c). Included by internal.h. */

/* A request of this gateway. */
struct request {
	struct request *next;
	uint64_t first_ns, sent_ns, next_ns, wait_ns, budget_ns, begun_ns, after_lsn;
	unsigned int tries, hops; /* hops: redirects followed since the last try */
	struct cw_node_id asked;  /* whom the last try took for the leader */
	struct rid rid;
	struct cw_store_request request;
	struct cw_node_id about;
	struct cw_store_trace *trace; /* NULL: not asked for */
	struct warrant warrant;	      /* without signature: not signed yet */
	uint64_t ver_asked;	      /* what the caller named */
	bool repeats_release, adopts;
	cw_store_done_fn done;
	void (*done_inside)(struct cw_dht *dht, uint64_t id, const struct request *r,
			    const struct reply *reply);
	uint64_t inside_id;
	void *arg;
};

/* trace.c; nothing happens for a request that is not traced */
void trace_hop(const struct cw_dht *dht, struct request *r, const struct cw_node_id *node,
	       enum cw_store_hop_event event);
void trace_finish(struct request *r, struct reply *reply);
void trace_pack(struct arena *a, const struct replies_trace *t, Causeway__Dht__Answer *m);
bool trace_unpack(const Causeway__Dht__Answer *in, struct replies_trace *t);

void client_answer(struct cw_dht *dht, const struct cw_node_id *from,
		   const Causeway__Dht__Answer *answer);
void client_redirect(struct cw_dht *dht, const struct cw_node_id *from,
		     const Causeway__Dht__Redirect *redirect);
/* All requests under way go, unanswered. */
void client_free(struct cw_dht *dht);
uint64_t client_timer(struct cw_dht *dht);
void client_send_due(struct cw_dht *dht);
/* The caller hears this; the request is gone. */
void request_end(struct cw_dht *dht, struct request *r, struct reply *reply);
int submit_inside(struct cw_dht *dht, const struct cw_store_request *request,
		  const struct cw_node_id *about,
		  void (*done)(struct cw_dht *dht, uint64_t id, const struct request *r,
			       const struct reply *reply),
		  uint64_t id);

#endif /* CW_DHT_CLIENT_H */
