/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON for eyes: tables with aligned columns, objects as indented lines. */
#include "ctl.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CELL_BYTES  256
#define COLUMNS_MAX 32

static void cell(const json_t *value, char *out, size_t size)
{
	switch (value == NULL ? JSON_NULL : json_typeof(value)) {
	case JSON_STRING:
		snprintf(out, size, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
		snprintf(out, size, "%lld", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(out, size, json_real_value(value) < 100 ? "%.3g" : "%.0f",
			 json_real_value(value));
		break;
	case JSON_TRUE:
		snprintf(out, size, "yes");
		break;
	case JSON_FALSE:
		snprintf(out, size, "no");
		break;
	default:
		snprintf(out, size, "-");
	}
	if (out[0] == '\0')
		snprintf(out, size, "-");
}

void ctl_print_table(const json_t *columns, const json_t *rows)
{
	size_t width[COLUMNS_MAX] = {0}, count = json_array_size(columns), i, c;
	const json_t *row;
	char text[CELL_BYTES];

	if (count > COLUMNS_MAX)
		count = COLUMNS_MAX;
	for (c = 0; c < count; c++)
		width[c] = strlen(json_string_value(json_array_get(columns, c)));
	json_array_foreach(rows, i, row)
	{
		for (c = 0; c < count; c++) {
			cell(json_object_get(row, json_string_value(json_array_get(columns, c))),
			     text, sizeof(text));
			if (strlen(text) > width[c])
				width[c] = strlen(text);
		}
	}
	for (c = 0; c < count; c++) {
		snprintf(text, sizeof(text), "%s", json_string_value(json_array_get(columns, c)));
		for (char *p = text; *p != '\0'; p++)
			*p = (char)toupper((unsigned char)*p);
		printf("%-*s%s", c + 1 < count ? (int)width[c] : 0, text,
		       c + 1 < count ? "  " : "\n");
	}
	json_array_foreach(rows, i, row)
	{
		for (c = 0; c < count; c++) {
			cell(json_object_get(row, json_string_value(json_array_get(columns, c))),
			     text, sizeof(text));
			printf("%-*s%s", c + 1 < count ? (int)width[c] : 0, text,
			       c + 1 < count ? "  " : "\n");
		}
	}
}

/* An object of a list, on one line. */
static void print_item(const json_t *item)
{
	const char *key, *comma = "";
	char text[CELL_BYTES];
	json_t *value;

	if (!json_is_object(item)) {
		cell(item, text, sizeof(text));
		fputs(text, stdout);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)item, key, value)
	{
		cell(value, text, sizeof(text));
		printf("%s%s %s", comma, key, text);
		comma = ", ";
	}
}

void ctl_print_object(const json_t *object, unsigned int indent)
{
	const char *key;
	json_t *value, *item;
	char text[CELL_BYTES];
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		printf("%*s%s:", (int)indent, "", key);
		if (json_is_object(value)) {
			putchar('\n');
			ctl_print_object(value, indent + 2);
		} else if (json_is_array(value)) {
			putchar('\n');
			json_array_foreach(value, i, item)
			{
				printf("%*s- ", (int)indent + 2, "");
				print_item(item);
				putchar('\n');
			}
		} else {
			cell(value, text, sizeof(text));
			printf(" %s\n", text);
		}
	}
}
