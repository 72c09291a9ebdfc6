/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl: the operator's tool. A table of commands; words may be shortened as long as they are
 * unique. Everything that is shown can be had as JSON; exit codes: 0 ok, 1 failure, 2 usage, 3
 * degraded, 4 daemon unreachable.
 */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/causeway/control.sock"
#define PAGE_ROWS      1000

const char *const ctl_tables[] = {
	"hosts", "leases", "names",   "routes",	     "peers", "foreign-dhcp",	"conflicts",
	"dht",	 "drops",  "workers", "revocations", "site",  "dht-operations", NULL};

static void usage(FILE *to)
{
	fputs("usage: causewayctl [-s SOCKET] [--json] COMMAND\n"
	      "  status                                  how this gateway stands (exit 3: degraded)\n"
	      "  show hosts|leases|names|routes|peers|site|foreign-dhcp|conflicts|dht|dht-operations|drops|workers|revocations\n"
	      "  explain SRC DST [tcp|udp PORT|icmp]     what would happen to a packet, and why (exit 3: dropped)\n"
	      "  netcheck                                what NAT or filter is before this gateway (exit 3: no UDP comes back)\n"
	      "  ping NODE|IP [--count N] [--until-direct]   how long to another gateway, on what path (exit 1: no answer)\n"
	      "  overlay map [--dot | --svg] [--nodes N] the ring of gateways and its links\n"
	      "  namespace create NAME --subnet A.B.C.D/LEN [--mac-base N] [OPTIONS]\n"
	      "            [--voters NODE[,NODE,NODE]]   found the network if there is none\n"
	      "  namespace set OPTIONS                   change the record, on all gateways\n"
	      "            --lease S, --longest-lease S, --mtu N, --reserve A[-B]..., --host MAC=A...\n"
	      "            --domain D, --upstream A..., --names numbered|refused|off\n"
	      "            --router A, --route PREFIX,ROUTER..., --option [CLASS/]CODE=TYPE:VALUE...\n"
	      "            --class NAME=vendor|user:TEXT..., --boot-file [CLASS/]F, --next-server [CLASS/]A\n"
	      "            --group NAME=MEMBER,..., --rule \"allow|deny PROTO [PORTS] from GROUP to GROUP\"...,\n"
	      "            --default allow|deny            who may talk to whom (docs/policy.md)\n"
	      "            --rapid-commit on|off, --authoritative on|off, --static off|reserved|any; \"none\" empties a list\n"
	      "  namespace list                          what this gateway serves\n"
	      "  lease release ADDRESS | reserve MAC [ADDRESS] | unreserve MAC\n"
	      "  dht status                              how the DHT stands here (exit 3: claims nothing)\n"
	      "  dht recover --lose-what-others-had      slots whose other members are gone for good become ours\n"
	      "  dht get ADDRESS|namespace:NAME|name:HOST [--trace]   one register, as it is now\n"
	      "  drain [--wait SECONDS] | undrain        hand slots and seats over before this gateway is stopped for good (exit 3: some are left)\n"
	      "  capacity [OPTIONS]                      what a gateway on this machine carries, how many a site needs (capacity --help; exit 3: does not fit)\n"
	      "  namespace show                          the namespace record\n"
	      "  reload                                  read the configuration again\n"
	      "  exporter [--listen ADDRESS:PORT] [--user USER [--group GROUP]]   metrics for Prometheus, by HTTP (127.0.0.1:9845)\n"
	      "  pki VERB ...                            CA and node certificates (pki --help)\n"
	      "  revoke FILE                             spread a revocation (pki revoke)\n"
	      "  support                                 all of the above as one JSON document, for whoever helps; no secrets in it\n"
	      "  version\n"
	      "SOCKET: " DEFAULT_SOCKET ", or $CAUSEWAY_SOCKET\n"
	      "exit: 0 ok, 1 failure, 2 usage, 3 degraded, 4 daemon unreachable\n",
	      to);
}

/* The word that this is, or a unique beginning of. */
static const char *match(const char *word, const char *const *words)
{
	const char *found = NULL;

	for (; *words != NULL; words++) {
		if (strcmp(*words, word) == 0)
			return *words;
		if (strncmp(*words, word, strlen(word)) == 0) {
			if (found != NULL)
				return NULL;
			found = *words;
		}
	}
	return found;
}

