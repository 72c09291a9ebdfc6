/* SPDX-License-Identifier: BSD-3-Clause */
/* Words for the store's results and verbs. */
#include "cw_store.h"

const char *cw_store_result_name(enum cw_store_result result)
{
	static const char *const names[CW_STORE_RESULT_COUNT] = {
		[CW_STORE_OK] = "ok",
		[CW_STORE_BUSY] = "busy",
		[CW_STORE_LOST] = "lost",
		[CW_STORE_OTHER] = "other",
		[CW_STORE_POOL] = "pool",
		[CW_STORE_ASK] = "ask",
		[CW_STORE_FULL] = "full",
		[CW_STORE_CONFLICT] = "conflict",
		[CW_STORE_STALE] = "stale",
		[CW_STORE_NOT_FOUND] = "not-found",
		[CW_STORE_EXISTS] = "exists",
		[CW_STORE_DENIED] = "denied",
		[CW_STORE_TOO_LARGE] = "too-large",
		[CW_STORE_TIMEOUT] = "timeout",
		[CW_STORE_LAPSED] = "lapsed",
		[CW_STORE_NOT_OWNER] = "not-owner",
		[CW_STORE_ALIVE] = "alive",
	};

	return (unsigned int)result < CW_STORE_RESULT_COUNT ? names[result] : "?";
}

const char *cw_store_verb_name(enum cw_store_verb verb)
{
	static const char *const names[CW_STORE_VERB_COUNT] = {
		[CW_STORE_SESSION_OPEN] = "session-open",
		[CW_STORE_SESSION_RENEW] = "session-renew",
		[CW_STORE_SESSION_CLOSE] = "session-close",
		[CW_STORE_LOOK] = "look",
		[CW_STORE_MAP_GET] = "map-get",
		[CW_STORE_CLAIM] = "claim",
		[CW_STORE_EDIT] = "edit",
		[CW_STORE_SIGN_OFF] = "sign-off",
		[CW_STORE_CLIENTS_GET] = "clients-get",
		[CW_STORE_CLIENT_PUT] = "client-put",
		[CW_STORE_NS_GET] = "namespace-get",
		[CW_STORE_NS_PUT] = "namespace-put",
		[CW_STORE_MAP_WATCH] = "map-watch",
		[CW_STORE_MAP_UNWATCH] = "map-unwatch",
		[CW_STORE_NAME_GET] = "name-get",
		[CW_STORE_NAME_CREATE] = "name-create",
		[CW_STORE_NAME_RELEASE] = "name-release",
		[CW_STORE_REG_GET] = "register-get",
		[CW_STORE_REG_CREATE] = "register-create",
		[CW_STORE_REG_RENEW] = "register-renew",
		[CW_STORE_REG_RELEASE] = "register-release",
		[CW_STORE_REG_CAS] = "register-cas",
		[CW_STORE_REG_TAKEOVER] = "register-takeover",
		[CW_STORE_REG_KILL] = "register-kill",
	};

	return (unsigned int)verb < CW_STORE_VERB_COUNT ? names[verb] : "?";
}
