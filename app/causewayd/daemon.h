/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DAEMON_H
#define CW_DAEMON_H

/*
 * What the files of causewayd share: one struct for the process. Parts are brought up in the
 * order of modules.c's list and taken down in reverse; a part that was not reached is zero.
 */
#include <pthread.h>
#include <signal.h>

#include <jansson.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <cw_control.h>
#include <cw_datapath.h>
#include <cw_dtls_openssl.h>
#include <cw_gateway_config.h>
#include <cw_os.h>
#include <cw_port.h>
#include <cw_stats.h>
#include <cw_store_drivers.h>
#include <cw_wal.h>

#define CW_DAEMON_VERSION "0.1.0"
#define ERROR_BYTES	  1024
#define WORKERS_MAX	  62u
#define RUN_DIR_BYTES	  512

/*
 * Exit codes: 0 stopped cleanly, 1 failed while running, 2 configuration, usage or a resource
 * that is not there.
 */
enum { EXIT_RUN = 1, EXIT_USAGE = 2 };

struct options {
	const char *config_file;
	bool check, help, help_config, version;
	int eal_argc;
	char **eal_argv; /* behind "--" */
};

struct log_sink {
	struct cw_log log;
	FILE *file, *leases;
	bool journal; /* standard error is systemd's journal */
	FILE *dpdk;   /* what DPDK says comes here */
	bool dpdk_starting;
	char dpdk_line[ERROR_BYTES / 2];
	size_t dpdk_first_bytes; /* of its first line in there */
};

struct worker_slot {
	struct cw_worker *worker;
	struct rte_ring *punt, *inject;
	struct cw_stats *stats;
	unsigned int lcore;
	struct daemon *daemon;
};

struct client;

struct daemon {
	struct options options;
	size_t modules_up; /* how far modules_open came */
	struct cw_gateway_config config;
	char error[ERROR_BYTES];
	struct log_sink log;

	struct cw_os_keys *key_memory; /* NULL: the heap */
	int lock_fd;
	pid_t keeper; /* 0: none */
	int keeper_fd;
	pid_t mapper; /* 0: none */
	int mapper_fd;
	char file_prefix[64];
	char run_dir[RUN_DIR_BYTES]; /* EAL's, removed at the end; "": none yet */
	bool eal_up;

	struct cw_os_netdev wan_netdev;
	rte_be32_t wan_ip, wan_gateway;
	uint8_t wan_prefix_len;
	int quiet_fd;
	bool link_down[2];
	bool lan_taken; /* the journal tells how the netdev was */

	struct rte_mempool *pool;
	struct cw_port *lan, *wan;
	struct cw_rcu *rcu;
	void *crypto_engine;
	const struct cw_crypto_ops *crypto;
	struct cw_peer_table *peers;
	struct cw_view_slot view;
	unsigned int workers;
	struct worker_slot worker[WORKERS_MAX];
	struct rte_ring **handover;
	volatile bool workers_stop; /* control: w, workers: r, once per turn */
	bool workers_running;

	struct cw_dtls *dtls;
	struct cw_identity identity;
	uint8_t identity_digest[32]; /* of certificate and CA bundle, as they were read last */
	bool revoked;		     /* the set of revocations grew: write it down */
	struct cw_control *control;
	struct cw_store_static *static_store;
	struct cw_store_etcd *etcd_store;
	struct cw_store store;

	struct cw_wal *wal;
	pthread_t writer;
	bool writer_running;
	uint64_t wal_cut_bytes; /* the log's size at which it is cut next */
	bool wal_cutting;
	int writer_wake_fd, writer_done_fd;
	volatile bool writer_stop;
	uint64_t durable_lsn; /* writer: w, control: r */
	int writer_error;     /* the same */
	bool log_waits;	      /* the same: there is no room */
	bool log_low;	      /* the same: there is little */
	uint64_t log_looked_ns; /* writer's own */
	bool log_waited, log_was_low; /* what control knows of that */

	struct cw_os_tsc tsc;
	uint64_t tsc_begun; /* when the workers began */
	FILE *key_log;
	bool remember;
	uint64_t remember_ns;
	char *peers_text; /* peers.json to be written: control gives, the writer takes */
	int peers_error;  /* writer: w, control: takes it */

	int epoll_fd, signal_fd, listen_fd;
	struct client *clients;
	unsigned int client_count;
	bool stopping, reload;
	bool stop_now; /* asked twice */
};

/*
 * Each brings its part up: 0, or -1 with d->error set. Its counterpart takes down whatever there
 * is.
 */
int options_parse(struct options *o, int argc, char **argv, char *err, size_t err_size);
void options_usage(FILE *to);
int options_load(struct daemon *d, struct cw_gateway_config *config);

