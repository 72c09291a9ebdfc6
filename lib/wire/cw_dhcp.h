/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHCP_H
#define CW_DHCP_H

/**
 * @file
 * BOOTP/DHCP messages (RFC 2131, 2132; long options RFC 3396, option overload, relay agents RFC
 * 3046). [any]
 *
 * The parser gives views into the message: pointers are valid as long as the bytes. The writer
 * appends options with bounds, into `file` and `sname` when the options field is full; one that
 * does not fit is left out and remembered, never half written.
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_DHCP_SERVER_PORT 67
#define CW_DHCP_CLIENT_PORT 68
#define CW_DHCP_FIXED_BYTES 236u /* up to the magic cookie */
#define CW_DHCP_MIN_BYTES   300u /* BOOTP's least length (RFC 951); some clients insist */
#define CW_DHCP_BYTES_MAX   1400u
/** Room for options that came in pieces (RFC 3396), all of a message together. */
#define CW_DHCP_LONG_BYTES 1024u

enum cw_dhcp_type {
	CW_DHCP_DISCOVER = 1,
	CW_DHCP_OFFER,
	CW_DHCP_REQUEST,
	CW_DHCP_DECLINE,
	CW_DHCP_ACK,
	CW_DHCP_NAK,
	CW_DHCP_RELEASE,
	CW_DHCP_INFORM,
};

enum cw_dhcp_option {
	CW_DHCP_OPT_PAD = 0,
	CW_DHCP_OPT_HOST_NAME = 12,
	CW_DHCP_OPT_REQUESTED_IP = 50,
	CW_DHCP_OPT_LEASE_TIME = 51,
	CW_DHCP_OPT_OVERLOAD = 52,
	CW_DHCP_OPT_TYPE = 53,
	CW_DHCP_OPT_SERVER_ID = 54,
	CW_DHCP_OPT_PARAMETERS = 55,
	CW_DHCP_OPT_MESSAGE = 56,
	CW_DHCP_OPT_MAX_SIZE = 57,
	CW_DHCP_OPT_T1 = 58,
	CW_DHCP_OPT_T2 = 59,
	CW_DHCP_OPT_VENDOR_CLASS = 60,
	CW_DHCP_OPT_CLIENT_ID = 61,
	CW_DHCP_OPT_USER_CLASS = 77,
	CW_DHCP_OPT_RAPID_COMMIT = 80,
	CW_DHCP_OPT_RELAY_INFO = 82,
	CW_DHCP_OPT_END = 255,
};

/** The fixed part, as on the wire. */
struct cw_dhcp_fixed {
	uint8_t op, htype, hlen, hops;
	rte_be32_t xid;
	rte_be16_t secs, flags;
	rte_be32_t ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
	rte_be32_t cookie;
} CW_PACKED;

_Static_assert(sizeof(struct cw_dhcp_fixed) == CW_DHCP_FIXED_BYTES + 4, "RFC 2131 figure 1");

#define CW_DHCP_BROADCAST 0x8000
#define CW_DHCP_COOKIE	  UINT32_C(0x63825363)

/** An option's content; data NULL: absent. */
struct cw_dhcp_view {
	const uint8_t *data;
	uint16_t len;
};

struct cw_dhcp_message {
	uint8_t op, htype, hlen;
	uint8_t type; /* enum cw_dhcp_type; 0: plain BOOTP */
	bool broadcast;
	bool rapid_commit;
	rte_be32_t xid;
	rte_be32_t cookie; /* echoed: the standard's, or the one that was asked for */
	uint16_t secs;
	rte_be16_t flags; /* as received: echoed */
	rte_be32_t ciaddr, giaddr;
	struct cw_mac chaddr; /* first 6 bytes; meaningful if hlen is 6 */
	uint8_t chaddr_raw[16];
	rte_be32_t requested_ip, server_id; /* 0: absent */
	uint32_t lease_s;		    /* 0: absent */
	uint16_t max_bytes;		    /* option 57; 0: absent */
	struct cw_dhcp_view client_id, host_name, parameters, vendor_class, user_class, relay_info;
};

/** Where options that came in pieces are put together; views may point into it. */
struct cw_dhcp_pieces {
	uint16_t used;
	uint8_t bytes[CW_DHCP_LONG_BYTES];
};

/**
 * Parse a BOOTP message (UDP payload).
 * @param pieces for options in several pieces; must live as long as the views
 * @return NONE or DHCP_MALFORMED. Options that are too short for their meaning are malformed;
 * unknown ones are skipped.
 */
enum cw_drop cw_dhcp_parse(const uint8_t *data, size_t len, struct cw_dhcp_message *out,
			   struct cw_dhcp_pieces *pieces);
/** The same with another magic cookie, as on the wire; 0: the standard's. */
enum cw_drop cw_dhcp_parse_cookie(const uint8_t *data, size_t len, rte_be32_t cookie,
				  struct cw_dhcp_message *out, struct cw_dhcp_pieces *pieces);

/** Is this code in the parameter request list? Without a list everything is wanted. */
bool cw_dhcp_wants(const struct cw_dhcp_message *m, uint8_t code);

/** Where an option stands: the options field, then `file`, then `sname` (RFC 2131 section 4.1). */
enum cw_dhcp_area { CW_DHCP_IN_OPTIONS, CW_DHCP_IN_FILE, CW_DHCP_IN_SNAME, CW_DHCP_AREAS };

/** Appends options to a message; what the options field does not hold goes on in `file` and
 * `sname`, unless these have contents of their own. */
struct cw_dhcp_writer {
	uint8_t *data;
	size_t len, size; /* written; room */
	bool full;	  /* something did not fit */
	enum cw_dhcp_area area;
	uint8_t overload; /* option 52: 1 file, 2 sname, 3 both */
	uint8_t taken;	  /* the same bits: has contents of its own */
	uint8_t file_len, sname_len;
};

/** Begin a reply to @p to: fixed part, cookie, message type. @p size at least CW_DHCP_MIN_BYTES. */
void cw_dhcp_reply_begin(struct cw_dhcp_writer *w, uint8_t *data, size_t size,
			 const struct cw_dhcp_message *to, enum cw_dhcp_type type,
			 rte_be32_t yiaddr);
/** siaddr, `file` and `sname` of whoever boots from the net (RFC 2131 section 2); before any
 * option. Texts may be "". */
void cw_dhcp_put_boot(struct cw_dhcp_writer *w, rte_be32_t next_server, const char *file,
		      const char *server_name);
/** Longer than 255 octets: in pieces (RFC 3396). All or nothing. */
void cw_dhcp_put(struct cw_dhcp_writer *w, uint8_t code, const void *data, size_t len);
void cw_dhcp_put_u32(struct cw_dhcp_writer *w, uint8_t code, uint32_t value);
/** Options ready as code, length, content; those the client did not ask for are left out, and those
 * whose code is among @p instead (same form, may be NULL). */
void cw_dhcp_put_ready(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to,
		       const uint8_t *options, size_t len, const uint8_t *instead,
		       size_t instead_len);
/** Relay information echoed last (RFC 3046 section 2.2), end, padding to 300 bytes. @return length,
 * 0 if it did not fit. */
size_t cw_dhcp_reply_end(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to);

#endif /* CW_DHCP_H */
