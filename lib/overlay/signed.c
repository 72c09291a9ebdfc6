/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages over several hops: nobody between is trusted, so the source signs, and whoever delivers
 * has checked the signature with a certificate of our CA (docs/decisions/0012).
 *
 * A certificate goes along with the first message to a destination and is kept there; whoever does
 * not have it any more asks. Each process of a source numbers its messages; a number is taken once,
 * and what an earlier process of the same node sent is not taken after the next one's.
 *
 * Messages say when they were sent. Too old a one is refused, and numbers are kept until all that
 * was taken is too old: so nothing is taken twice in one life of this node, however many others
 * sign meanwhile. (A node that was started anew has only the age to go by.)
 *
 * Bounded: SIGNERS_MAX certificates, the one that was silent for longest gives way; HEARD_MAX
 * sources, none gives way before its time, one too many is refused; a bad signature costs the check
 * and leaves nothing behind.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define LABEL "causeway-overlay-message-2"
/* A certificate is judged anew after this: it may have expired, or been revoked. */
#define SIGNER_NS (UINT64_C(3600) * CW_NS_PER_S)
/* A destination is believed to have our certificate for so long. */
#define TOLD_NS (UINT64_C(600) * CW_NS_PER_S)
/* A stamp may be a window ahead when it is taken, and is good for a window after. */
#define HEARD_NS (UINT64_C(2) * CW_OVERLAY_SIGNED_WINDOW_S * CW_NS_PER_S)
/* A clock that is off is spoken of so often. */
#define LATE_LOG_NS (UINT64_C(60) * CW_NS_PER_S)

struct part {
	const void *data;
	size_t len;
};

