/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relay channels: all of them are replaced at once whenever one changes, while workers find them by
 * endpoint and number, forward by their ready headers, leave marks of use and count bytes in them.
 * Some channels are in every snapshot, each time with another way on; others come and go. Numbers
 * are shared: four links have each.
 *
 * Promises: a channel found is that link's, with headers of one way on until the quiescent state; a
 * channel that was never taken away is always found; marks that are told are of channels that
 * exist, and marks are told.
 */
#include "torture.h"

#include <stdlib.h>
#include <string.h>

#include <cw_channels.h>
#include <cw_crypto.h>

#define LASTING	  24u /* in every snapshot */
#define CHANNELS  64u
#define LOOKS	  8u
#define OUTER_DST 30u /* Ethernet 14, IPv4 destination at 16; UDP destination 6 further */

struct channels {
	struct cw_peer_table *table;
	struct cw_channel_params now[CHANNELS];
	unsigned int count;
	uint64_t version, told;
};

static struct cw_endpoint from_of(unsigned int key)
{
	return (struct cw_endpoint){.family = CW_FAMILY_IPV4,
				    .port = (rte_be16_t)stamp(key, 1),
				    .ip4 = (rte_be32_t)stamp(key, 2)};
}

static uint16_t number_of(unsigned int key)
{
	return (uint16_t)(CW_CHANNEL_FIRST + key / 4);
}

/* Everything about a way on follows from its address. */
static void way_of(rte_be32_t ip, struct cw_mac *mac, rte_be16_t *port, uint16_t *number)
{
	uint64_t s = stamp(ip, 3);

	*mac = (struct cw_mac){{2, 0}};
	memcpy(mac->b + 2, &ip, sizeof(ip));
	*port = (rte_be16_t)s;
	*number = (uint16_t)(CW_CHANNEL_FIRST + (s >> 16) % 4096);
}

static void publish(struct channels *x, uint64_t present)
{
	x->version++;
	x->count = 0;
	for (unsigned int key = 0; key < CHANNELS; key++) {
		struct cw_channel_params *p = &x->now[x->count];

		if (key >= LASTING && !(present >> key & 1))
			continue;
		*p = (struct cw_channel_params){
			.from = from_of(key), .number = number_of(key), .forward = true};
		p->to = (struct cw_endpoint){.family = CW_FAMILY_IPV4,
					     .ip4 = (rte_be32_t)stamp(key, 100 + x->version)};
		way_of(p->to.ip4, &p->next_hop, &p->to.port, &p->to_number);
		x->count++;
	}
	CW_ASSERT(cw_channels_publish(x->table, x->now, x->count, 1 << 30, 1000000000) == 0);
}

static void *open_channels(struct cw_rcu *rcu)
{
	/* No peer gets an SA here: the engine is never asked for a session. */
	static const struct cw_crypto_ops engine = {.session_bytes = 64};
	struct channels *x = calloc(1, sizeof(*x));

	CW_ASSERT(x != NULL && cw_peer_table_create(&x->table, rcu, &engine, NULL, 1) == 0);
	publish(x, 0);
	return x;
}

static void check_told(void *arg, uint64_t from_key, uint16_t number)
{
	struct channels *x = arg;

	x->told++;
	for (unsigned int i = 0; i < x->count; i++)
		if (x->now[i].number == number && cw_endpoint_key(&x->now[i].from) == from_key)
			return;
	broken("a mark of a channel that is not", number, from_key, 0);
}

static void write_channels(void *scene, struct dice *dice)
{
	struct channels *x = scene;

	cw_channels_used(x->table, check_told, x);
	publish(x, roll(dice));
}

static void check(const struct cw_channel_entry *e, unsigned int key)
{
	struct cw_endpoint from = from_of(key);
	uint16_t number, number_there;
	rte_be16_t port, port_there;
	struct cw_mac mac;
	rte_be32_t ip;

	if (e->from_key != cw_endpoint_key(&from) || e->number != number_of(key))
		broken("a channel of another link, or freed", key, e->number, number_of(key));
	memcpy(&ip, e->outer + OUTER_DST, sizeof(ip));
	memcpy(&port_there, e->outer + OUTER_DST + 6, sizeof(port_there));
	way_of(ip, &mac, &port, &number);
	number_there = (uint16_t)(e->outer[CW_CHANNEL_OUTER_BYTES - 4] << 8 |
				  e->outer[CW_CHANNEL_OUTER_BYTES - 3]);
	if (!e->forward || memcmp(e->outer, mac.b, sizeof(mac.b)) != 0 || port_there != port ||
	    number_there != number)
		broken("headers of two ways on", key, number_there, number);
}

static void read_channels(void *scene, unsigned int reader, struct dice *dice)
{
	struct channels *x = scene;
	struct cw_channel_entry *found[LOOKS];
	unsigned int keys[LOOKS];
	enum cw_drop why;

	(void)reader;
	for (unsigned int i = 0; i < LOOKS; i++) {
		struct cw_channel_index *index = cw_channels_of(x->table);
		uint64_t die = roll(dice);
		struct cw_endpoint from;

		keys[i] = (unsigned int)(die % (i % 2 ? CHANNELS : LASTING));
		from = from_of(keys[i]);
		found[i] =
			cw_channels_find(index, cw_endpoint_key(&from), number_of(keys[i]), &why);
		if (found[i] == NULL) {
			if (keys[i] < LASTING)
				broken("a lasting channel is not found", keys[i], why, 0);
			continue;
		}
		check(found[i], keys[i]);
		(void)cw_channels_admit(index, found[i], 1400, die >> 32);
	}
	for (unsigned int i = 0; i < LOOKS; i++)
		if (found[i] != NULL)
			check(found[i], keys[i]);
}

static void close_channels(void *scene)
{
	struct channels *x = scene;

	if (x->told == 0)
		broken("no mark of use was ever told", x->version, 0, 1);
	CW_ASSERT(cw_channels_publish(x->table, NULL, 0, 1, 1) == 0);
	cw_peer_table_destroy(x->table);
	free(x);
}

const struct scene scene_channels = {"channels", open_channels, write_channels, read_channels,
				     close_channels};
