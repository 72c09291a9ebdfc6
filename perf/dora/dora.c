/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf/dora: the control core's side of DHCP, without NIC and network.
 *
 *   dora [--clients N] [--log FILE] [--latency-us N]   first contacts, durable, then what the hosts
 * cost dora --smoke                                       a small round, to see that the harness
 * works
 *
 * Each client is a DISCOVER and a REQUEST as bytes; parser, lease engine, reply builder and host
 * table are those that ship. The log is a file, written and synced by a thread of its own, one sync
 * for whatever came meanwhile (group commit), as the daemon does; without --log it is memory. The
 * registers answer every claim with yes after --latency-us.
 *
 * One JSON line per case: `dora` (rate by the wall clock, CPU of the control core per exchange),
 * `hosts` (CPU of the control core per second of virtual time with so many bound hosts, bytes per
 * host), `flood` (DISCOVERs from invented addresses: CPU each, what they leave behind).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cw_dhcp_respond.h>
#include <cw_dtls_openssl.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_ip4.h>
#include <cw_lease.h>
#include <cw_udp.h>

enum {
	FRAME_BYTES = CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES,
	ANSWERS_MAX = 1 << 15,
	SUBNET_LEN = 14,
	ADDRESSES = 1 << (32 - SUBNET_LEN),
	/* Clients between their DISCOVER and their ACK at once. */
	WINDOW = 1024,
	BURST = 64,
	LOG_BUFFER = 1 << 22,
};

struct answer {
	struct cw_store_request request;
	cw_store_done_fn done;
	void *arg;
	uint64_t due_ns;
};

/* What a mapping says. */
struct record {
	uint64_t ver;
	struct cw_client_hash client;
	bool bound;
};

struct bench {
	struct record *records;
	struct cw_lease_engine *engine;
	struct cw_rcu *rcu;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_node_id node;
	struct answer *answers;
	unsigned int answer_head, answer_tail;
	uint64_t latency_ns, now_ns, skew_ns;
	uint64_t offers, acks, naks, store_ops, published;
	rte_be32_t *offered; /* by client */
	unsigned int clients, ready_count;
	unsigned int *ready; /* clients with an offer, to request it */
	/* log: control appends to one half while the thread syncs the other */
	int fd;
	pthread_t writer;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	uint8_t *buffer[2];
	size_t length[2];
	unsigned int half;
	uint64_t lsn, synced_lsn, told_lsn, syncs;
	bool stop;
};

static const struct cw_log silent;

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* The engine's clock: the machine's, and what was skipped. */
static uint64_t now(struct bench *b)
{
	b->now_ns = clock_ns(CLOCK_MONOTONIC) + b->skew_ns;
	return b->now_ns;
}

/* -- the log */

