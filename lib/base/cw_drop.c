/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and texts of drop reasons, made from the one list in cw_drop.h. Holds no counters. */
#include "cw_drop.h"

static const char *const texts[] = {
#define CW_DROP_TEXT(name, text) text,
	CW_DROP_LIST(CW_DROP_TEXT)
#undef CW_DROP_TEXT
};

static const char *const names[] = {
#define CW_DROP_NAME(name, text) #name,
	CW_DROP_LIST(CW_DROP_NAME)
#undef CW_DROP_NAME
};

const char *cw_drop_name(enum cw_drop reason)
{
	return (unsigned int)reason < CW_DROP_COUNT ? names[reason] : "?";
}

const char *cw_drop_text(enum cw_drop reason)
{
	return (unsigned int)reason < CW_DROP_COUNT ? texts[reason] : "?";
}
