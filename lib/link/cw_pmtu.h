/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PMTU_H
#define CW_PMTU_H

/**
 * @file
 * How large a packet a path carries: packetization-layer path MTU discovery (RFC 8899) as a state
 * machine, sans I/O. Sizes are of whole IP packets on the first hop, in bytes.
 *
 * Its user sends what cw_pmtu_timer asks for (probes of exact size, DF set, answered by something
 * small) and reports the answers; mtu_bytes is the result at any moment. One machine per path.
 * [control]
 */
#include <cw_ops.h>
#include <cw_types.h>

/** Where a search begins that found its first guess wrong, and the least that is ever believed in:
 * BASE_PLPMTU and MIN_PLPMTU of RFC 8899 section 5.1.2. Every router passes 576 (RFC 791). */
#define CW_PMTU_BASE_BYTES 1280u
#define CW_PMTU_MIN_BYTES  576u
/** ESP pads to so much: a finer answer would change no inner packet. */
#define CW_PMTU_STEP_BYTES 4u
/** Probes at once: as a sender's initial window may be (RFC 6928). */
#define CW_PMTU_SIZES_MAX 10u
/** The probes and the small one beside them, which tells a narrow path from a dead one. */
#define CW_PMTU_PROBES_MAX (CW_PMTU_SIZES_MAX + 1u)
/** MAX_PROBES: lost so often, while the small one was answered, a size does not get through. */
#define CW_PMTU_TRIES 3u
/** While there is traffic, the size in use is confirmed so often: how long a black hole lasts. */
#define CW_PMTU_CONFIRM_NS (UINT64_C(5) * CW_NS_PER_S)
/** PMTU_RAISE_TIMER: a narrow path is looked at anew. */
#define CW_PMTU_RAISE_NS (UINT64_C(600) * CW_NS_PER_S)

enum cw_pmtu_state {
	CW_PMTU_ASSUMED,   /* nothing was measured on this path yet */
	CW_PMTU_SEARCHING, /* what was believed turned out wrong */
	CW_PMTU_CONFIRMED,
	CW_PMTU_FAILED, /* small packets are answered, CW_PMTU_MIN_BYTES is not */
	CW_PMTU_STATE_COUNT
};

/** Rules that the simulator removes to see that its judge notices. Production sets none. */
enum cw_pmtu_mutation {
	CW_PMTU_MUT_NONE,
	CW_PMTU_MUT_NOWITNESS, /* silence counts as a size that is too large */
	CW_PMTU_MUT_NOCONFIRM, /* what was once confirmed is believed for ever */
	CW_PMTU_MUT_NORAISE,   /* what was found narrow stays so */
	CW_PMTU_MUT_BLINDHINT, /* whatever an ICMP message says is believed */
	CW_PMTU_MUT_COUNT
};

struct cw_pmtu {
	uint16_t max_bytes; /* of the first hop */
	uint16_t mtu_bytes; /* the result; 0: not begun */
	uint8_t state;	    /* enum cw_pmtu_state */
	uint8_t mutate;	    /* enum cw_pmtu_mutation */
	/* A search: what was answered, and what does not get through. */
	uint16_t good_bytes, bad_bytes;
	/* A round of it: ascending, the last one is what it is about. */
	uint16_t sizes[CW_PMTU_SIZES_MAX];
	uint8_t count, tries, silent;
	bool open, sent, all, answered, raising;
	uint16_t hint_bytes; /* of an ICMP message; 0: none */
	uint64_t token, due_ns, hint_ns, confirmed_ns, raise_ns;
	uint64_t raise_every_ns;
	uint32_t probes, narrowed; /* sent in all; how often it became smaller */
};

struct cw_pmtu_probe {
	uint64_t token;
	uint16_t bytes; /* exactly; 0: as small as can be */
};

/** What the machine must know of the moment. */
struct cw_pmtu_now {
	uint64_t now_ns, rtt_ns; /* rtt_ns 0: unknown */
	bool busy;		 /* somebody sends on the path */
	const struct cw_random_ops *random;
};

/**
 * A path begins, or has become another one: all is to be measured anew. Until it is, @p
 * m->mtu_bytes stays what it was, or the first hop's: its operator said so, and most paths are no
 * narrower.
 * @param raise_every_ns 0: CW_PMTU_RAISE_NS
 */
void cw_pmtu_start(struct cw_pmtu *m, uint16_t max_bytes, uint64_t raise_every_ns, uint64_t now_ns);

/** @return how many of @p out are to be sent now. @p next: when to ask again, or CW_NEVER: when
 * traffic begins. */
unsigned int cw_pmtu_timer(struct cw_pmtu *m, const struct cw_pmtu_now *now,
			   struct cw_pmtu_probe out[CW_PMTU_PROBES_MAX], uint64_t *next);

/** An answer came. @return whether the token is of a probe that still counts. */
bool cw_pmtu_answer(struct cw_pmtu *m, uint64_t token, uint64_t now_ns);

/** What was sent last counts no more, for its answers will not be heard: it is sent again. */
void cw_pmtu_again(struct cw_pmtu *m, uint64_t now_ns);

/** Somebody on the way says that no more than @p bytes get through. A reason to ask now, never
 * more. @return whether it is one. */
bool cw_pmtu_hint(struct cw_pmtu *m, uint16_t bytes, uint64_t now_ns);

/** For operators. */
const char *cw_pmtu_state_name(enum cw_pmtu_state state);

#endif /* CW_PMTU_H */
