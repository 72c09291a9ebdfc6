/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who this daemon is, and whom it trusts: files read at start and again at SIGHUP.
 *
 * A reload takes a renewed certificate (of the same key) and a changed bundle of CAs; links are
 * then handshaken anew beside the standing ones, and peers that the bundle no longer carries are
 * gone at once. What cannot be read changes nothing. Revocations are kept in the state directory, a
 * record a line, written whole before the next turn of the loop.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>

/* Certificates and bundles are some kB, the set of revocations at most 17 MB as text. */
#define PEM_BYTES_MAX	      (1u << 20)
#define REVOCATIONS_BYTES_MAX (32u << 20)

static void dtls_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct daemon *d = ctx;

	if (d->control != NULL)
		cw_control_send_datagram(d->control, to, data, len);
}

static struct cw_dtls_openssl_params params_of(struct daemon *d,
					       const struct cw_gateway_config *config)
{
	return (struct cw_dtls_openssl_params){.certificate = config->node.certificate,
					       .key = config->node.key,
					       .ca = config->node.ca,
					       .send = dtls_send,
					       .send_ctx = d};
}

/* Does this identity allow what the configuration asks for? */
static int check(struct daemon *d, const struct cw_gateway_config *c, const struct cw_identity *id)
{
	if (c->ns_name[0] != '\0' && c->has_lan && !cw_identity_in_namespace(id, c->ns_name))
		return FAIL(d, "%s: does not name namespace \"%s\" (pki issue --namespace)",
			    c->node.certificate, c->ns_name);
	if (c->has_lan && !(id->roles & (CW_ROLE_GATEWAY | CW_ROLE_WORKSTATION)))
		return FAIL(
			d,
			"%s: has neither role gateway nor workstation, but a LAN port is configured",
			c->node.certificate);
	return 0;
}

static void digest_files(const struct cw_gateway_config *c, uint8_t out[32])
{
	const char *const paths[] = {c->node.certificate, c->node.ca};
	uint8_t both[64] = {0};

	for (unsigned int i = 0; i < 2; i++) {
		size_t len = 0;
		char *text = cw_os_read_file(paths[i], PEM_BYTES_MAX, &len);

		if (text != NULL)
			cw_digest_openssl.sha256(text, len, both + 32 * i);
		free(text);
	}
	cw_digest_openssl.sha256(both, sizeof(both), out);
}

/* A key that everybody can read is nobody's. What cannot be looked at is told when it is read. */
static int check_key_mode(struct daemon *d)
{
	const char *path = d->config.node.key;
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
		return FAIL(
			d,
			"node.key %s: mode %03o lets every user of this machine at it: chmod 600, and if anybody else was here, a new key",
			path, (unsigned int)st.st_mode & 0777);
	return 0;
}

int identity_open(struct daemon *d)
{
	struct cw_dtls_openssl_params params = params_of(d, &d->config);

	if (check_key_mode(d) < 0)
		return -1;

	if (cw_dtls_openssl_create(&d->dtls, &params, &d->identity, d->error, sizeof(d->error)) < 0)
		return -1;
	digest_files(&d->config, d->identity_digest);
	return check(d, &d->config, &d->identity);
}

void identity_close(struct daemon *d)
{
	cw_dtls_openssl_destroy(d->dtls);
}

bool identity_reload(struct daemon *d, const struct cw_gateway_config *config)
{
	struct cw_gateway_config next = d->config;
	struct cw_dtls_openssl_params params = params_of(d, &next);
	struct cw_dtls *trial = NULL;
	struct cw_identity id;
	uint8_t digest[32];
	int rc;

	next.node = config->node;
	memcpy(next.node.key, d->config.node.key, sizeof(next.node.key));
	digest_files(&next, digest);
	if (memcmp(digest, d->identity_digest, sizeof(digest)) == 0)
		return false;
	/* A trial first: a certificate that no longer fits the configuration must change nothing.
	 */
	rc = cw_dtls_openssl_create(&trial, &params, &id, d->error, sizeof(d->error));
	cw_dtls_openssl_destroy(trial);
	if (rc == 0)
		rc = check(d, &next, &id);
	if (rc == 0 && strcmp(id.site, d->identity.site) != 0)
		rc = FAIL(d, "%s: names another site, which takes a restart",
			  next.node.certificate);
	if (rc == 0)
		rc = cw_dtls_openssl_reload(d->dtls, &params, &id, d->error, sizeof(d->error));
	if (rc < 0) {
		cw_log(&d->log.log, CW_LOG_ERROR, "main",
		       "reload: certificate and CA stay as they were: %s", d->error);
		return true;
	}
	d->identity = id;
	memcpy(d->identity_digest, digest, sizeof(digest));
	memcpy(d->config.node.certificate, next.node.certificate, sizeof(next.node.certificate));
	memcpy(d->config.node.ca, next.node.ca, sizeof(next.node.ca));
	if (cw_control_set_identity(d->control, &id, cw_dtls_openssl_issuer_ends(d->dtls),
				    cw_os_now_ns()) == 0)
		cw_log(&d->log.log, CW_LOG_NOTICE, "main",
		       "reload: certificate and CA bundle taken over, links are renewed");
	return true;
}

/* -- revocations */

bool identity_ca_signed(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
			const uint8_t *signature, size_t signature_len)
{
	const struct daemon *d = ctx;

	return cw_dtls_openssl_ca_signed(d->dtls, ca, data, len, signature, signature_len);
}

uint64_t identity_unix_s(void *ctx)
{
	time_t t = time(NULL);

	(void)ctx;
	return t > 0 ? (uint64_t)t : 0;
}

void identity_revoked(void *ctx)
{
	struct daemon *d = ctx;

	d->revoked = true;
}

static void revocations_path(const struct daemon *d, char *out, size_t size)
{
	snprintf(out, size, "%s/revocations", d->config.node.state_dir);
}

void identity_load_revocations(struct daemon *d)
{
	char path[512], *text;
	unsigned int refused;

	revocations_path(d, path, sizeof(path));
	text = cw_os_read_file(path, REVOCATIONS_BYTES_MAX, NULL);
	refused = text != NULL ? cw_control_revocations_load(d->control, text) : 0;
	free(text);
	if (refused > 0)
		cw_log(&d->log.log, CW_LOG_NOTICE, "main",
		       "%s: %u records are over, or of a CA that is not trusted any more", path,
		       refused);
	d->revoked = false;
}

void identity_save_revocations(struct daemon *d)
{
	char path[512], *text;

	if (!d->revoked)
		return;
	d->revoked = false;
	text = cw_control_revocations_text(d->control);
	revocations_path(d, path, sizeof(path));
	if (text == NULL || cw_os_write_file(path, text, strlen(text), 0600) < 0)
		cw_log(&d->log.log, CW_LOG_ERROR, "main",
		       "%s: cannot be written; what is revoked is known until the next restart",
		       path);
	free(text);
}
