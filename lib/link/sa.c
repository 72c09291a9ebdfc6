/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agreement on ESP SAs (design.md section 3).
 *
 * The DTLS client drives, so two rekeys never cross; the server may ask for one. Four messages,
 * each repeated until answered:
 *
 *   client: offer(g, nonce, SPIs)     its receiving SPIs
 *   server: installs inbound          -> answer(g, nonce, SPIs)
 *   client: installs inbound, outbound, switches -> ready(g)
 *   server: installs outbound, switches          -> done(g)
 *
 * So nobody seals with an SA before the other end can open it: make before break. The inbound SAs
 * of the generation before stay CW_LINK_SA_LINGER_NS after the other end is known to have switched.
 *
 * Keys: PRK from the exporter, each SA's by HKDF over label, sender, receiver, SPI and both nonces;
 * never kept here. Invariant: every SPI handed out by spi_alloc is either installed or its
 * generation is retired.
 */
#include "internal.h"

#define EXPORTER_LABEL "EXPORTER-causeway-esp"
#define INFO_LABEL     "causeway-esp-sa"

static bool derive(struct association *a, const struct cw_node_id *sender,
		   const struct cw_node_id *receiver, uint32_t spi, uint8_t *out)
{
	const struct cw_link_config *config = &a->links->config;
	const uint8_t *client = a->client ? a->sa.nonce : a->sa.peer_nonce;
	const uint8_t *server = a->client ? a->sa.peer_nonce : a->sa.nonce;
	rte_be32_t spi_be = rte_cpu_to_be_32(spi);
	uint8_t info[sizeof(INFO_LABEL) - 1 + 2 * CW_NODE_ID_BYTES + 4 + 2 * NONCE_BYTES];
	uint8_t *at = info, prk[32];
	bool ok;

	memcpy(at, INFO_LABEL, sizeof(INFO_LABEL) - 1);
	at += sizeof(INFO_LABEL) - 1;
	memcpy(at, sender->b, CW_NODE_ID_BYTES);
	at += CW_NODE_ID_BYTES;
	memcpy(at, receiver->b, CW_NODE_ID_BYTES);
	at += CW_NODE_ID_BYTES;
	memcpy(at, &spi_be, 4);
	at += 4;
	memcpy(at, client, NONCE_BYTES);
	at += NONCE_BYTES;
	memcpy(at, server, NONCE_BYTES);
	if (config->dtls->exporter(a->session, EXPORTER_LABEL, prk, sizeof(prk)) < 0)
		return false;
	ok = config->kdf.hkdf_expand(prk, info, sizeof(info), out, CW_LINK_SA_KEY_BYTES) == 0;
	config->kdf.cleanse(prk, sizeof(prk));
	return ok;
}

/* Install all SAs of one direction of the generation being agreed on. */
static bool install(struct association *a, bool outbound, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	const struct cw_node_id *self = &links->config.self, *peer = &a->identity.node;

	for (unsigned int k = 0; k < a->sa.K; k++) {
		struct cw_link_sa sa = {.peer = *peer,
					.outbound = outbound,
					.k = (uint8_t)k,
					.K = (uint8_t)a->sa.K,
					.worker = (uint8_t)(k % links->config.workers),
					.spi = outbound ? a->sa.peer_spi[k] : a->sa.spi[k],
					.generation = a->sa.generation,
					.suite = a->suite};
		bool ok =
			derive(a, outbound ? self : peer, outbound ? peer : self, sa.spi, sa.key) &&
			links->ops.sa_install(links->ctx, &sa, now_ns) == 0;

		links->config.kdf.cleanse(sa.key, sizeof(sa.key));
		if (ok && !outbound)
			a->sa.installed = k + 1;
		if (!ok) {
			cw_log(links->config.log, CW_LOG_ERROR, MODULE,
			       "an SA could not be installed; the link is closed");
			association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
			return false;
		}
	}
	return true;
}

static bool alloc_spis(struct association *a)
{
	struct cw_links *links = a->links;

	a->sa.K = links->config.workers > a->peer_workers ? links->config.workers : a->peer_workers;
	a->sa.held = a->sa.installed = 0;
	for (; a->sa.held < a->sa.K; a->sa.held++)
		if (links->ops.spi_alloc(links->ctx, &a->identity.node,
					 (uint8_t)(a->sa.held % links->config.workers),
					 &a->sa.spi[a->sa.held]) < 0)
			return false;
	return true;
}

/* What was allocated and never installed goes back. */
static void free_spis(struct association *a)
{
	const struct cw_links *links = a->links;

	for (unsigned int k = a->sa.installed; k < a->sa.held; k++)
		if (links->config.mutate != CW_LINK_MUT_SPILEAK)
			links->ops.spi_free(links->ctx, a->sa.spi[k]);
	a->sa.held = a->sa.installed;
}

