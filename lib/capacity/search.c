/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 2544 section 26.1: the first trial is at the highest rate; a rate at which a frame was lost
 * bounds the answer from above, one at which none was from below, and the next trial is half way
 * between.
 *
 * The RFC's tester owns the machine. Where others use it too a trial may lose frames for their
 * sake, never pass them for it; so a rate may be tried several times, and one trial without loss
 * proves it. What this refuses: to call a rate lossless that never was.
 */
#include "cw_capacity.h"

void cw_search_begin(struct cw_search *s, double max_pps, double resolution, unsigned int attempts)
{
	*s = (struct cw_search){.high_pps = max_pps,
				.rate_pps = max_pps,
				.step_pps = max_pps * resolution,
				.attempts = attempts > 0 ? attempts : 1};
	s->left = s->attempts;
	s->done = !(max_pps > 0) || !(s->step_pps > 0);
}

double cw_search_rate(const struct cw_search *s)
{
	return s->done ? 0 : s->rate_pps;
}

void cw_search_tell(struct cw_search *s, bool lossless)
{
	if (s->done)
		return;
	s->trials++;
	if (!lossless && --s->left > 0)
		return;
	s->left = s->attempts;
	if (lossless)
		s->low_pps = s->rate_pps;
	else
		s->high_pps = s->rate_pps;
	s->done = s->high_pps - s->low_pps <= s->step_pps;
	s->rate_pps = (s->low_pps + s->high_pps) / 2;
}

double cw_search_found(const struct cw_search *s)
{
	return s->low_pps;
}
