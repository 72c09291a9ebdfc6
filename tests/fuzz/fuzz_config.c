/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration reader: any text gives a configuration or one line of error. */
#include <stdlib.h>
#include <string.h>

#include <cw_gateway_config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
