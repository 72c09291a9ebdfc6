/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIM_DHT_WORLD_H
#define CW_SIM_DHT_WORLD_H

/* What the files of the DHT's world share: processes with clocks and disks of their own, the
 * network between them, gateways as callers, faults, histories. */
#include "sim.h"

#include <cw_dht.h>

enum {
	PROCS_MAX = 80, /* nodes and pure callers */
	CALLERS_MAX = 4,
	KEYS_MAX = 3,
	HISTORY_MAX = 4096,
	CUTS_MAX = 16,
};

/* Leases are scaled, so that a run sees many: 5 s, and clocks wrong by 5 %. */
#define SIM_LEASE_NS (UINT64_C(5) * CW_NS_PER_S)
#define SIM_EPS_DIV  20u
#define SIM_GUARD_NS (UINT64_C(200) * CW_NS_PER_MS)
#define SIM_OP_NS    (UINT64_C(3) * CW_NS_PER_S)
#define HEAL_NS	     (UINT64_C(10) * CW_NS_PER_S)
/* Every key of a dead owner has a new holder. */
#define FREE_NS (UINT64_C(26) * CW_NS_PER_S)

struct world;
struct proc;

typedef void (*event_fn)(struct world *w, void *p, uint64_t x);

struct event {
	uint64_t at_ns, order;
	event_fn fn;
	void *p;
	uint64_t x;
};

struct packet {
	struct packet *next;
	struct proc *from, *to;
	size_t len;
	uint8_t data[];
};

struct disk_record {
	struct disk_record *next;
	uint8_t type;
	uint64_t lsn;
	size_t len;
	uint8_t data[];
};

/* One call of a caller, as the judge sees it. */
struct entry {
	uint64_t called_ns, returned_ns; /* 0: never */
	uint8_t verb;
	uint64_t owner; /* of the caller: process or session */
	uint64_t exp, gen, val;
	enum cw_store_result result; /* TIMEOUT: unknown */
	/* What was shown. */
	bool shown, held;
	uint64_t s_owner, s_gen, s_ver, s_val;
};

struct history {
	struct entry entries[HISTORY_MAX];
	unsigned int count;
};

/* What a caller knows of a key it holds. ver 0: a change of unknown outcome is under way. */
struct claim {
	bool have, lazy;
	uint64_t gen, ver, deadline_ns, session;
};

struct want {
	struct proc *proc;
	unsigned int key;
	struct claim claim;
	uint64_t known, released;
	bool busy, believed;
};

struct caller {
	bool is, dead;
	unsigned int pace;
	uint64_t lazy_permille;
	struct want wants[KEYS_MAX];
	/* Session of the node, in runs with sessions. */
	uint64_t sgen, base_ns, stored_sgen;
	bool opening, session_lazy, session_believed;
	uint64_t counter, armed_ns;
};

struct proc {
	struct world *w;
	unsigned int index;
	struct cw_node_id id;
	struct cw_dht *dht;
	bool up, paused, wiped;
	bool stood; /* its clock, once */
	bool lies;  /* a leader that writes what nobody asked for */
	uint64_t life;
	/* its clock */
	uint64_t base_ns, since_ns;
	int64_t rate_ppm;
	/* its disk */
	struct disk_record *disk, **disk_tail;
	uint64_t next_lsn, synced_lsn;
	struct disk_record *image; /* of the disk, as somebody kept it */
	uint64_t image_lsn;
	/* what came while it was stopped */
	struct packet *backlog, **backlog_tail;
	uint64_t timer_ns;
	struct caller caller;
	/* sets of members it knew when it went down */
	struct cw_dht_members *knew;
	unsigned int knew_count, knew_size;
	struct open_call *calls; /* of this process; they die with it */
};

struct cut {
	bool used;
	uint64_t id;
	bool from[PROCS_MAX][PROCS_MAX];
};

struct world {
	uint64_t leader_lost_ns; /* a leader crashed, nothing was answered since; 0 */
	uint64_t now_ns, random, order;
	struct event *heap;
	size_t count, size;
	struct proc *procs[PROCS_MAX];
	unsigned int nodes, total;	 /* nodes first, then pure callers */
	unsigned int keys, slots, quota; /* quota 0: as it ships */
	bool sessions, healed, quiet;
	enum cw_dht_mutation mutate;
	struct sim_result *result;
	unsigned int loss, duplicate, slow; /* per mille */
	unsigned int sync_ms;
	struct cut cuts[CUTS_MAX];
	uint64_t cut_counter;
	bool cut_now[PROCS_MAX][PROCS_MAX];
	struct history *histories[KEYS_MAX];
	struct proc *holder[KEYS_MAX];
	uint64_t answered_ns[KEYS_MAX], held_ns[KEYS_MAX];
	struct proc *session_holder[PROCS_MAX];
	uint64_t heal_ns;
	bool (*hook)(struct world *w, struct proc *from, struct proc *to, const uint8_t *data,
		     size_t len); /* true: swallowed */
	struct faults *faults;
	bool trace;
	/* disks that are gone: (node, disk) */
	struct {
		struct cw_node_id node;
		uint64_t disk;
	} lost[256];
	unsigned int lost_count;
};

