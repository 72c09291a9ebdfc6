/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_KEYTAB_H
#define CW_DHT_KEYTAB_H

/* Registers by key, as replicas keep them (keytab.c). Included by internal.h. */

uint32_t key_hash(const uint8_t key[KEY_BYTES]);
uint32_t key_slot(const struct cw_dht *dht, const uint8_t key[KEY_BYTES]);
struct replica *keytab_find(const struct keytab *t, const uint8_t key[KEY_BYTES]);
/* Room for this record under its key, in place of what was there; NULL: no memory. */
struct replica *keytab_put(struct keytab *t, const struct record *r);
void keytab_remove(struct keytab *t, const uint8_t key[KEY_BYTES]);
void keytab_clear(struct keytab *t);
void keytab_move(struct keytab *from, struct keytab *to, struct replica *r);
/* Replicas whose hash is at least `from`, bucket by bucket; visit says false when it has enough:
 * then the walk ends with that bucket. @return where to go on, UINT64_MAX at the end. */
uint64_t keytab_walk(const struct keytab *t, uint64_t from,
		     bool (*visit)(void *arg, struct replica *r), void *arg);
size_t record_bytes(const struct record *r);
void record_copy(struct record *to, const struct record *from);

#endif /* CW_DHT_KEYTAB_H */
