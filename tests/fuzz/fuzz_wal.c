/* SPDX-License-Identifier: BSD-3-Clause */
/* The write-ahead log's records: decoding never reads past the end, and what was encoded decodes.
 */
#include <string.h>

#include <cw_wal.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[CW_WAL_HEADER_BYTES + 256], type;
	const uint8_t *payload;
	size_t at = 0, len;
	uint64_t lsn;

	while (cw_wal_decode(data + at, size - at, &type, &lsn, &payload, &len) == CW_WAL_RECORD)
		at += CW_WAL_HEADER_BYTES + len;
	(void)cw_wal_any_good(data, size);
	if (size > 256)
		size = 256;
	cw_wal_encode(record, 3, 9, data, size);
	memcpy(record + CW_WAL_HEADER_BYTES, data, size);
	CW_ASSERT(cw_wal_decode(record, CW_WAL_HEADER_BYTES + size, &type, &lsn, &payload, &len) ==
			  CW_WAL_RECORD &&
		  type == 3 && lsn == 9 && len == size);
	return 0;
}
