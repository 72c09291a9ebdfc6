/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_LEASE_WORLD_H
#define CW_SIM_LEASE_WORLD_H

/*
 * The world of the lease simulator: sites with gateways that run the shipped lease engine and the
 * shipped in-line responder, hosts that speak DHCP as RFC 2131 says, registers by the shipped law,
 * very few addresses. Events in virtual time, all chance from one seed.
 */
#include "sim.h"

#include <cw_dhcp_respond.h>
#include <cw_lease.h>

enum {
	LEASE_GATEWAYS_MAX = 8,
	LEASE_HOSTS_MAX = 8,
	LEASE_ADDRESSES_MAX = 28, /* of a /27: .2 to .29 */
	LEASE_SESSIONS_MAX = 128,
	LEASE_CLIENTS_MAX = 2 * LEASE_HOSTS_MAX,
	LEASE_RULES_MAX = 16,
	LEASE_GENERATIONS = 64,
};

/* Kinds of wires beyond the store's verbs. */
enum lease_wire {
	WIRE_ANSWER = 0x100, /* | verb: the store's answer */
	WIRE_LAN = 0x200,    /* | DHCP type: a frame on the LAN */
};

struct lease_world;
struct lease_event;
struct lease_gateway;
struct lease_host;

typedef void (*lease_event_fn)(struct lease_world *w, struct lease_event *ev);

struct lease_event {
	uint64_t at_ns, order;
	lease_event_fn fn;
	void *who, *what;
	uint64_t a, b;
	void *data; /* freed after the event unless taken (set to NULL) */
	size_t len;
	struct lease_event *next; /* while its gateway is stopped */
};

/* One record of a gateway's log. */
struct lease_record {
	uint64_t lsn, at_ns; /* durable from then on */
	size_t len;
	uint8_t data[CW_LEASE_LOG_BYTES_MAX];
};

struct lease_disk {
	struct lease_record *records;
	size_t count, size;
};

/* What a gateway came to know of a client's address while it asked: why it offers what it offers.
 */
struct lease_knowledge {
	uint64_t hint_ns, verdict_ns;
	bool hint_good, hint_named, verdict_other;
};

struct lease_gateway {
	struct lease_world *w;
	unsigned int index, site, half;
	int rate_ppm; /* of its clock */
	unsigned int disks;
	struct cw_node_id node;
	uint64_t proc; /* 0: down; else the number of its process */
	uint64_t procs;
	bool paused, closing;
	bool regs_out, regs_in, lan_in, lan_out;
	struct cw_lease_engine *engine;
	struct cw_rcu *rcu;
	struct cw_namespace_record ns;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	uint64_t timer_order; /* the timer event that counts */
	struct lease_disk disk, old_disk;
	bool has_old_disk;
	uint64_t next_lsn;
	uint64_t session_sgen;
	uint64_t inline_acks; /* that the engine has not heard of yet, as renewals */
	uint64_t wobble_ns;   /* how far the workers' clock was measured anew */
	struct {
		uint64_t sgen, deadline_ns;
	} generations[LEASE_GENERATIONS];
	struct lease_event *queue, **queue_tail;
	struct lease_knowledge knows[LEASE_HOSTS_MAX];
};

enum lease_host_state {
	HOST_OFF,
	HOST_INIT,
	HOST_SELECT,
	HOST_REBOOT,
	HOST_BOUND,
	HOST_RENEW,
	HOST_DECLINED
};

/* What I5 owes a host. */
struct lease_own {
	bool valid;
	rte_be32_t ip;
	uint64_t end_ns;
	uint32_t copies; /* gateways that must know, one bit each */
};

struct lease_host {
	struct lease_world *w;
	unsigned int index, site, half;
	unsigned int client; /* hosts with the same number are clones */
	bool plain;	     /* no option 61: known by its MAC */
	int rate_ppm;
	bool late;   /* counts from the ACK, not from its REQUEST */
	bool memory; /* knows its address after a restart */
	bool on, gone, was_recorded;
	enum lease_host_state state;
	uint64_t turn; /* timers of earlier turns are void */
	uint32_t xid;
	unsigned int tries;
	struct cw_mac mac;
	rte_be32_t addr, want; /* 0: none */
	uint64_t end_ns, began_ns, asked_ns;
	uint32_t lease_s;
	uint32_t declined; /* addresses, one bit each */
	struct lease_own own;
	struct cw_client_hash hash, twin_hash;
	uint64_t served_ns; /* when it last had an address, for liveness */
};

struct lease_session {
	struct cw_node_id node;
	struct cw_law_session facts; /* ages unused: see the marks */
	uint64_t renewed_ns, opened_ns, floor;
	double renewed_age, opened_age;
};

struct lease_registers {
	double rate; /* what a leader's clock proves of a second */
	struct cw_mapping maps[LEASE_ADDRESSES_MAX];
	uint64_t changed_ns[LEASE_ADDRESSES_MAX]; /* of ownership */
	struct lease_session sessions[LEASE_SESSIONS_MAX];
	unsigned int session_count;
	struct {
		struct cw_client_hash client;
		rte_be32_t ip;
	} clients[LEASE_CLIENTS_MAX];
	unsigned int client_count;
};

struct lease_rule {
	unsigned int wire;
	uint64_t since_ns, until_ns;
	int64_t delay_ns;  /* -1: lost */
	unsigned int skip; /* so many pass first */
	struct lease_gateway *g;
};