struct sim_totals {
	uint64_t operations, moves, activations, elections, messages, lost_disks;
};
extern struct sim_totals dht_totals;

/* dht_figures.c */
void figures_leader_lost(struct world *w);
/* A call came to something. */
void figures_answered(struct world *w, uint8_t verb, uint64_t begun_ns);
void figures_report(FILE *out, bool json);

/* dht_world.c */
uint64_t world_random(struct world *w, uint64_t below);
bool world_chance(struct world *w, unsigned int per_mille);
void world_at(struct world *w, uint64_t at_ns, event_fn fn, void *p, uint64_t x);
void world_run(struct world *w, uint64_t until_ns);
CW_PRINTF(2, 3) void world_fail(struct world *w, const char *fmt, ...);
CW_PRINTF(2, 3) void world_log(struct world *w, const char *fmt, ...);
struct world *world_new(uint64_t seed, unsigned int nodes, enum cw_dht_mutation mutate,
			struct sim_result *result);
struct proc *world_add(struct world *w, const struct cw_node_id *id, bool caller);
void world_free(struct world *w);
uint64_t proc_clock(const struct proc *p);
void proc_drift(struct proc *p, int64_t rate_ppm);
void proc_start(struct proc *p);
void proc_crash(struct proc *p);
void proc_wipe(struct proc *p);
/* Keep a copy of the disk; the machine dies and comes back with that copy. */
void proc_image(struct proc *p);
void proc_restore(struct proc *p);
void proc_pause(struct proc *p);
void proc_resume(struct proc *p);
void proc_kick(struct proc *p); /* its timer, now */
void proc_deliver(struct proc *from, struct proc *to, const uint8_t *data, size_t len,
		  uint64_t after_ns);
/* True time at which its clock will show this. */
uint64_t proc_when(const struct proc *p, uint64_t clock_ns);
void world_recut(struct world *w);

/* dht_caller.c */
void caller_start(struct proc *p, bool resume);
void caller_crash(struct proc *p);
void caller_believe(struct proc *p);
/* One call, of a schedule. */
void caller_do(struct proc *p, unsigned int key, uint8_t verb);
void caller_yield(struct proc *p, const uint8_t *name, uint64_t gen);
/* Its clock stood still: whatever it holds by it is let go. */
void caller_let_go(struct proc *p);

/* dht_faults.c */
void faults_begin(struct world *w, uint64_t heal_ns);
void faults_end(struct world *w);
bool may_lose(struct world *w, const struct proc *p);
/* What a message is: number of its body in the protobuf, epoch, round. */
struct peek {
	unsigned int body;
	uint64_t epoch, round;
	bool has_next;
};
struct peek message_peek(const uint8_t *data, size_t len);
enum {
	BODY_PREP = 16,
	BODY_PROM = 17,
	BODY_RREAD = 19,
	BODY_RVAL = 20,
	BODY_ACC = 21,
	BODY_ACK = 22,
	BODY_CHK = 23,
	BODY_HB = 25,
	BODY_REQ = 27,
	BODY_RSP = 28,
	BODY_CFGACC = 33,
	BODY_CFGACK = 34,
	BODY_SNAP = 35,
	BODY_STAGE = 37,
	BODY_STAGED = 38,
	BODY_ACT = 39,
	BODY_OLD = 40,
	BODY_NEED = 41,
	BODY_COPY = 42
};

/* dht_judge.c */
/* The first entry that nothing explains, or NULL. */
const struct entry *judge_history(const struct entry *entries, unsigned int count);
/* @return NULL, or what of the judge is wrong. */
const char *judge_selftest(void);

/* dht_scenarios.c: schedules without chance, one for each rule that chance rarely meets. @return
 * false: there is none for this rule. */
bool scenario_run(enum cw_dht_mutation rule, enum cw_dht_mutation mutate,
		  struct sim_result *result);

#endif /* CW_SIM_DHT_WORLD_H */
