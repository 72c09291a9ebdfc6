/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration reader: any text gives a configuration or one line of error. */
#include <stdlib.h>
#include <string.h>

#include <cw_gateway_config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig's scanner forgets its string buffer when the text is malformed; a daemon reads a
 * handful of those in its life. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_gateway_config c;
	char err[256] = "", *text = malloc(size + 1);

	CW_ASSERT(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	/* @include would read files of this machine. */
	if (strstr(text, "@include") == NULL &&
	    cw_gateway_config_read(text, "f", "/nonexistent", &c, err, sizeof(err)) < 0)
		CW_ASSERT(err[0] != '\0');
	free(text);
	return 0;
}
