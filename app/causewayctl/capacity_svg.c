/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latency against load as a picture: measured points (p50, p99), the fitted curve, the knee, the
 * load without loss, the bound if one was asked for. Latency on a logarithmic axis.
 */
#include "capacity.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define WIDTH  760.0
#define HEIGHT 420.0
#define LEFT   70.0
#define RIGHT  20.0
#define TOP    40.0
#define BOTTOM 50.0
/* Where the load's axis ends. */
#define LOAD_MAX 1.05
#define STEPS	 200

struct axes {
	double low, high; /* of latency: powers of ten */
};

static double x_of(double load)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * load / LOAD_MAX;
}

static double y_of(const struct axes *a, double us)
{
	double share = (log10(us) - log10(a->low)) / (log10(a->high) - log10(a->low));

	if (share < 0)
		share = 0;
	if (share > 1)
		share = 1;
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

static struct axes axes_of(const json_t *points, double bound)
{
	struct axes a = {INFINITY, bound};
	const json_t *row;
	size_t i;

	json_array_foreach(points, i, row)
	{
		double p50 = capacity_number(row, "p50_us"), p99 = capacity_number(row, "p99_us");

		if (p50 > 0 && p50 < a.low)
			a.low = p50;
		if (p99 > a.high)
			a.high = p99;
	}
	a.low = isfinite(a.low) ? pow(10, floor(log10(a.low))) : 1;
	a.high = a.high > a.low ? pow(10, ceil(log10(a.high))) : a.low * 10;
	if (a.high <= a.low)
		a.high = a.low * 10;
	return a;
}

static void draw_axes(FILE *f, const struct axes *a)
{
	for (double us = a->low; us <= a->high * 1.001; us *= 10)
		fprintf(f,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g us</text>\n",
			LEFT, y_of(a, us), WIDTH - RIGHT, y_of(a, us), LEFT - 6, y_of(a, us) + 4,
			us);
	for (int i = 0; i <= 10; i++)
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.1f</text>\n",
			x_of(i / 10.0), HEIGHT - BOTTOM + 18, i / 10.0);
	fprintf(f,
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">load (share of the saturated rate)</text>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12);
}

static void draw_points(FILE *f, const struct axes *a, const json_t *points, const char *key,
			const char *colour)
{
	const json_t *row;
	size_t i;

	json_array_foreach(points, i, row)
	{
		double us = capacity_number(row, key);
		bool lost = capacity_number(row, "lost") > 0;

		/* Hollow where frames were lost: latency is then how long the ring is. */
		if (us > 0)
			fprintf(f,
				"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" stroke=\"%s\"/>\n",
				x_of(capacity_number(row, "load")), y_of(a, us),
				lost ? "white" : colour, colour);
	}
}

static void draw_curve(FILE *f, const struct axes *a, const struct cw_curve *curve)
{
	fputs("<polyline fill=\"none\" stroke=\"#d98324\" stroke-width=\"1.5\" points=\"", f);
	for (int i = 0; i < STEPS; i++) {
		double load = (double)i / STEPS;

		fprintf(f, "%.1f,%.1f ", x_of(load), y_of(a, cw_curve_latency(curve, load)));
	}
	fputs("\"/>\n", f);
}

static void draw_mark(FILE *f, double load, double y, const char *colour, const char *text)
{
	fprintf(f,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-dasharray=\"4 3\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"%s\">%s %.2f</text>\n",
		x_of(load), TOP, x_of(load), HEIGHT - BOTTOM, colour, x_of(load) - 4, y, colour,
		text, load);
}

static void draw(FILE *f, const struct capacity *c, const json_t *curve)
{
	const json_t *points = json_object_get(curve, "points");
	const json_t *model = json_object_get(c->doc, "model");
	struct cw_curve fit = {capacity_number(curve, "base_us"),
			       capacity_number(curve, "wait_us")};
	struct axes a = axes_of(points, c->latency_us);

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	fprintf(f,
		"<text x=\"%.1f\" y=\"20\">Latency against load, IMIX, %u worker(s): <tspan fill=\"#1b6ca8\">p50</tspan>, <tspan fill=\"#b03a2e\">p99</tspan>, <tspan fill=\"#d98324\">model of p99</tspan></text>\n",
		LEFT, c->workers);
	draw_axes(f, &a);
	if (model != NULL) {
		draw_curve(f, &a, &fit);
		draw_mark(f, capacity_number(curve, "knee"), TOP + 12, "#3c8d40", "knee");
		draw_mark(f, capacity_number(model, "zero_loss_share"), TOP + 28, "#7a7a7a",
			  "no loss up to");
	}
	if (c->latency_us > 0)
		fprintf(f,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#b03a2e\" stroke-dasharray=\"2 3\"/>\n",
			LEFT, y_of(&a, c->latency_us), WIDTH - RIGHT, y_of(&a, c->latency_us));
	draw_points(f, &a, points, "p50_us", "#1b6ca8");
	draw_points(f, &a, points, "p99_us", "#b03a2e");
	fputs("</svg>\n", f);
}

int capacity_svg(const struct capacity *c)
{
	const json_t *curve = json_object_get(c->doc, "curve");
	FILE *f;
	int rc;

	if (json_array_size(json_object_get(curve, "points")) == 0) {
		fputs("causewayctl: --svg: the curve was not measured\n", stderr);
		return CTL_FAILURE;
	}
	f = fopen(c->svg, "we");
	if (f == NULL) {
		fprintf(stderr, "causewayctl: %s: %s\n", c->svg, strerror(errno));
		return CTL_FAILURE;
	}
	draw(f, c, curve);
	rc = ferror(f);
	if (fclose(f) != 0 || rc != 0) {
		fprintf(stderr, "causewayctl: %s: cannot be written\n", c->svg);
		return CTL_FAILURE;
	}
	return CTL_OK;
}