static void *write_log(void *arg)
{
	struct bench *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		unsigned int half = b->half;
		uint64_t lsn = b->lsn;
		size_t length = b->length[half];

		if (b->stop)
			break;
		if (length == 0) {
			pthread_cond_wait(&b->filled, &b->lock);
			continue;
		}
		b->half = !half;
		pthread_mutex_unlock(&b->lock);
		if (write(b->fd, b->buffer[half], length) != (ssize_t)length ||
		    fdatasync(b->fd) != 0) {
			perror("log");
			exit(1);
		}
		pthread_mutex_lock(&b->lock);
		b->length[half] = 0;
		b->synced_lsn = lsn;
		b->syncs++;
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static uint64_t op_append(void *ctx, const uint8_t *record, size_t len)
{
	struct bench *b = ctx;
	uint64_t lsn;

	if (b->fd < 0)
		return ++b->lsn;
	pthread_mutex_lock(&b->lock);
	lsn = b->length[b->half] + len > LOG_BUFFER ? 0 : ++b->lsn;
	if (lsn != 0) {
		memcpy(b->buffer[b->half] + b->length[b->half], record, len);
		b->length[b->half] += len;
		pthread_cond_signal(&b->filled);
	}
	pthread_mutex_unlock(&b->lock);
	return lsn;
}

static void tell_durable(struct bench *b)
{
	uint64_t lsn = b->lsn;

	if (b->fd >= 0) {
		pthread_mutex_lock(&b->lock);
		lsn = b->synced_lsn;
		pthread_mutex_unlock(&b->lock);
	}
	if (lsn == b->told_lsn)
		return;
	b->told_lsn = lsn;
	cw_lease_durable(b->engine, lsn, 0, now(b));
}

/* -- the registers: every claim is granted */

static int submit(void *self, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	struct bench *b = self;
	struct answer *a = &b->answers[b->answer_tail % ANSWERS_MAX];

	if (b->answer_tail - b->answer_head == ANSWERS_MAX)
		return -ENOSPC;
	b->answer_tail++;
	a->request = *request;
	a->done = done;
	a->arg = arg;
	a->due_ns = now_ns + b->latency_ns;
	b->store_ops++;
	return 0;
}

static void answer(struct bench *b, const struct answer *a)
{
	const struct cw_store_request *r = &a->request;
	struct cw_store_answer out = {
		.result = CW_STORE_OK, .first_send_ns = a->due_ns - b->latency_ns, .sgen = 1};
	struct cw_mapping *m = &out.mapping;
	struct record *rec = &b->records[rte_be_to_cpu_32(r->ip) % ADDRESSES];

	if (r->verb == CW_STORE_CLAIM || r->verb == CW_STORE_EDIT) {
		rec->ver++;
		rec->bound = r->has_client || (rec->bound && r->verb == CW_STORE_EDIT);
		if (r->has_client)
			rec->client = r->client;
	}
	/* As if it had always been ours; a look for a claim sees it free. */
	m->ver = rec->ver;
	m->gen = 1;
	if (r->verb != CW_STORE_LOOK) {
		m->held = m->owned = true;
		m->owner = b->node;
		m->entry_count = 1;
		m->entries[0].node = b->node;
		m->entries[0].sgen = 1;
		m->entries[0].cover_ns = cw_law_cover_ns(3600);
		m->client_state = rec->bound ? CW_CLIENT_BOUND : CW_CLIENT_NONE;
		m->client = rec->client;
	}
	a->done(a->arg, &out, now(b));
}

static void answer_due(struct bench *b)
{
	while (b->answer_head != b->answer_tail) {
		struct answer a = b->answers[b->answer_head % ANSWERS_MAX];

		if (a.due_ns > b->now_ns)
			return;
		b->answer_head++;
		answer(b, &a);
	}
}

static uint64_t no_timer(void *self, uint64_t now_ns)
{
	(void)self;
	(void)now_ns;
	return CW_NEVER;
}

static void health(void *self, struct cw_store_health *out)
{
	(void)self;
	*out = (struct cw_store_health){.founded = true, .quorum = true, .voters = 1};
}

static const struct cw_store_ops store_ops = {
	.name = "yes", .submit = submit, .timer = no_timer, .health = health};

/* -- the engine's ops */

static void op_reply(void *ctx, const struct cw_dhcp_message *request,
		     const struct cw_mac *ether_src, uint16_t vlan, enum cw_dhcp_type type,
		     rte_be32_t yiaddr, uint32_t lease_s, uint64_t now_ns)
{
	struct bench *b = ctx;
	uint8_t frame[2048];
	size_t bootp = cw_dhcp_reply(&b->view, request, type, yiaddr, lease_s, frame + FRAME_BYTES,
				     CW_DHCP_BYTES_MAX);
	uint32_t client = rte_be_to_cpu_32(request->xid);

	(void)now_ns;
	cw_dhcp_reply_frame(&b->view, request, type, yiaddr, ether_src, vlan, frame, bootp);
	b->acks += type == CW_DHCP_ACK;
	b->naks += type == CW_DHCP_NAK;
	if (type == CW_DHCP_OFFER && client < b->clients) {
		b->offers++;
		b->offered[client] = yiaddr;
		b->ready[b->ready_count++] = client;
	}
}

static void op_publish(void *ctx, const struct cw_host *facts, uint64_t now_ns)
{
	struct bench *b = ctx;

	(void)now_ns;
	/* A full table leaves a host to control, as the daemon does. */
	b->published += cw_host_publish(b->view.hosts, facts) == 0;
}

static void op_retire(void *ctx, rte_be32_t ip, uint64_t now_ns)
{
	struct bench *b = ctx;

	(void)now_ns;
	cw_host_retire(b->view.hosts, ip);
}

static uint64_t op_acked(void *ctx, rte_be32_t ip, uint64_t *mark)
{
	const struct bench *b = ctx;
	const struct cw_host *host = cw_host_by_ip(b->view.hosts, ip);

	*mark = host == NULL ? 0 : host->acked_tsc;
	return *mark;
}

static void op_session(void *ctx, uint64_t sgen, uint64_t deadline_ns, uint64_t now_ns)
{
	struct bench *b = ctx;

	(void)now_ns;
	b->deadline.session_tsc = sgen == 0 ? 0 : deadline_ns;
}

static void op_send(void *ctx, const struct cw_node_id *to, const uint8_t *message, size_t len,
		    uint64_t now_ns)
{
	(void)ctx;
	(void)to;
	(void)message;
	(void)len;
	(void)now_ns;
}

static void op_probe(void *ctx, rte_be32_t ip, const struct cw_mac *mac, uint64_t now_ns)
{
	(void)ctx;
	(void)ip;
	(void)mac;
	(void)now_ns;
}

static void op_mapping(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	(void)ctx;
	(void)ip;
	(void)m;
	(void)now_ns;
}

static void op_event(void *ctx, const struct cw_lease_event *event, uint64_t now_ns)
{
	(void)ctx;
	(void)event;
	(void)now_ns;
}

static void op_name(void *ctx, rte_be32_t ip, const char *label, bool stands, uint64_t now_ns)
{
	(void)ctx;
	(void)ip;
	(void)label;
	(void)stands;
	(void)now_ns;
}

static const struct cw_lease_ops lease_ops = {.reply = op_reply,
					      .publish = op_publish,
					      .retire = op_retire,
					      .acked = op_acked,
					      .session = op_session,
					      .append = op_append,
					      .send = op_send,
					      .probe = op_probe,
					      .mapping = op_mapping,
					      .event = op_event,
					      .name = op_name};

static void fill(void *ctx, void *buf, size_t len)
{
	static uint64_t state = 88172645463325252u;
	uint8_t *at = buf;

	(void)ctx;
	while (len > 0) {
		size_t n = len < sizeof(state) ? len : sizeof(state);

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(at, &state, n);
		at += n;
		len -= n;
	}
}

/* -- clients */

static void put(uint8_t *message, size_t *at, uint8_t code, const void *data, size_t len)
{
	message[(*at)++] = code;
	message[(*at)++] = (uint8_t)len;
	memcpy(message + *at, data, len);
	*at += len;
}

static void ask(struct bench *b, uint32_t client, uint8_t type, rte_be32_t ip)
{
	uint8_t message[400] = {0}, id[7] = {1, 2},
		parameters[] = {1, 3, 6, 15, 26, 28, 51, 58, 59};
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)(void *)message;
	struct cw_mac mac = {{2, 0, (uint8_t)(client >> 24), (uint8_t)(client >> 16),
			      (uint8_t)(client >> 8), (uint8_t)client}};
	rte_be32_t service = b->view.service_ip;
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	char name[16];
	size_t at = sizeof(*f);

	f->op = f->htype = 1;
	f->hlen = 6;
	f->xid = rte_cpu_to_be_32(client);
	f->cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE);
	memcpy(f->chaddr, mac.b, 6);
	memcpy(id + 1, mac.b, 6);
	put(message, &at, CW_DHCP_OPT_TYPE, &type, 1);
	put(message, &at, CW_DHCP_OPT_CLIENT_ID, id, sizeof(id));
	put(message, &at, CW_DHCP_OPT_HOST_NAME, name,
	    (size_t)snprintf(name, sizeof(name), "n%u", client));
	if (type == CW_DHCP_REQUEST) {
		put(message, &at, CW_DHCP_OPT_REQUESTED_IP, &ip, 4);
		put(message, &at, CW_DHCP_OPT_SERVER_ID, &service, 4);
	}
	put(message, &at, CW_DHCP_OPT_PARAMETERS, parameters, sizeof(parameters));
	message[at++] = CW_DHCP_OPT_END;
	CW_ASSERT(cw_dhcp_parse(message, at, &m, &pieces) == CW_DROP_NONE);
	cw_lease_dhcp(b->engine, &m, &mac, 0, now(b));
}

