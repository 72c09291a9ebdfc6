/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of the layers above, cut into pieces that fit a record and put together again.
 * Unreliable on purpose: a lost piece loses the message, and whoever sent it has a retry of its
 * own. Bounded: REASSEMBLIES_MAX messages per link in the making, the oldest gives way.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* Frame and piece headers in protobuf: version, tags, id, index, count, lengths. */
#define PIECE_OVERHEAD 40u

int message_send(struct association *a, const void *data, size_t len)
{
	size_t room = measure_room(a);
	size_t piece_bytes, at = 0;
	Causeway__Link__Piece piece = CAUSEWAY__LINK__PIECE__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	if (len == 0 || len > CW_LINK_MESSAGE_BYTES_MAX || room <= PIECE_OVERHEAD)
		return -EMSGSIZE;
	piece_bytes = room - PIECE_OVERHEAD;
	piece.id = ++a->message_id;
	piece.count = (uint32_t)((len + piece_bytes - 1) / piece_bytes);
	if (piece.count > PIECES_MAX)
		return -EMSGSIZE;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_PIECE;
	frame.piece = &piece;
	for (; at < len; at += piece_bytes, piece.index++) {
		int err;

		piece.data.data = (uint8_t *)(uintptr_t)data + at;
		piece.data.len = len - at < piece_bytes ? len - at : piece_bytes;
		err = association_send(a, &frame);
		if (err < 0)
			return err;
	}
	return 0;
}

static void reassembly_end(struct reassembly **at)
{
	for (unsigned int i = 0; *at != NULL && i < PIECES_MAX; i++)
		free((*at)->data[i]);
	free(*at);
	*at = NULL;
}

static struct reassembly *reassembly_for(struct association *a, uint32_t id, uint32_t count,
					 uint64_t now_ns)
{
	struct reassembly **oldest = &a->parts[0];

	for (unsigned int i = 0; i < REASSEMBLIES_MAX; i++) {
		struct reassembly **r = &a->parts[i];

		if (*r != NULL && (*r)->id == id)
			return (*r)->count == count ? *r : NULL;
		if (*oldest != NULL && (*r == NULL || (*r)->began_ns < (*oldest)->began_ns))
			oldest = r;
	}
	reassembly_end(oldest);
	*oldest = calloc(1, sizeof(**oldest));
	if (*oldest != NULL)
		**oldest = (struct reassembly){.id = id, .count = count, .began_ns = now_ns};
	return *oldest;
}

static void deliver(struct association *a, const uint8_t *data, size_t len, uint64_t now_ns)
{
	a->links->ops.message(a->links->ctx, &a->identity.node, data, len, now_ns);
}

static void complete(struct association *a, struct reassembly *r, uint64_t now_ns)
{
	size_t len = 0, at = 0;
	unsigned int i = 0;
	uint8_t *whole;

	for (i = 0; i < r->count; i++)
		len += r->len[i];
	whole = len <= CW_LINK_MESSAGE_BYTES_MAX ? malloc(len) : NULL;
	for (i = 0; whole != NULL && i < r->count; i++) {
		if (r->len[i] > 0)
			memcpy(whole + at, r->data[i], r->len[i]);
		at += r->len[i];
	}
	for (i = 0; i < REASSEMBLIES_MAX; i++)
		if (a->parts[i] == r)
			reassembly_end(&a->parts[i]);
	if (whole != NULL)
		deliver(a, whole, len, now_ns);
	free(whole);
}

void message_piece(struct association *a, const Causeway__Link__Piece *piece, uint64_t now_ns)
{
	struct reassembly *r;

	if (piece->count == 0 || piece->count > PIECES_MAX || piece->index >= piece->count ||
	    piece->data.len == 0)
		return;
	if (piece->count == 1) {
		deliver(a, piece->data.data, piece->data.len, now_ns);
		return;
	}
	r = reassembly_for(a, piece->id, piece->count, now_ns);
	if (r == NULL || r->data[piece->index] != NULL)
		return;
	r->data[piece->index] = malloc(piece->data.len);
	if (r->data[piece->index] == NULL)
		return;
	memcpy(r->data[piece->index], piece->data.data, piece->data.len);
	r->len[piece->index] = piece->data.len;
	if (++r->have == r->count || a->links->config.mutate == CW_LINK_MUT_PIECES)
		complete(a, r, now_ns);
}

void message_timer(struct association *a, uint64_t now_ns)
{
	for (unsigned int i = 0; i < REASSEMBLIES_MAX; i++)
		if (a->parts[i] != NULL && now_ns - a->parts[i]->began_ns >= REASSEMBLY_NS)
			reassembly_end(&a->parts[i]);
}

void message_free(struct association *a)
{
	for (unsigned int i = 0; i < REASSEMBLIES_MAX; i++)
		reassembly_end(&a->parts[i]);
}
