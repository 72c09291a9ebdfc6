/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONTROL_LOG_H
#define CW_CONTROL_LOG_H

/** @file Types of log records that are not the DHT's (cw_dht.h: 1 to 63). */
#define CW_CONTROL_LOG_LEASE 64u

#endif /* CW_CONTROL_LOG_H */