static void turn(struct bench *b)
{
	answer_due(b);
	tell_durable(b);
	cw_lease_timer(b->engine, now(b));
	cw_rcu_reap(b->rcu);
}

static unsigned int pool_of(struct bench *b)
{
	struct cw_lease_status s;

	cw_lease_status(b->engine, &s);
	return s.pool;
}

/* -- cases */

static void first_contacts(struct bench *b)
{
	uint64_t wall, cpu;
	unsigned int asked = 0;

	while (pool_of(b) < b->clients)
		turn(b);
	b->store_ops = b->published = b->syncs = 0;
	wall = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (b->acks < b->clients) {
		for (unsigned int i = 0; i < BURST && asked < b->clients; i++) {
			if (asked - b->acks >= WINDOW)
				break;
			ask(b, asked++, CW_DHCP_DISCOVER, 0);
		}
		while (b->ready_count > 0) {
			uint32_t client = b->ready[--b->ready_count];

			ask(b, client, CW_DHCP_REQUEST, b->offered[client]);
		}
		turn(b);
		CW_ASSERT(b->naks == 0);
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	printf("{\"case\":\"dora\",\"clients\":%u,\"log\":\"%s\",\"latency_us\":%llu,\"dora_per_s\":%.0f,\"cpu_us\":%.2f,\"dora_per_core_s\":%.0f,\"store_ops_per_dora\":%.1f,\"dora_per_sync\":%.1f}\n",
	       b->clients, b->fd < 0 ? "memory" : "file",
	       (unsigned long long)(b->latency_ns / 1000), b->clients * 1e9 / (double)wall,
	       (double)cpu / 1e3 / b->clients, b->clients * 1e9 / (double)cpu,
	       (double)b->store_ops / b->clients,
	       b->syncs == 0 ? 0.0 : (double)b->clients / (double)b->syncs);
}

/* Ten minutes of virtual time in turns of 100 ms: what a site's hosts cost while they sleep. */
static void bound_hosts(struct bench *b, size_t bytes_before)
{
	const unsigned int turns = 6000;
	uint64_t cpu, worst = 0;
	size_t bytes;

	for (unsigned int i = 0; i < 1000; i++)
		turn(b); /* the registers have been written by then */
	bytes = mallinfo2().uordblks - bytes_before;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	b->store_ops = 0;
	for (unsigned int i = 0; i < turns; i++) {
		uint64_t one = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		b->skew_ns += 100 * CW_NS_PER_MS;
		turn(b);
		worst = cw_max_u64(worst, clock_ns(CLOCK_THREAD_CPUTIME_ID) - one);
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	printf("{\"case\":\"hosts\",\"hosts\":%u,\"cpu_share\":%.5f,\"worst_turn_us\":%.0f,\"store_ops_per_s\":%.0f,\"bytes_per_host\":%.0f}\n",
	       b->clients, (double)cpu / (turns * 0.1e9), (double)worst / 1e3,
	       (double)b->store_ops / (turns * 0.1), (double)bytes / b->clients);
}

static void flood(struct bench *b, unsigned int count)
{
	size_t before = mallinfo2().uordblks;
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned int i = 0; i < count; i++) {
		ask(b, b->clients + i, CW_DHCP_DISCOVER, 0);
		if (i % BURST == 0)
			turn(b);
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	printf("{\"case\":\"flood\",\"discovers\":%u,\"cpu_us\":%.2f,\"bytes_left\":%zd}\n", count,
	       (double)cpu / 1e3 / count, (ssize_t)(mallinfo2().uordblks - before));
}

static void set_up(struct bench *b, const char *log)
{
	struct cw_lease_config config = {
		.self = b->node,
		.site = {{1}},
		.log = &silent,
		.random = {.fill = fill},
		.digest = cw_digest_openssl,
		.store = {.ops = &store_ops, .self = b},
		.pool_low = b->clients + 64,
		.pool_high = b->clients + 64,
		.ns = {.name = "perf",
		       .subnet = {.ip = rte_cpu_to_be_32(0x0a800000), .len = SUBNET_LEN},
		       .lease_s = 3600,
		       .lease_longest_s = 3600,
		       .mtu_bytes = 1420}};

	b->fd = log == NULL ? -1 : open(log, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (log != NULL && b->fd < 0) {
		perror(log);
		exit(1);
	}
	b->answers = calloc(ANSWERS_MAX, sizeof(*b->answers));
	b->records = calloc(ADDRESSES, sizeof(*b->records));
	b->offered = calloc(b->clients, sizeof(*b->offered));
	b->ready = calloc(b->clients, sizeof(*b->ready));
	b->buffer[0] = malloc(LOG_BUFFER);
	b->buffer[1] = malloc(LOG_BUFFER);
	CW_ASSERT(b->records && b->answers && b->offered && b->ready && b->buffer[0] &&
		  b->buffer[1]);
	CW_ASSERT(cw_rcu_create(&b->rcu) == 0 &&
		  cw_host_table_create(&b->view.hosts, b->rcu, CW_HOST_MAX) == 0);
	b->view.subnet = config.ns.subnet;
	b->view.service_ip = cw_namespace_service_ip(&config.ns);
	b->view.virtual_mac_slots = 1;
	cw_ns_slot_mac(0, 0, &b->view.service_mac);
	b->view.lease_s = 3600;
	b->view.deadline = &b->deadline;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->filled, NULL);
	if (b->fd >= 0 && pthread_create(&b->writer, NULL, write_log, b) != 0)
		exit(1);
	CW_ASSERT(cw_lease_create(&b->engine, &config, &lease_ops, b) == 0);
}

static void take_down(struct bench *b, const char *log)
{
	if (b->fd >= 0) {
		pthread_mutex_lock(&b->lock);
		b->stop = true;
		pthread_cond_signal(&b->filled);
		pthread_mutex_unlock(&b->lock);
		pthread_join(b->writer, NULL);
		close(b->fd);
		unlink(log);
	}
	cw_lease_destroy(b->engine);
	cw_rcu_drain(b->rcu); /* what is retired looks into its table once more */
	cw_host_table_destroy(b->view.hosts);
	cw_rcu_destroy(b->rcu);
	free(b->records);
	free(b->answers);
	free(b->offered);
	free(b->ready);
	free(b->buffer[0]);
	free(b->buffer[1]);
}

int main(int argc, char **argv)
{
	struct bench b = {.clients = 65000, .latency_ns = 1000000, .node = {{1}}};
	const char *log = NULL;
	unsigned int floods = 1000000;
	size_t bytes;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "0";

		if (strcmp(argv[i], "--smoke") == 0)
			b.clients = 500, floods = 2000;
		else if (strcmp(argv[i], "--clients") == 0)
			b.clients = (unsigned int)strtoul(value, NULL, 10), i++;
		else if (strcmp(argv[i], "--latency-us") == 0)
			b.latency_ns = strtoull(value, NULL, 10) * 1000, i++;
		else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
			log = argv[++i];
		else
			b.clients = 0;
	}
	if (b.clients == 0 || b.clients > CW_HOST_MAX) {
		fputs("usage: dora [--smoke] [--clients 1-65536] [--log FILE] [--latency-us N]\n",
		      stderr);
		return 2;
	}
	bytes = mallinfo2().uordblks;
	set_up(&b, log);
	first_contacts(&b);
	bound_hosts(&b, bytes);
	flood(&b, floods);
	take_down(&b, log);
	return 0;
}
