/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CA's key at rest: PKCS#8 under AES-256 with a key that scrypt (RFC 7914) makes of the
 * passphrase. N = 2^14, r = 8, p = 5: 16 MB and about 0.3 s a guess, within libcrypto's own memory
 * limit, so that plain `openssl pkey` opens the file too.
 *
 * The passphrase comes from a descriptor, a file or the terminal. It refuses none and short ones.
 */
#include "pki.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>

#include "ctl.h"

#define SCRYPT_N	     (1u << 14)
#define SCRYPT_R	     8
#define SCRYPT_P	     5
#define SALT_BYTES	     16
#define PASSPHRASE_BYTES_MIN 8

/* One line, without its end. */
static int read_line(int fd, struct pki_passphrase *out, const char *from)
{
	out->len = 0;
	while (out->len < sizeof(out->text)) {
		ssize_t n = read(fd, out->text + out->len, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pki_complain(CTL_FAILURE, "passphrase from %s: %s", from,
					    strerror(errno));
		if (n == 0 || out->text[out->len] == '\n')
			return CTL_OK;
		out->len++;
	}
	return pki_complain(CTL_USAGE, "passphrase from %s: longer than %d characters", from,
			    PKI_PASSPHRASE_MAX - 1);
}

static int ask(struct pki_passphrase *out, int tty, const char *prompt)
{
	struct termios before, quiet;
	int rc;

	if (tcgetattr(tty, &before) < 0)
		return pki_complain(CTL_FAILURE, "terminal: %s", strerror(errno));
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	dprintf(tty, "%s: ", prompt);
	tcsetattr(tty, TCSAFLUSH, &quiet);
	rc = read_line(tty, out, "the terminal");
	tcsetattr(tty, TCSAFLUSH, &before);
	dprintf(tty, "\n");
	return rc;
}

static int ask_on_terminal(struct pki_passphrase *out, const char *prompt, bool twice)
{
	struct pki_passphrase again = {.len = 0};
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (tty < 0)
		return pki_complain(
			CTL_USAGE,
			"no passphrase: --passphrase-fd N, --passphrase-file FILE, or a terminal to ask on");
	rc = ask(out, tty, prompt);
	if (rc == CTL_OK && twice) {
		rc = ask(&again, tty, "once more");
		if (rc == CTL_OK &&
		    (again.len != out->len || memcmp(again.text, out->text, out->len) != 0))
			rc = pki_complain(CTL_FAILURE, "the two are not the same");
	}
	OPENSSL_cleanse(&again, sizeof(again));
	close(tty);
	return rc;
}

int pki_passphrase_get(struct pki_passphrase *out, const char *fd_text, const char *file,
		       const char *prompt, bool twice)
{
	char *end = NULL;
	long number;
	int fd, rc;

	if (fd_text != NULL) {
		number = strtol(fd_text, &end, 10);
		if (*fd_text == '\0' || *end != '\0' || number < 0 || number > 1 << 20)
			return pki_complain(CTL_USAGE, "--passphrase-fd %s: expected a number",
					    fd_text);
		rc = read_line((int)number, out, "the descriptor");
	} else if (file != NULL) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return pki_complain(CTL_FAILURE, "%s: %s", file, strerror(errno));
		rc = read_line(fd, out, file);
		close(fd);
	} else {
		rc = ask_on_terminal(out, prompt, twice);
	}
	if (rc == CTL_OK && twice && out->len < PASSPHRASE_BYTES_MIN)
		rc = pki_complain(CTL_USAGE, "passphrase: at least %d characters",
				  PASSPHRASE_BYTES_MIN);
	if (rc != CTL_OK)
		OPENSSL_cleanse(out, sizeof(*out));
	return rc;
}

bool pki_write_encrypted(FILE *f, EVP_PKEY *key, const struct pki_passphrase *passphrase)
{
	unsigned char salt[SALT_BYTES];
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	X509_ALGOR *pbe = NULL;
	X509_SIG *sealed = NULL;
	bool ok = false;

	if (info != NULL && RAND_bytes(salt, sizeof(salt)) == 1)
		pbe = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof(salt), NULL, SCRYPT_N,
					    SCRYPT_R, SCRYPT_P);
	if (pbe != NULL)
		sealed = PKCS8_set0_pbe(passphrase->text, (int)passphrase->len, info, pbe);
	if (sealed != NULL)
		ok = PEM_write_PKCS8(f, sealed) == 1;
	else
		X509_ALGOR_free(pbe);
	X509_SIG_free(sealed);
	PKCS8_PRIV_KEY_INFO_free(info);
	return ok;
}

struct asking {
	const struct pki_arguments *a;
	int rc;
	bool asked;
};

static int on_encrypted(char *out, int size, int writing, void *arg)
{
	struct asking *asking = arg;
	struct pki_passphrase p = {0};
	int len;

	(void)writing;
	asking->asked = true;
	asking->rc = pki_passphrase_get(&p, asking->a->passphrase_fd, asking->a->passphrase_file,
					"passphrase of the CA's key", false);
	if (asking->rc != CTL_OK)
		return -1;
	len = (int)p.len < size ? (int)p.len : size;
	memcpy(out, p.text, (size_t)len);
	OPENSSL_cleanse(&p, sizeof(p));
	return len;
}

int pki_read_secret(const char *path, const struct pki_arguments *a, EVP_PKEY **out)
{
	struct asking asking = {.a = a, .rc = CTL_OK};
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return pki_complain(CTL_FAILURE, "%s: %s%s", path, strerror(errno),
				    errno == ENOENT ? " (pki init first)" : "");
	*out = PEM_read_PrivateKey(f, NULL, on_encrypted, &asking);
	fclose(f);
	ERR_clear_error();
	if (*out != NULL)
		return CTL_OK;
	if (asking.rc != CTL_OK)
		return asking.rc;
	return pki_complain(CTL_FAILURE, "%s: %s", path,
			    asking.asked ? "wrong passphrase" : "no private key (PEM) in it");
}