int ctl_rows(struct ctl *ctl, const char *what, json_t **rows, json_t **columns)
{
	json_t *cursor = NULL;
	char cmd[32];
	int rc;

	snprintf(cmd, sizeof(cmd), "show %s", what);
	*rows = json_array();
	*columns = NULL;
	do {
		json_t *reply = NULL;
		json_t *request = json_pack("{s:s, s:i}", "cmd", cmd, "limit", PAGE_ROWS);

		if (cursor != NULL)
			json_object_set(request, "cursor", cursor);
		rc = ctl_ask(ctl, request, &reply);
		if (rc != CTL_OK) {
			json_decref(*rows);
			json_decref(*columns);
			json_decref(cursor);
			return rc;
		}
		json_array_extend(*rows, json_object_get(reply, "rows"));
		json_decref(*columns);
		*columns = json_incref(json_object_get(reply, "columns"));
		json_decref(cursor);
		cursor = json_incref(json_object_get(reply, "next"));
		json_decref(reply);
	} while (json_is_string(cursor));
	json_decref(cursor);
	return CTL_OK;
}

int ctl_show(struct ctl *ctl, const char *what)
{
	json_t *rows, *columns;
	int rc = ctl_rows(ctl, what, &rows, &columns);

	if (rc != CTL_OK)
		return rc;
	if (ctl->json) {
		json_dumpf(rows, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		ctl_print_table(columns, rows);
	}
	json_decref(rows);
	json_decref(columns);
	return CTL_OK;
}

static int show(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc == 1 ? match(argv[0], ctl_tables) : NULL;

	if (what == NULL) {
		fputs("causewayctl: show hosts, leases, names, routes, peers, site, foreign-dhcp, conflicts, dht, dht-operations, drops, workers or revocations\n",
		      stderr);
		return CTL_USAGE;
	}
	return ctl_show(ctl, what);
}

/* A command without arguments. */
static int plain(struct ctl *ctl, int argc, const char *cmd)
{
	return argc == 0 ? ctl_ask_and_print(ctl, json_pack("{s:s}", "cmd", cmd)) : CTL_USAGE;
}

static int status(struct ctl *ctl, int argc, char **argv)
{
	(void)argv;
	return plain(ctl, argc, "status");
}

static int reload(struct ctl *ctl, int argc, char **argv)
{
	(void)argv;
	return plain(ctl, argc, "reload");
}

static int netcheck(struct ctl *ctl, int argc, char **argv)
{
	(void)argv;
	return plain(ctl, argc, "netcheck");
}

static int version(struct ctl *ctl, int argc, char **argv)
{
	(void)argv;
	if (argc != 0)
		return CTL_USAGE;
	puts(ctl->json ? "{\"version\": \"0.1.0\"}" : "causewayctl 0.1.0");
	return CTL_OK;
}

static int pki(struct ctl *ctl, int argc, char **argv)
{
	return ctl_pki(ctl->json, argc, argv);
}

static const struct command {
	const char *name;
	int (*run)(struct ctl *ctl, int argc, char **argv);
} commands[] = {
	{"status", status},
	{"show", show},
	{"namespace", ctl_namespace},
	{"capacity", ctl_capacity},
	{"dht", ctl_dht},
	{"drain", ctl_drain},
	{"undrain", ctl_undrain},
	{"explain", ctl_explain},
	{"exporter", ctl_exporter},
	{"lease", ctl_lease},
	{"reload", reload},
	{"netcheck", netcheck},
	{"ping", ctl_ping},
	{"overlay", ctl_overlay},
	{"pki", pki},
	{"support", ctl_support},
	{"revoke", ctl_revoke},
	{"version", version},
};

static const struct command *find(const char *word)
{
	const struct command *found = NULL;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, word) == 0)
			return &commands[i];
		if (strncmp(commands[i].name, word, strlen(word)) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = &commands[i];
	}
	return found;
}

int main(int argc, char **argv)
{
	const char *env = getenv("CAUSEWAY_SOCKET");
	struct ctl ctl = {.socket = env != NULL ? env : DEFAULT_SOCKET, .fd = -1};
	const struct command *command = NULL;
	int at = 1, kept = 0, rc = CTL_USAGE;

	/* --json and -s may stand anywhere before a "--". */
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ctl.json = true;
		else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			ctl.socket = argv[++i];
		else
			argv[++kept] = argv[i];
	}
	argc = kept + 1;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return CTL_OK;
	}
	if (argc > 1)
		command = find(argv[at++]);
	if (command != NULL) {
		rc = command->run(&ctl, argc - at, argv + at);
	} else {
		if (argc > 1)
			fprintf(stderr, "causewayctl: %s: no such command, or several begin so\n",
				argv[1]);
		usage(stderr);
	}
	ctl_close(&ctl);
	return rc;
}