static void new_nonce(struct association *a)
{
	const struct cw_random_ops *random = &a->links->config.random;

	random->fill(random->ctx, a->sa.nonce, sizeof(a->sa.nonce));
}

static void send_offer(struct association *a)
{
	Causeway__Link__SaOffer offer = CAUSEWAY__LINK__SA_OFFER__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	offer.generation = a->sa.generation;
	offer.nonce.data = a->sa.nonce;
	offer.nonce.len = NONCE_BYTES;
	offer.spis = a->sa.spi;
	offer.n_spis = a->sa.K;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_OFFER;
	frame.offer = &offer;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "SA offer not sent");
}

static void send_answer(struct association *a)
{
	Causeway__Link__SaAnswer answer = CAUSEWAY__LINK__SA_ANSWER__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	answer.generation = a->sa.generation;
	answer.nonce.data = a->sa.nonce;
	answer.nonce.len = NONCE_BYTES;
	answer.spis = a->sa.spi;
	answer.n_spis = a->sa.K;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_ANSWER;
	frame.answer = &answer;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "SA answer not sent");
}

static void send_ready(struct association *a)
{
	Causeway__Link__SaReady ready = CAUSEWAY__LINK__SA_READY__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	ready.generation = a->sa.generation;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_READY;
	frame.ready = &ready;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "SA ready not sent");
}

static void send_done(struct association *a, uint32_t generation)
{
	Causeway__Link__SaDone done = CAUSEWAY__LINK__SA_DONE__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	done.generation = generation;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_DONE;
	frame.done = &done;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "SA done not sent");
}

static void retire_oldest(struct association *a, uint64_t now_ns)
{
	a->links->ops.sa_retire(a->links->ctx, &a->identity.node, false,
				a->sa.lingering[0].generation, now_ns);
	a->sa.lingerers--;
	memmove(a->sa.lingering, a->sa.lingering + 1, a->sa.lingerers * sizeof(a->sa.lingering[0]));
}

static void linger(struct association *a, uint64_t now_ns)
{
	if (a->sa.current == 0)
		return;
	if (a->sa.lingerers == LINGER_MAX)
		retire_oldest(a, now_ns);
	a->sa.lingering[a->sa.lingerers].generation = a->sa.current;
	a->sa.lingering[a->sa.lingerers++].until_ns = now_ns + CW_LINK_SA_LINGER_NS;
	if (a->links->config.mutate == CW_LINK_MUT_NOLINGER)
		retire_oldest(a, now_ns);
}

/* Both ends use the new generation: the one before goes, a little later. */
static void switched(struct association *a, uint64_t now_ns)
{
	uint64_t spread = a->links->config.sa_rekey_ns / 10 + 1;

	linger(a, now_ns);
	if (a->sa.current != 0)
		a->rekeys++;
	a->sa.current = a->sa.generation;
	a->sa.rekey_ns = now_ns + a->links->config.sa_rekey_ns - spread / 2 +
			 cw_random_u64(&a->links->config.random) % spread;
}

void sa_begin(struct association *a, uint64_t now_ns)
{
	if (!a->client || !a->is_link || a->no_sas || a->sa.phase != SA_IDLE ||
	    a->successor != NULL)
		return;
	a->sa.generation++;
	new_nonce(a);
	if (!alloc_spis(a)) {
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	a->sa.phase = SA_OFFERED;
	a->sa.retry_ns = now_ns + SA_RETRY_NS;
	send_offer(a);
}

static bool take_spis(struct association *a, const ProtobufCBinaryData *nonce, const uint32_t *spis,
		      size_t count)
{
	if (nonce->len != NONCE_BYTES || count != a->sa.K)
		return false;
	for (size_t k = 0; k < count; k++)
		if (spis[k] < UINT32_C(0x80000000) || spis[k] >= UINT32_C(0xff000000))
			return false;
	memcpy(a->sa.peer_nonce, nonce->data, NONCE_BYTES);
	memcpy(a->sa.peer_spi, spis, count * sizeof(spis[0]));
	return true;
}

/*
 * The client begins to count anew while we moved an older link's SAs over: its link had died before
 * the new handshake was through, ours had not. Its offers would be below ours for ever.
 */
static void say_behind(struct association *a)
{
	Causeway__Link__SaWant want = CAUSEWAY__LINK__SA_WANT__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	want.after = a->sa.generation;
	want.behind = true;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_WANT;
	frame.want = &want;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "the generation is not told");
}

static void on_want(struct association *a, const Causeway__Link__SaWant *want, uint64_t now_ns)
{
	if (!want->behind) {
		if (want->after == a->sa.current)
			sa_begin(a, now_ns);
		return;
	}
	/* An answer to a late copy of an offer that is through changes nothing. */
	if (!a->client || a->sa.phase != SA_OFFERED || want->after < a->sa.generation ||
	    want->after == UINT32_MAX)
		return;
	a->sa.generation = want->after + 1;
	a->sa.retry_ns = now_ns + SA_RETRY_NS;
	send_offer(a);
}

