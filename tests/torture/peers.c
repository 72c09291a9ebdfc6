/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers and security associations: added, moved, rekeyed, killed and added again under the same
 * index, while workers pick an SA to seal with, find one by SPI to open with, and keep their
 * counters, windows and roaming notes in them. The engine is a stand-in whose session is the key.
 *
 * Promises: a peer's ready headers agree with its path; an SA found by an SPI is that SPI's and has
 * its key until the quiescent state, also when its peer dies meanwhile; a worker picks only its own
 * SAs.
 */
#include "torture.h"

#include <stdlib.h>
#include <string.h>

#include <cw_sa.h>

#define PEERS	     32u
#define WORKERS	     READERS_MAX
#define LOOKS	     8u
#define OUTER_DST_IP 30u /* Ethernet 14, IPv4 destination at 16 */

struct one_peer {
	bool live;
	uint16_t index;
	uint32_t id, generation;
};

struct peers {
	struct cw_peer_table *table;
	struct one_peer peer[PEERS];
	uint32_t ids;
	uint32_t spi[PEERS][WORKERS]; /* shared: newest inbound SPIs */
};

static void key_of(uint32_t spi, uint8_t key[36])
{
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t s = stamp(spi, i);

		memcpy(key + 8 * i, &s, sizeof(s));
	}
	memcpy(key + 32, key, 4);
}

static int session_init(void *engine, void *session, enum cw_suite suite, const uint8_t key[32])
{
	(void)engine, (void)suite;
	memcpy(session, key, 32);
	return 0;
}

static void session_clear(void *engine, void *session)
{
	(void)engine;
	memset(session, POISON, 32);
}

static const struct cw_crypto_ops engine = {
	.session_bytes = 64, .session_init = session_init, .session_clear = session_clear};

static void mac_of(rte_be32_t ip, struct cw_mac *out)
{
	*out = (struct cw_mac){{2, 0}};
	memcpy(out->b + 2, &ip, sizeof(ip));
}

static void path_of(uint32_t id, uint64_t version, struct cw_endpoint *out)
{
	*out = (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = 7845, .ip4 = (rte_be32_t)stamp(id, version)};
}

static void *open_peers(struct cw_rcu *rcu)
{
	struct peers *x = calloc(1, sizeof(*x));

	CW_ASSERT(x != NULL && cw_peer_table_create(&x->table, rcu, &engine, NULL, WORKERS) == 0);
	return x;
}

static void add(struct peers *x, struct one_peer *p)
{
	struct cw_peer_params params = {.have_next_hop = true, .mtu_bytes = 1420};

	p->id = ++x->ids;
	p->generation = 0;
	memcpy(params.node.b, &p->id, sizeof(p->id));
	memcpy(params.site, &p->id, sizeof(p->id));
	path_of(p->id, 0, &params.path);
	mac_of(params.path.ip4, &params.next_hop);
	CW_ASSERT(cw_peer_add(x->table, &params, &p->index) == 0);
	p->live = true;
}

/* Make before break, as lib/link drives it. */
static void rekey(struct peers *x, struct one_peer *p, struct dice *dice)
{
	struct cw_sa_params sa = {.peer = p->index, .generation = p->generation + 1};
	uint32_t spi[WORKERS];

	for (unsigned int w = 0; w < WORKERS; w++) {
		CW_ASSERT(cw_sa_spi_alloc(x->table, w, roll(dice), &spi[w]) == 0);
		sa.worker = sa.k = (uint8_t)w;
		sa.spi = spi[w];
		key_of(sa.spi, sa.key);
		CW_ASSERT(cw_sa_add_inbound(x->table, &sa) == 0 &&
			  cw_sa_add_outbound(x->table, &sa, WORKERS) == 0);
	}
	for (unsigned int w = 0; w < WORKERS; w++)
		SHARED_STORE(&x->spi[p - x->peer][w], spi[w]);
	CW_ASSERT(cw_sa_switch(x->table, p->index, sa.generation) == 0);
	if (p->generation != 0)
		cw_sa_retire(x->table, p->index, false, p->generation);
	p->generation++;
}

static void move(struct peers *x, const struct one_peer *p, uint64_t version)
{
	struct cw_endpoint path;
	struct cw_mac mac;

	path_of(p->id, version, &path);
	mac_of(path.ip4, &mac);
	/* Its next hop at once, or later as a neighbour's answer comes. */
	CW_ASSERT(cw_peer_move(x->table, p->index,
			       &(struct cw_peer_path){.path = path,
						      .next_hop = version % 2 ? &mac : NULL,
						      .mtu_bytes = 1420}) == 0);
	cw_peer_set_next_hop(x->table, p->index, &mac);
}

