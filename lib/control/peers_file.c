/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Remembered peers: whom we knew and where, as a small JSON text that the app keeps on disk, so
 * that a gateway whose bootstrap nodes are all gone still finds the others. What is malformed in it
 * is skipped: it is a hint, not a record.
 */
#include "internal.h"

#include <errno.h>

static void add_node(void *arg, const struct cw_overlay_node *node)
{
	json_t *list = arg, *endpoints = json_array();
	char text[CW_ENDPOINT_TEXT_BYTES];

	for (unsigned int i = 0; i < node->endpoint_count; i++)
		json_array_append_new(endpoints,
				      json_string(cw_endpoint_format(&node->endpoints[i], text)));
	json_array_append_new(list, json_pack("{s:s, s:o}", "node",
					      cw_node_id_format(&node->identity.node, text),
					      "endpoints", endpoints));
}

char *cw_control_peers_json(struct cw_control *ctl)
{
	json_t *list = json_array();
	char *text;

	cw_overlay_visit(ctl->overlay, add_node, list);
	text = json_dumps(list, JSON_INDENT(1));
	json_decref(list);
	return text;
}

int cw_control_peers_load(struct cw_control *ctl, const char *text, uint64_t now_ns)
{
	json_t *list = json_loads(text, 0, NULL), *item;
	size_t i, e;

	if (!json_is_array(list)) {
		json_decref(list);
		return -EINVAL;
	}
	json_array_foreach(list, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "node"));
		struct cw_endpoint endpoints[CW_OVERLAY_ENDPOINTS_MAX];
		struct cw_node_id node;
		unsigned int count = 0;
		json_t *at;

		if (id == NULL || cw_node_id_parse(id, &node) < 0)
			continue;
		json_array_foreach(json_object_get(item, "endpoints"), e, at)
		{
			const char *endpoint = json_string_value(at);

			if (endpoint != NULL && count < CW_OVERLAY_ENDPOINTS_MAX &&
			    cw_endpoint_parse(endpoint, 0, &endpoints[count]) == 0)
				count++;
		}
		cw_overlay_remembered(ctl->overlay, &node, endpoints, count, now_ns);
	}
	json_decref(list);
	return 0;
}