struct lease_world {
	uint64_t now_ns, order, calm_ns, end_ns, random;
	struct lease_event **heap;
	size_t heap_count, heap_size;
	struct sim_result *result;
	enum cw_lease_mutation mutate;
	bool company; /* gateways of a site show each other their hosts */
	const char *script; /* NULL: chance */
	bool judge_service; /* I4 */
	bool trace;
	struct lease_registers regs;
	struct lease_gateway gateways[LEASE_GATEWAYS_MAX];
	struct lease_host hosts[LEASE_HOSTS_MAX];
	unsigned int gateway_count, host_count, address_count;
	uint32_t lease_s, longest_s;
	bool cut[LEASE_GATEWAYS_MAX][LEASE_GATEWAYS_MAX];
	bool split[LEASE_GATEWAYS_MAX]; /* sites */
	struct lease_rule rules[LEASE_RULES_MAX];
	unsigned int rule_count;
};

#define LEASE_S(x) ((uint64_t)((double)(x)*1e9))

/* lease_world.c */
struct lease_event *lease_after(struct lease_world *w, uint64_t dt_ns, lease_event_fn fn,
				void *who);
bool lease_chance(struct lease_world *w, double p);
uint64_t lease_uniform(struct lease_world *w, double a_s, double b_s);
unsigned int lease_pick(struct lease_world *w, unsigned int n);
uint64_t lease_clock(const struct lease_world *w, int rate_ppm);
uint64_t lease_time_of(const struct lease_world *w, int rate_ppm, uint64_t dt_ns);
/* Delay of a scripted wire; -1 lost. */
int64_t lease_takes(struct lease_world *w, unsigned int wire, const struct lease_gateway *g);
rte_be32_t lease_ip(unsigned int address);
int lease_address(rte_be32_t ip);
CW_PRINTF(2, 3) void lease_fail(struct lease_world *w, const char *fmt, ...);
CW_PRINTF(2, 3) void lease_say(struct lease_world *w, const char *fmt, ...);
void lease_run_until(struct lease_world *w, uint64_t end_ns);
struct lease_world *lease_world_new(uint64_t seed, struct sim_result *result,
				    enum cw_lease_mutation mutate);
void lease_world_free(struct lease_world *w);
bool lease_reach(const struct lease_world *w, const struct lease_host *h,
		 const struct lease_gateway *g);

/* lease_registers.c */
int lease_store_submit(void *self, const struct cw_store_request *request, cw_store_done_fn done,
		       void *arg, uint64_t now_ns);
void lease_registers_failover(struct lease_world *w);
void lease_registers_collect(struct lease_world *w);
bool lease_entry_over(struct lease_world *w, const struct cw_mapping_entry *e);
void lease_registers_drop(struct lease_event *ev);
extern const struct cw_store_ops lease_store_ops;

/* lease_gateway.c */
void lease_gateway_init(struct lease_world *w, unsigned int index, unsigned int site, int rate_ppm);
void lease_gateway_start(struct lease_gateway *g);
void lease_gateway_crash(struct lease_gateway *g);
void lease_gateway_pause(struct lease_gateway *g);
void lease_gateway_wake(struct lease_gateway *g);
void lease_gateway_stop(struct lease_gateway *g); /* SIGTERM */
void lease_gateway_frame(struct lease_gateway *g, const uint8_t *frame, size_t len);
void lease_gateway_heard(struct lease_gateway *g, const struct lease_host *h, bool gratuitous);
void lease_gateway_set_lease(struct lease_gateway *g);
void lease_gateway_free(struct lease_gateway *g);
void lease_disk_copy(struct lease_disk *to, const struct lease_disk *from, uint64_t now_ns);
void lease_disk_free(struct lease_disk *d);
/* An event for this process: queued while it is stopped, void when it is gone. */
bool lease_gateway_enter(struct lease_gateway *g, struct lease_event *ev, uint64_t proc);
void lease_gateway_poke(struct lease_gateway *g);
void lease_gateway_dispatch(struct lease_gateway *g);
extern const struct cw_lease_ops lease_gateway_ops;

/* lease_host.c */
void lease_host_init(struct lease_world *w, unsigned int index, unsigned int client,
		     unsigned int site);
/* After a change of `client` or `plain`. */
void lease_host_identify(struct lease_host *h);
void lease_host_on(struct lease_host *h);
void lease_host_off(struct lease_host *h);
void lease_host_release(struct lease_host *h, bool back);
void lease_host_decline(struct lease_host *h);
void lease_host_move(struct lease_host *h, unsigned int site, bool alive);
bool lease_believes(const struct lease_host *h);
void lease_host_receive(struct lease_host *h, struct lease_gateway *g, const uint8_t *frame,
			size_t len);
struct lease_host *lease_host_of_mac(struct lease_world *w, const struct cw_mac *mac);

/* lease_judge.c */
void lease_judge_believers(struct lease_host *h, struct lease_gateway *g);
void lease_judge_ack(struct lease_gateway *g, const struct lease_host *h, rte_be32_t ip);
void lease_judge_speakers(struct lease_world *w);
void lease_judge_own(struct lease_host *h, struct lease_gateway *g, bool nak, rte_be32_t got);
bool lease_recorded(const struct lease_host *h);
void lease_judge_end(struct lease_world *w);
struct lease_counts {
	uint64_t acks, inline_acks, isolated_acks, stale_acks, moved, adopted, own_again, events;
	uint64_t stale_for_ns;
};
struct lease_counts *lease_counts(void);

/* lease_faults.c */
void lease_populate(struct lease_world *w);
void lease_strike(struct lease_world *w, const char *kind, struct lease_gateway *g,
		  struct lease_host *h, uint64_t long_ns);

/* lease_scripts.c: NULL-terminated names in the mutation's words. */
bool lease_script_run(const char *name, struct sim_result *result, enum cw_lease_mutation mutate,
		      bool trace);
const char *lease_script_name(unsigned int index);

#endif /* CW_SIM_LEASE_WORLD_H */