/* What is signed, in one piece (malloc'd). */
static uint8_t *signed_bytes(const Causeway__Overlay__Signed *s, size_t *len)
{
	uint8_t numbers[4 + 4 + 8 + 8 + 8];
	struct part parts[] = {{LABEL, sizeof(LABEL) - 1},
			       {numbers, sizeof(numbers)},
			       {s->destination.data, s->destination.len},
			       {s->source.data, s->source.len},
			       {s->data.data, s->data.len}};
	uint8_t *bytes, *at;

	for (unsigned int i = 0; i < 4; i++) {
		numbers[i] = (uint8_t)(s->service >> 8 * (3 - i));
		numbers[4 + i] = (uint8_t)(s->mode >> 8 * (3 - i));
	}
	for (unsigned int i = 0; i < 8; i++) {
		numbers[8 + i] = (uint8_t)(s->session >> 8 * (7 - i));
		numbers[16 + i] = (uint8_t)(s->nonce >> 8 * (7 - i));
		numbers[24 + i] = (uint8_t)(s->sent_s >> 8 * (7 - i));
	}
	*len = 0;
	for (size_t i = 0; i < CW_ARRAY_SIZE(parts); i++)
		*len += parts[i].len;
	bytes = at = malloc(*len);
	for (size_t i = 0; bytes != NULL && i < CW_ARRAY_SIZE(parts); i++) {
		if (parts[i].len > 0)
			memcpy(at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	return bytes;
}

/* -- our certificate, and who has it */

static bool has_ours(struct cw_overlay *o, const struct cw_node_id *to, uint64_t now_ns)
{
	struct told_certificate *oldest;

	if (o->told == NULL)
		o->told = calloc(TOLD_CERTIFICATE_MAX, sizeof(*o->told));
	if (o->told == NULL)
		return false;
	oldest = &o->told[0];
	for (unsigned int i = 0; i < TOLD_CERTIFICATE_MAX; i++) {
		struct told_certificate *t = &o->told[i];

		if (t->at_ns != 0 && cw_node_id_equal(&t->to, to)) {
			if (now_ns - t->at_ns < TOLD_NS)
				return true;
			t->at_ns = now_ns;
			return false;
		}
		if (t->at_ns < oldest->at_ns)
			oldest = t;
	}
	*oldest = (struct told_certificate){.to = *to, .at_ns = now_ns};
	return false;
}

void signed_wanted(struct cw_overlay *o, const struct cw_node_id *by)
{
	/* What was sent to a key may have ended at this node: all of those go. */
	for (unsigned int i = 0; o->told != NULL && i < TOLD_CERTIFICATE_MAX; i++)
		if (cw_node_id_equal(&o->told[i].to, by) || node_find(o, &o->told[i].to) == NULL)
			o->told[i].at_ns = 0;
}

int signed_send(struct cw_overlay *o, enum cw_overlay_service service, const struct cw_node_id *to,
		enum mode mode, const void *data, size_t len, uint64_t now_ns)
{
	const struct cw_signer_ops *signer = o->config.signer;
	Causeway__Overlay__Signed s = CAUSEWAY__OVERLAY__SIGNED__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	uint8_t signature[CW_SIGNATURE_BYTES_MAX], *bytes;
	size_t bytes_len;
	int err;

	if (signer == NULL)
		return -EACCES;
	s.service = (uint32_t)service;
	s.source = id_pack(&o->config.self);
	s.destination = id_pack(to);
	s.mode = mode;
	s.session = o->config.session;
	s.nonce = ++o->nonce;
	s.sent_s = o->ops.unix_s != NULL ? o->ops.unix_s(o->ctx) : 0;
	s.data = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
	bytes = signed_bytes(&s, &bytes_len);
	if (bytes == NULL)
		return -ENOMEM;
	err = signer->sign(o->config.signer_self, bytes, bytes_len, signature, &s.signature.len);
	free(bytes);
	if (err < 0)
		return err;
	o->info.signatures_made++;
	s.signature.data = signature;
	if (!has_ours(o, to, now_ns))
		s.certificate.data = (uint8_t *)(uintptr_t)signer->certificate(
			o->config.signer_self, &s.certificate.len);
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED;
	frame.signed_ = &s;
	return route_begin(o, &frame, to, mode, NULL, now_ns);
}

/* -- theirs */

static struct signer *find(const struct cw_overlay *o, const struct cw_node_id *id)
{
	for (unsigned int i = 0; i < o->signer_count; i++)
		if (cw_node_id_equal(&o->signers[i]->identity.node, id))
			return o->signers[i];
	return NULL;
}

const struct cw_identity *signed_identity(const struct cw_overlay *o, const struct cw_node_id *id)
{
	const struct signer *s = find(o, id);

	return s != NULL ? &s->identity : NULL;
}

static struct signer *room(struct cw_overlay *o)
{
	struct signer *s, *oldest;

	if (o->signers == NULL)
		o->signers = calloc(SIGNERS_MAX, sizeof(*o->signers));
	if (o->signers == NULL)
		return NULL;
	if (o->signer_count < SIGNERS_MAX) {
		s = calloc(1, sizeof(*s));
		if (s != NULL)
			o->signers[o->signer_count++] = s;
		return s;
	}
	oldest = o->signers[0];
	for (unsigned int i = 1; i < o->signer_count; i++)
		if (o->signers[i]->used_ns < oldest->used_ns)
			oldest = o->signers[i];
	o->config.signer->release(oldest->key);
	*oldest = (struct signer){0};
	return oldest;
}

static struct signer *judge(struct cw_overlay *o, const struct cw_node_id *source,
			    const ProtobufCBinaryData *der, struct signer *known, uint64_t now_ns)
{
	const struct cw_signer_ops *signer = o->config.signer;
	struct cw_identity identity;
	struct cw_public_key *key;
	struct signer *s = known;
	const char *why = "";

	if (der->len == 0 || der->len > CW_CERTIFICATE_BYTES_MAX)
		return NULL;
	key = signer->verify(o->config.signer_self, der->data, der->len, &identity, &why);
	if (key == NULL || !cw_node_id_equal(&identity.node, source)) {
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE,
		       "a message's certificate is refused: %s",
		       key == NULL ? why : "it is another node's");
		if (key != NULL)
			signer->release(key);
		return NULL;
	}
	if (s == NULL)
		s = room(o);
	else
		signer->release(s->key);
	if (s == NULL) {
		signer->release(key);
		return NULL;
	}
	s->key = key;
	s->identity = identity;
	s->judged_ns = s->used_ns = now_ns;
	return s;
}

static void ask_certificate(struct cw_overlay *o, const struct cw_node_id *of, uint64_t now_ns)
{
	Causeway__Overlay__CertificateWanted wanted = CAUSEWAY__OVERLAY__CERTIFICATE_WANTED__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CERTIFICATE_WANTED;
	frame.certificate_wanted = &wanted;
	if (route_begin(o, &frame, of, MODE_EXACT, NULL, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "no way to ask for a certificate");
}

static bool check(struct cw_overlay *o, const struct signer *s, const Causeway__Overlay__Signed *m)
{
	size_t len;
	uint8_t *bytes = signed_bytes(m, &len);
	bool good = o->config.mutate == CW_OVERLAY_MUT_NOSIGN;

	good = good ||
	       (bytes != NULL &&
		o->config.signer->check(s->key, bytes, len, m->signature.data, m->signature.len));

	free(bytes);
	o->info.signatures_checked++;
	o->info.signatures_bad += !good;
	return good;
}

/* -- is it new? */

static bool in_time(struct cw_overlay *o, const struct signer *s,
		    const Causeway__Overlay__Signed *m, uint64_t now_ns)
{
	uint64_t now_s = o->ops.unix_s != NULL ? o->ops.unix_s(o->ctx) : 0;
	uint64_t off_s = now_s > m->sent_s ? now_s - m->sent_s : m->sent_s - now_s;

	/* Without a clock of our own no age is judged. */
	if (now_s == 0 || off_s <= CW_OVERLAY_SIGNED_WINDOW_S)
		return true;
	o->info.signatures_late++;
	if (o->late_logged_ns == 0 || now_ns - o->late_logged_ns >= LATE_LOG_NS) {
		o->late_logged_ns = now_ns;
		cw_log(o->config.log, CW_LOG_WARN, MODULE,
		       "a message of %s is %llu s off our clock: replayed, or one of the clocks is wrong",
		       s->identity.name, (unsigned long long)off_s);
	}
	return false;
}

/* The source's numbers; a free place for those of a new one; NULL: there is none. */
static struct heard *heard_from(struct cw_overlay *o, const struct cw_node_id *source,
				uint64_t now_ns)
{
	struct heard *place = NULL, *grown;
	unsigned int size;

	for (unsigned int i = 0; i < o->heard_count; i++) {
		struct heard *h = &o->heard[i];

		if (cw_node_id_equal(&h->from, source))
			return h;
		if (now_ns >= h->until_ns)
			place = h;
	}
	if (place == NULL && o->heard_count < o->heard_size)
		place = &o->heard[o->heard_count++];
	if (place == NULL && o->heard_size < HEARD_MAX) {
		size = o->heard_size ? o->heard_size * 2 : 16;
		grown = realloc(o->heard, size * sizeof(*grown));
		if (grown != NULL) {
			o->heard = grown;
			o->heard_size = size;
			place = &o->heard[o->heard_count++];
		}
	}
	if (place == NULL)
		o->info.sources_refused++;
	else
		*place = (struct heard){.from = *source};
	return place;
}

/* A window of 64 behind the highest, as ESP has one. */
static bool fresh_number(struct heard *h, const Causeway__Overlay__Signed *m)
{
	uint64_t behind;

	if (m->session < h->session)
		return false;
	if (m->session > h->session) {
		h->session = m->session;
		h->highest = m->nonce;
		h->window = 1;
		return true;
	}
	if (m->nonce > h->highest) {
		behind = m->nonce - h->highest;
		h->window = behind >= 64 ? 1 : h->window << behind | 1;
		h->highest = m->nonce;
		return true;
	}
	behind = h->highest - m->nonce;
	if (behind >= 64 || h->window >> behind & 1)
		return false;
	h->window |= UINT64_C(1) << behind;
	return true;
}

static bool fresh(struct cw_overlay *o, const struct signer *s, const Causeway__Overlay__Signed *m,
		  uint64_t now_ns)
{
	struct heard *h;

	if (o->config.mutate == CW_OVERLAY_MUT_REPLAY)
		return true;
	if (!in_time(o, s, m, now_ns))
		return false;
	h = heard_from(o, &s->identity.node, now_ns);
	if (h == NULL || !fresh_number(h, m))
		return false;
	h->until_ns = now_ns + HEARD_NS;
	return true;
}

void signed_input(struct cw_overlay *o, const Causeway__Overlay__Signed *m, uint64_t now_ns)
{
	struct cw_node_id source, destination;
	struct signer *s;

	if (o->config.signer == NULL || !id_unpack(&m->source, &source) ||
	    !id_unpack(&m->destination, &destination) || m->signature.len == 0 || m->session == 0)
		return;
	if (m->mode == MODE_EXACT ? !cw_node_id_equal(&destination, &o->config.self)
				  : m->mode != MODE_NEAREST)
		return;
	s = find(o, &source);
	if (s == NULL || now_ns - s->judged_ns > SIGNER_NS)
		s = judge(o, &source, &m->certificate, s, now_ns);
	if (s == NULL) {
		if (m->certificate.len == 0)
			ask_certificate(o, &source, now_ns);
		return;
	}
	if (!check(o, s, m) || !fresh(o, s, m, now_ns))
		return;
	s->used_ns = now_ns;
	if (o->ops.objection != NULL && o->ops.objection(o->ctx, &s->identity) != NULL)
		return;
	if (m->service == 0 || m->service >= CW_OVERLAY_SERVICE_COUNT)
		return;
	o->ops.deliver(o->ctx, (enum cw_overlay_service)m->service, &source, m->data.data,
		       m->data.len, now_ns);
}

void signed_free(struct cw_overlay *o)
{
	for (unsigned int i = 0; i < o->signer_count; i++) {
		o->config.signer->release(o->signers[i]->key);
		free(o->signers[i]);
	}
	free(o->signers);
	free(o->heard);
	free(o->told);
}