/* One part of the daemon; modules.c has the list. */
struct module {
	const char *name;
	int (*open)(struct daemon *d);
	void (*close)(struct daemon *d);
	bool checked; /* also by --check */
};
/* In order; with check only those that change nothing. @return 0, or -1 with d->error set. */
int modules_open(struct daemon *d, bool check);
/* What was opened, in reverse. */
void modules_close(struct daemon *d);

int log_open(struct daemon *d);
void log_reopen(struct daemon *d);
void log_close(struct daemon *d);
/* DPDK writes to our log; until log_dpdk_started its last line is kept instead. */
void log_take_dpdk(struct daemon *d);
void log_dpdk_started(struct daemon *d);
void log_leave_dpdk(struct daemon *d);

int state_open(struct daemon *d);
void state_close(struct daemon *d);
/* key_memory.c. First of all, and once the table of peers is there. */
void keys_open(struct daemon *d);
void keys_for_sas(struct daemon *d);

int identity_open(struct daemon *d);
void identity_close(struct daemon *d);
/* Certificate and CA bundle again, from where `config` says; what is wrong changes nothing.
 * @return whether there was something new. */
bool identity_reload(struct daemon *d, const struct cw_gateway_config *config);
/* Ops of the core, and the file of revocations in the state directory. */
bool identity_ca_signed(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
			const uint8_t *signature, size_t signature_len);
uint64_t identity_unix_s(void *ctx);
void identity_revoked(void *ctx);
void identity_load_revocations(struct daemon *d);
void identity_save_revocations(struct daemon *d);
int privileges_check(struct daemon *d);
int privileges_open(struct daemon *d);
int keeper_open(struct daemon *d);
void keeper_close(struct daemon *d);
/* mapper.c: a process that asks the router for a port. */
int mapper_open(struct daemon *d);
void mapper_close(struct daemon *d);
/* What it said meanwhile. */
void mapper_look(struct daemon *d);
/* The sockets that ports serve become the user's; what they must connect to is looked at as it. */
int ports_hand_over(struct daemon *d, uint32_t uid, uint32_t gid);
void ports_check_user(struct daemon *d);
/* What an earlier life or this one left behind, for who may remove it. */
void ports_give_back(struct daemon *d);
void eal_remove_run_dir(struct daemon *d);
int eal_check(struct daemon *d);
int eal_open(struct daemon *d);
void eal_close(struct daemon *d);
int ports_check(struct daemon *d);
int ports_open(struct daemon *d);
void ports_close(struct daemon *d);
/* A port whose other end came back is connected again. @return -1 with d->error set. */
int ports_reconnect(struct daemon *d);
/* Links that came or went since the last time; and all counters: both into the log. */
/* @return -1 with d->error set when one is gone for good. */
int ports_watch(struct daemon *d);
void ports_log(struct daemon *d);
int workers_open(struct daemon *d);
int workers_start(struct daemon *d);
void workers_stop(struct daemon *d);
void workers_close(struct daemon *d);
int store_check(struct daemon *d);
int core_open(struct daemon *d);
void core_close(struct daemon *d);
int writer_open(struct daemon *d);
void writer_close(struct daemon *d);
int socket_open(struct daemon *d);
void socket_close(struct daemon *d);
void socket_accept(struct daemon *d);
void socket_ready(struct client *c, uint32_t events);
int signals_block(struct daemon *d);
/* The configuration again. @return the answer for whoever asked: what was taken over and what needs
 * a restart, or why nothing was. */
json_t *reload(struct daemon *d);
int loop_open(struct daemon *d);
int loop_run(struct daemon *d);
void loop_close(struct daemon *d);

/* The state directory's log, replayed into the core and cut by a snapshot. */
int core_replay(struct daemon *d);
void core_punts(struct daemon *d, unsigned int *handled);
/*
 * Let the log be cut by a snapshot when it has grown enough; the writer's thread does the
 * writing.
 */
void writer_cut(struct daemon *d);
/* Remembered peers for the state directory; takes @p text. Written by the same thread. */
void writer_peers(struct daemon *d, char *text);
/* Of the state directory. */
void peers_path(const struct daemon *d, char *out, size_t size);
uint64_t writer_append(struct daemon *d, uint8_t type, const void *data, size_t len);

/* systemd's notify protocol; nothing without NOTIFY_SOCKET. */
void notify(const char *state);
/* How often it wants to hear from us; 0 never. */
uint64_t notify_watchdog_ns(void);

#define FAIL(d, ...) (snprintf((d)->error, sizeof((d)->error), __VA_ARGS__), -1)

#endif /* CW_DAEMON_H */