static void write_peers(void *scene, struct dice *dice)
{
	struct peers *x = scene;
	uint64_t what = roll(dice);
	struct one_peer *p = &x->peer[(what >> 8) % PEERS];
	struct cw_peer_info info;

	if (!p->live) {
		add(x, p);
	} else if (what % 8 == 0) {
		cw_peer_make_dead(x->table, p->index);
		p->live = false;
	} else if (what % 8 <= 2) {
		rekey(x, p, dice);
	} else if (what % 8 <= 4) {
		move(x, p, what >> 32);
	} else {
		CW_ASSERT(cw_peer_info(x->table, p->index, &info));
		if (info.roam.family != CW_FAMILY_NONE &&
		    info.roam.port != (uint16_t)~info.roam.ip4)
			broken("a roaming note torn in two", p->id, info.roam.port, info.roam.ip4);
	}
}

static void check_peer(const struct cw_peer *p, uint16_t index)
{
	uint32_t id, site;
	rte_be32_t outer_ip;
	struct cw_mac mac;

	memcpy(&id, p->node.b, sizeof(id));
	memcpy(&site, p->site, sizeof(site));
	memcpy(&outer_ip, p->outer + OUTER_DST_IP, sizeof(outer_ip));
	if (p->index != index || id != site || p->mtu_bytes != 1420)
		broken("peer is another, or freed", index, p->index, id);
	if (outer_ip != p->path.ip4)
		broken("ready headers of another path", id, outer_ip, p->path.ip4);
	mac_of(p->path.ip4, &mac);
	if (p->state != CW_PEER_NO_HOP &&
	    (!cw_mac_equal(&p->next_hop, &mac) || memcmp(p->outer, mac.b, 6)))
		broken("next hop of another path", id, outer_ip, p->path.ip4);
}

static void check_keys(uint32_t spi, const uint8_t *session, const uint8_t salt[4])
{
	uint8_t key[36];

	key_of(spi, key);
	if (memcmp(session, key, 32) != 0 || memcmp(salt, key + 32, 4) != 0)
		broken("SA without its key", spi, session[0], key[0]);
}

static void seal(const struct cw_peer *peer, unsigned int worker, uint32_t flow)
{
	struct cw_sa_out *sa = cw_sa_pick(peer, worker, WORKERS, flow);

	if (sa == NULL)
		return;
	if (sa->worker != worker)
		broken("picked another worker's SA", peer->index, sa->worker, worker);
	check_keys(sa->spi, sa->session, sa->salt);
	cw_count(&sa->seq, 1);
	check_keys(sa->spi, sa->session, sa->salt);
}

static void open_one(struct cw_sa_in *sa, uint32_t spi, uint32_t from)
{
	if (sa->spi != spi)
		broken("SA of another SPI", spi, sa->spi, spi);
	check_keys(spi, sa->session, sa->salt);
	cw_replay_update(&sa->replay, sa->replay.highest + 1);
	cw_count(&sa->packets, 1);
	if (__atomic_load_n(&sa->roam_seq, __ATOMIC_ACQUIRE) == 0) {
		sa->roam = (struct cw_endpoint){
			.family = CW_FAMILY_IPV4, .port = (uint16_t)~from, .ip4 = from};
		__atomic_store_n(&sa->roam_seq, sa->replay.highest, __ATOMIC_RELEASE);
	}
}

static void read_peers(void *scene, unsigned int reader, struct dice *dice)
{
	struct peers *x = scene;
	const struct cw_peer *peer[LOOKS];
	struct cw_sa_in *in[LOOKS];
	uint32_t spi[LOOKS];
	uint16_t index[LOOKS];

	for (unsigned int i = 0; i < LOOKS; i++) {
		uint64_t die = roll(dice);

		index[i] = (uint16_t)(die % (PEERS + 8));
		peer[i] = cw_peer_at(x->table, index[i]);
		if (peer[i] != NULL) {
			check_peer(peer[i], index[i]);
			seal(peer[i], reader, (uint32_t)(die >> 32));
		}
		spi[i] = SHARED_LOAD(&x->spi[(die >> 16) % PEERS][reader]);
		in[i] = spi[i] == 0 ? NULL : cw_sa_find(x->table, spi[i]);
		if (in[i] != NULL)
			open_one(in[i], spi[i], (uint32_t)die);
	}
	for (unsigned int i = 0; i < LOOKS; i++) {
		if (peer[i] != NULL)
			check_peer(peer[i], index[i]);
		if (in[i] != NULL)
			open_one(in[i], spi[i], index[i]);
	}
}

static void close_peers(void *scene)
{
	struct peers *x = scene;

	cw_peer_table_destroy(x->table);
	free(x);
}

const struct scene scene_peers = {"peers", open_peers, write_peers, read_peers, close_peers};
