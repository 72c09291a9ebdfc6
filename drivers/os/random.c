/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random bytes from the kernel. It cannot fail once the pool is seeded; before that it waits, as a
 * daemon at boot should.
 */
#include "cw_os.h"

#include <errno.h>
#include <sys/random.h>

static void fill(void *ctx, void *buf, size_t len)
{
	uint8_t *at = buf;

	(void)ctx;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		CW_ASSERT(n > 0 || errno == EINTR);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

const struct cw_random_ops cw_os_random = {.fill = fill};
