/* SPDX-License-Identifier: BSD-3-Clause */
/* What `show site` says: a copy, so that nobody holds on to the engine's own. */
#include "internal.h"

static const char *const refusals[CW_SITE_REFUSED_COUNT] = {
	[CW_SITE_REFUSED_MALFORMED] = "malformed", [CW_SITE_REFUSED_VERSION] = "version",
	[CW_SITE_REFUSED_SITE] = "other_site",	   [CW_SITE_REFUSED_SEGMENT] = "other_segment",
	[CW_SITE_REFUSED_STRANGER] = "no_key",	   [CW_SITE_REFUSED_SEAL] = "seal",
	[CW_SITE_REFUSED_REPLAY] = "replay",
};

const char *cw_site_refusal_name(enum cw_site_refusal why)
{
	return why < CW_SITE_REFUSED_COUNT ? refusals[why] : "unknown";
}

static uint8_t slots_of(const struct cw_site *s, const struct cw_node_id *node)
{
	uint8_t n = 0;

	for (unsigned int i = 0; i < s->config.slots; i++)
		if (s->table.owner[i] != CW_SITE_NOBODY &&
		    cw_node_id_equal(&s->table.member[s->table.owner[i]], node))
			n++;
	return n;
}

static struct cw_site_member describe(const struct cw_site *s, const struct fellow *f)
{
	bool never = site_silence(s, f) >= RUN_BEGIN / 2;

	return (struct cw_site_member){
		.node = f->node,
		.heard = site_lives(s, f),
		.confirmed = site_confirms(s, f),
		.listening = f->flags & FLAG_LISTENING,
		.passive = f->flags & FLAG_PASSIVE,
		.mute = f->flags & FLAG_MUTE,
		.draining = f->flags & FLAG_DRAINING,
		.damped = f->record.damped,
		.split = !site_lives(s, f) && site_state_fresh(s, f) && !site_hears_us(s, f),
		.health = f->health,
		.weight = f->weight,
		.slots = slots_of(s, &f->node),
		.epoch = f->ballot.epoch,
		.losses = f->record.losses,
		.silence_ns = never ? CW_NEVER : site_silence(s, f),
	};
}

void cw_site_status(const struct cw_site *s, struct cw_site_status *out)
{
	*out = (struct cw_site_status){.epoch = s->table.ballot.epoch,
				       .proposer = s->table.ballot.proposer,
				       .slots = s->config.slots,
				       .serving = s->served,
				       .deadline_ns = s->deadline_ns,
				       .count = s->count + 1,
				       .takeovers = s->takeovers};
	for (unsigned int i = 0; i < s->config.slots; i++)
		if (s->table.owner[i] != CW_SITE_NOBODY)
			out->owner[i] = s->table.member[s->table.owner[i]];
	out->member[0] = (struct cw_site_member){
		.node = s->config.self,
		.self = true,
		.heard = true,
		.confirmed = true,
		.listening = s->listening,
		.passive = s->passive,
		.mute = site_is_mute(s),
		.draining = s->draining,
		.damped = s->record.damped,
		.health = s->health,
		.weight = s->config.weight,
		.slots = slots_of(s, &s->config.self),
		.epoch = s->table.ballot.epoch,
		.losses = s->record.losses,
	};
	for (unsigned int i = 0; i < s->count; i++)
		out->member[i + 1] = describe(s, &s->fellow[i]);
	memcpy(out->refused, s->refused, sizeof(out->refused));
}

/* It lives and could serve, and we are out of each other's reach on the LAN. */
static bool is_split(const struct cw_site *s, const struct fellow *f)
{
	return !site_lives(s, f) && site_state_fresh(s, f) && !site_hears_us(s, f) &&
	       (f->flags & (FLAG_PASSIVE | FLAG_LISTENING)) == 0 &&
	       (f->health & CW_SITE_HEALTH_LAN) != 0;
}

bool site_is_split(const struct cw_site *s)
{
	/* Whose own cable is out reaches no hosts: no split, and the others have the slots. */
	if (s->passive || (s->health & CW_SITE_HEALTH_LAN) == 0)
		return false;
	for (unsigned int i = 0; i < s->count; i++)
		if (is_split(s, &s->fellow[i]))
			return true;
	return false;
}

void cw_site_table(const struct cw_site *s, struct cw_site_table *out)
{
	*out = (struct cw_site_table){.epoch = s->table.ballot.epoch,
				      .proposer = s->table.ballot.proposer,
				      .draw = s->table.ballot.draw,
				      .split = site_is_split(s),
				      .slots = s->config.slots,
				      .count = s->table.count};
	memcpy(out->member, s->table.member, sizeof(out->member));
	memcpy(out->owner, s->table.owner, sizeof(out->owner));
}