static void on_offer(struct association *a, const Causeway__Link__SaOffer *offer, uint64_t now_ns)
{
	if (a->client || !a->hello_got || a->no_sas)
		return;
	if (offer->generation == a->sa.generation && a->sa.phase == SA_ANSWERED) {
		send_answer(a); /* the answer was lost */
		return;
	}
	if (a->sa.phase != SA_IDLE)
		return;
	if (offer->generation <= a->sa.generation) {
		say_behind(a);
		return;
	}
	a->sa.generation = offer->generation;
	new_nonce(a);
	if (!alloc_spis(a) || !take_spis(a, &offer->nonce, offer->spis, offer->n_spis)) {
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	if (!install(a, false, now_ns))
		return;
	a->sa.phase = SA_ANSWERED;
	if (a->links->config.mutate == CW_LINK_MUT_EAGER && !install(a, true, now_ns))
		return;
	send_answer(a);
}

static void on_answer(struct association *a, const Causeway__Link__SaAnswer *answer,
		      uint64_t now_ns)
{
	if (!a->client || answer->generation != a->sa.generation)
		return;
	if (a->sa.phase != SA_OFFERED)
		return;
	if (!take_spis(a, &answer->nonce, answer->spis, answer->n_spis)) {
		association_end(a, CW_LINK_DOWN_LOCAL, now_ns);
		return;
	}
	if (!install(a, false, now_ns) || !install(a, true, now_ns))
		return;
	a->sa.phase = SA_READIED;
	a->sa.retry_ns = now_ns + SA_RETRY_NS;
	send_ready(a);
}

static void on_ready(struct association *a, const Causeway__Link__SaReady *ready, uint64_t now_ns)
{
	if (a->client)
		return;
	if (a->sa.phase == SA_ANSWERED && ready->generation == a->sa.generation) {
		if (!install(a, true, now_ns))
			return;
		a->sa.phase = SA_IDLE;
		switched(a, now_ns);
	}
	if (ready->generation == a->sa.current)
		send_done(a, ready->generation);
}

static void on_done(struct association *a, const Causeway__Link__SaDone *done, uint64_t now_ns)
{
	if (!a->client || a->sa.phase != SA_READIED || done->generation != a->sa.generation)
		return;
	a->sa.phase = SA_IDLE;
	switched(a, now_ns);
}

void sa_frame(struct association *a, const Causeway__Link__Frame *frame, uint64_t now_ns)
{
	switch (frame->body_case) {
	case CAUSEWAY__LINK__FRAME__BODY_OFFER:
		on_offer(a, frame->offer, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_ANSWER:
		on_answer(a, frame->answer, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_READY:
		on_ready(a, frame->ready, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_DONE:
		on_done(a, frame->done, now_ns);
		break;
	case CAUSEWAY__LINK__FRAME__BODY_WANT:
		on_want(a, frame->want, now_ns);
		break;
	default:
		break;
	}
}

uint64_t sa_timer(struct association *a, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	while (a->sa.lingerers > 0 && now_ns >= a->sa.lingering[0].until_ns)
		retire_oldest(a, now_ns);
	if (a->sa.lingerers > 0)
		next = a->sa.lingering[0].until_ns;
	if (a->sa.phase == SA_OFFERED || a->sa.phase == SA_READIED) {
		if (now_ns >= a->sa.retry_ns) {
			a->sa.retry_ns = now_ns + SA_RETRY_NS;
			if (a->sa.phase == SA_OFFERED)
				send_offer(a);
			else
				send_ready(a);
		}
		next = cw_min_u64(next, a->sa.retry_ns);
	} else if (a->client && a->sa.current != 0 && a->successor == NULL) {
		if (now_ns >= a->sa.rekey_ns) {
			sa_begin(a, now_ns);
			return a->dead ? CW_NEVER : cw_min_u64(next, a->sa.retry_ns);
		}
		next = cw_min_u64(next, a->sa.rekey_ns);
	}
	return next;
}

void sa_end(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	const struct cw_node_id *peer = &a->identity.node;

	while (a->sa.lingerers > 0)
		retire_oldest(a, now_ns);
	free_spis(a);
	if (a->sa.current != 0) {
		links->ops.sa_retire(links->ctx, peer, true, a->sa.current, now_ns);
		links->ops.sa_retire(links->ctx, peer, false, a->sa.current, now_ns);
	}
	if (a->sa.generation != a->sa.current) {
		links->ops.sa_retire(links->ctx, peer, true, a->sa.generation, now_ns);
		links->ops.sa_retire(links->ctx, peer, false, a->sa.generation, now_ns);
	}
	a->sa.current = 0;
	a->sa.phase = SA_IDLE;
}
