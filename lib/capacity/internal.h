/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CAPACITY_INTERNAL_H
#define CW_CAPACITY_INTERNAL_H

#include "cw_capacity.h"

/** y = a + b x by least squares of the relative error of y > 0, a and b at least 0.
 * @return 0, -EINVAL: not two x that differ. */
CW_MUST_USE int fit_line(const double *x, const double *y, size_t n, double *a, double *b);

/** Points of one fit. */
#define FIT_MAX 64u

#endif /* CW_CAPACITY_INTERNAL_H */
