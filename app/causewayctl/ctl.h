/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CTL_H
#define CW_CTL_H

/* What the files of causewayctl share. */
#include <stdbool.h>

#include <jansson.h>

/* Exit codes, the same for every command. */
enum {
	CTL_OK = 0,
	CTL_FAILURE = 1,
	CTL_USAGE = 2,
	CTL_DEGRADED = 3,
	CTL_UNREACHABLE = 4,
};

struct ctl {
	const char *socket;
	bool json;
	bool quiet;		/* no messages: the caller says itself what is wrong */
	unsigned int timeout_s; /* how long an answer may take; 0 for ever */
	int fd;
};

/* One request, one answer line. @return CTL_OK with *reply, or the exit code after a message on
 * stderr. */
int ctl_ask(struct ctl *ctl, json_t *request, json_t **reply);
/* The same, its answer printed. @return also CTL_DEGRADED, where the answer says so. */
int ctl_ask_and_print(struct ctl *ctl, json_t *request);
/* The same without a message when the daemon refuses; it may be asked again. */
int ctl_try(struct ctl *ctl, json_t *request, json_t **reply);
/* May be opened again by the next question. */
void ctl_close(struct ctl *ctl);
/* Names of the daemon's tables; NULL behind the last. */
extern const char *const ctl_tables[];
/* A table of the daemon's, all its pages: new arrays of its rows and of its columns' names. */
int ctl_rows(struct ctl *ctl, const char *what, json_t **rows, json_t **columns);
/* The same on stdout. */
int ctl_show(struct ctl *ctl, const char *what);

/* Rows under an upper-case header, columns aligned. */
void ctl_print_table(const json_t *columns, const json_t *rows);
/* An object as "key: value" lines, nested ones indented. */
void ctl_print_object(const json_t *object, unsigned int indent);

int ctl_capacity(struct ctl *ctl, int argc, char **argv);
int ctl_dht(struct ctl *ctl, int argc, char **argv);
int ctl_drain(struct ctl *ctl, int argc, char **argv);
int ctl_undrain(struct ctl *ctl, int argc, char **argv);
int ctl_explain(struct ctl *ctl, int argc, char **argv);
int ctl_exporter(struct ctl *ctl, int argc, char **argv);
int ctl_lease(struct ctl *ctl, int argc, char **argv);
int ctl_namespace(struct ctl *ctl, int argc, char **argv);
int ctl_overlay(struct ctl *ctl, int argc, char **argv);
int ctl_ping(struct ctl *ctl, int argc, char **argv);
int ctl_pki(bool json, int argc, char **argv);
int ctl_support(struct ctl *ctl, int argc, char **argv);
int ctl_revoke(struct ctl *ctl, int argc, char **argv);

#endif /* CW_CTL_H */
