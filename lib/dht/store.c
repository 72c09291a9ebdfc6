/* SPDX-License-Identifier: BSD-3-Clause */
/* Words for the store's results. */
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
