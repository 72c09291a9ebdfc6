/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `pki VERB`: the operator's CA and the nodes' certificates. Works on files only, needs no daemon.
 *
 * An existing key is never overwritten without --force: a new key is a new node. A passphrase comes
 * from a descriptor, a file or the terminal, never from the command line or the environment, where
 * others could read it.
 */
#include "pki.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "ctl.h"

#define DAYS_MAX (100 * 366)

int pki_complain(int code, const char *fmt, ...)
{
	va_list args;

	fputs("causewayctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

static const struct verb {
	const char *name;
	int (*run)(struct pki_arguments *a);
} verbs[] = {
	{"init", pki_init},
	{"issue", pki_issue},
	{"request", pki_make_request},
	{"sign", pki_sign},
	{"renew", pki_renew},
	{"revoke", pki_revoke},
	{"bundle", pki_bundle},
	{"passphrase", pki_change_passphrase},
	{"backup", pki_backup},
	{"restore", pki_restore},
	{"show", pki_show},
};

static const char help[] =
	"usage: causewayctl pki VERB ...\n"
	"At the CA (DIR holds it; its key is encrypted):\n"
	"  init --dir DIR [--name NAME] [--days N]\n"
	"  issue --dir DIR --name NODE WHAT [--out DIR]      key and certificate of a node\n"
	"  sign --dir DIR FILE.csr (WHAT | --as-requested) [--out DIR]\n"
	"  renew --dir DIR FILE.crt [--out DIR]              the same key and names, a new end\n"
	"  revoke --dir DIR (NODE | NODE-ID | FILE.crt) [--reason TEXT] [--out FILE]\n"
	"                                                    then: causewayctl revoke FILE\n"
	"  passphrase --dir DIR                              change it\n"
	"  backup --dir DIR --out FILE\n"
	"  restore FILE --dir DIR\n"
	"At the node (its key never leaves it):\n"
	"  request --name NODE WHAT [--out DIR]              NODE.key and NODE.csr\n"
	"Anywhere:\n"
	"  bundle --out FILE CA.crt CA.crt...                several CAs to trust\n"
	"  show FILE... [--json]\n"
	"WHAT: [--site S] [--namespace NS]... [--group G]... [--role ROLE]...\n"
	"      (ROLE: gateway, witness, relay, workstation, operator)\n"
	"      [--days N | --until YYYY-MM-DDThh:mm:ssZ]\n"
	"Passphrase of the CA's key: --passphrase-fd N, --passphrase-file FILE, or asked for.\n"
	"      init: --no-passphrase leaves the key in clear; passphrase: --new-passphrase-fd, -file\n"
	"--force overwrites.\n";

static bool add_uri(struct pki_arguments *a, const char *kind, const char *value)
{
	if (a->uri_count == PKI_URIS_MAX - 1 || !cw_identity_name_valid(value))
		return false;
	snprintf(a->uris[a->uri_count++], PKI_URI_BYTES, "causeway:%s:%s", kind, value);
	return true;
}

bool pki_names_site(const struct pki_arguments *a)
{
	for (size_t i = 0; i < a->uri_count; i++)
		if (strncmp(a->uris[i], "causeway:site:", strlen("causeway:site:")) == 0)
			return true;
	return false;
}

static bool known_role(const char *role)
{
	static const char *const roles[] = {"gateway", "witness", "relay", "workstation",
					    "operator"};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i], role) == 0)
			return true;
	return false;
}

/* Options without a value. */
static bool *flag(struct pki_arguments *a, const char *opt)
{
	const struct {
		const char *name;
		bool *at;
	} flags[] = {
		{"--force", &a->force},
		{"--no-passphrase", &a->no_passphrase},
		{"--as-requested", &a->as_requested},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].name, opt) == 0)
			return flags[i].at;
	return NULL;
}

/* Options whose value is kept as it is. */
static const char **text(struct pki_arguments *a, const char *opt)
{
	const struct {
		const char *name;
		const char **at;
	} texts[] = {
		{"--dir", &a->dir},
		{"--out", &a->out},
		{"--name", &a->name},
		{"--reason", &a->reason},
		{"--until", &a->until},
		{"--passphrase-fd", &a->passphrase_fd},
		{"--passphrase-file", &a->passphrase_file},
		{"--new-passphrase-fd", &a->new_passphrase_fd},
		{"--new-passphrase-file", &a->new_passphrase_file},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, opt) == 0)
			return texts[i].at;
	return NULL;
}

/* @return CTL_OK or CTL_USAGE after a message. */
static int take(struct pki_arguments *a, const char *opt, const char *value)
{
	char *end;

	if (text(a, opt) != NULL) {
		*text(a, opt) = value;
	} else if (strcmp(opt, "--days") == 0) {
		a->days = (int)strtol(value, &end, 10);
		if (*end != '\0' || a->days < 1 || a->days > DAYS_MAX)
			return pki_complain(CTL_USAGE, "pki: --days: 1 to %d", DAYS_MAX);
	} else if (strcmp(opt, "--role") == 0) {
		if (!known_role(value) || !add_uri(a, "role", value))
			return pki_complain(
				CTL_USAGE,
				"pki: --role %s: gateway, witness, relay, workstation or operator",
				value);
		a->has_role = true;
	} else if (strcmp(opt, "--site") == 0 || strcmp(opt, "--namespace") == 0 ||
		   strcmp(opt, "--group") == 0) {
		if (strcmp(opt, "--site") == 0 && pki_names_site(a))
			return pki_complain(CTL_USAGE, "pki: --site %s: one site per node", value);
		if (strcmp(opt, "--group") == 0 && strlen(value) >= CW_IDENTITY_GROUP_BYTES)
			return pki_complain(CTL_USAGE, "pki: --group %s: at most %u characters",
					    value, CW_IDENTITY_GROUP_BYTES - 1);
		if (!add_uri(a, opt + 2, value))
			return pki_complain(CTL_USAGE, "pki: %s %s: 1 to 63 of a-z 0-9 - . _", opt,
					    value);
	} else {
		return pki_complain(CTL_USAGE, "pki: %s: unknown option", opt);
	}
	return CTL_OK;
}

static int parse(struct pki_arguments *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *opt = argv[i];
		int rc;

		if (flag(a, opt) != NULL) {
			*flag(a, opt) = true;
			continue;
		}
		if (opt[0] != '-') {
			if (a->file_count == sizeof(a->files) / sizeof(a->files[0]))
				return pki_complain(CTL_USAGE, "pki: too many files");
			a->files[a->file_count++] = opt;
			continue;
		}
		if (i + 1 == argc)
			return pki_complain(CTL_USAGE, "pki: %s: unknown option or value missing",
					    opt);
		rc = take(a, opt, argv[++i]);
		if (rc != CTL_OK)
			return rc;
	}
	return CTL_OK;
}

int ctl_pki(bool json, int argc, char **argv)
{
	struct pki_arguments a = {.json = json};
	int rc;

	/* Keys and passphrases are in here: no core dump, no debugger of the same user. */
	prctl(PR_SET_DUMPABLE, 0);
	if (argc < 1 || strcmp(argv[0], "--help") == 0) {
		fputs(help, argc < 1 ? stderr : stdout);
		return argc < 1 ? CTL_USAGE : CTL_OK;
	}
	rc = parse(&a, argc - 1, argv + 1);
	if (rc != CTL_OK)
		return rc;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, argv[0]) == 0)
			return verbs[i].run(&a);
	return pki_complain(CTL_USAGE, "pki %s: unknown verb (pki --help)", argv[0]);
}
