/* Calls to AWS: sign, send, read the answer; and the function table that tests replace. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_CLIENT_H
#define SF_AWS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/endpoints.h"
#include "common/aws/http.h"
#include "common/aws/xml.h"
#include "common/base/error.h"
#include "common/base/json.h"

enum aws_op {
	AWS_OP_RUN_TASK,
	AWS_OP_DESCRIBE_TASKS,
	AWS_OP_STOP_TASK,
	AWS_OP_LIST_TASKS,
	AWS_OP_DESCRIBE_TASK_DEFINITION,
	AWS_OP_DESCRIBE_CLUSTERS,
	AWS_OP_GET_LOG_EVENTS,
	AWS_OP_PUBLISH,
	AWS_OP_GET_SERVICE_QUOTA,
	AWS_OP_GET_DEFAULT_QUOTA, /* GetAWSDefaultServiceQuota */
	AWS_OP_GET_METRIC_STATISTICS,
	AWS_OP_GET_CALLER_IDENTITY,
	AWS_OP_COUNT
};
const char *aws_op_name(enum aws_op op); /* "RunTask" */
bool aws_op_read_only(enum aws_op op);   /* changes nothing at AWS */
enum aws_service aws_op_service(enum aws_op op);

/*
 * An answer; valid during the callback only. Exactly one of: ok; transport_failed; an error of AWS (http and, when AWS
 * spoke the operation's protocol, code). error, code, message and request_id are cleaned (sf_text_clean); strings inside body and xml are not.
 */
struct aws_reply {
	enum aws_op op;
	bool ok;                /* HTTP 2xx with a JSON object; of the query protocol: with the operation's XML document */
	bool transport_failed;  /* no usable answer: refused, timeout, cut, or a 2xx with anything else in it */
	bool sent;              /* transport_failed: AWS may have received the request */
	const char *error;      /* transport_failed: what happened, NULL otherwise */
	int http;               /* status, 0 = none */
	const char *code;       /* exception, cut at ':' and after '#', NULL when none */
	const char *message;    /* of the exception; start of the body when it is not AWS's; NULL when none */
	sf_json *body;          /* the JSON object, of errors too (resourceIds); NULL when there is none. Borrowed. */
	const struct aws_xml *xml; /* query protocol: the document, of errors too; NULL when there is none. Borrowed. */
	const char *request_id; /* NULL when absent */
};
typedef void (*aws_reply_cb)(void *arg, const struct aws_reply *reply);

struct aws_client;

/*
 * A client for one (profile, region); both may be NULL = from AWS's own variables and files, read here. NULL with err when
 * credentials or region are missing or wrong. A service's endpoint is looked up at its first call. `http` must outlive it.
 */
struct aws_client *aws_client_new(struct aws_http *http, const char *profile, const char *region, struct sf_error *err);
/* Cancels what is under way; those callbacks never run. NULL-safe. Never from within a callback. */
void aws_client_free(struct aws_client *client);
const char *aws_client_region(const struct aws_client *client);
/*
 * The account the credentials belong to, by GetCallerIdentity; NULL until STS has answered, which the first call asks for. Until
 * then sts_account_of_arn() of a cluster's ARN must do.
 */
const char *aws_client_account(struct aws_client *client);

/*
 * POST exactly these bytes (copied; JSON, or a form for an operation of the query protocol), signed for the moment of sending. 0: cb runs exactly once, never from within this
 * call. -1 with err: never. A call waits while there are no good credentials and some are on their way; when none come it ends
 * with the code MissingAuthenticationToken and the reason as message. Resends by itself only after a definite refusal: once with credentials loaded anew
 * (ExpiredToken*, UnrecognizedClientException, InvalidClientTokenId), once with the clock corrected by the answer's Date
 * header (InvalidSignatureException, SignatureDoesNotMatch). Every other retry is the caller's decision.
 */
int aws_client_call(struct aws_client *client, enum aws_op op, const char *body, aws_reply_cb cb, void *arg,
		    struct sf_error *err);

/* All AWS calls and the clock go through this table (design section 2), so that tests can replace them. */
struct aws_api {
	void *ctx;
	/* Like aws_client_call(); profile and region may be NULL. */
	int (*call)(void *ctx, const char *profile, const char *region, enum aws_op op, const char *body,
		    aws_reply_cb cb, void *arg, struct sf_error *err);
	int64_t (*now_ms)(void *ctx);
};
/*
 * The real table: one client per (profile, region), created when first needed; a failed creation is tried again at the
 * next call. Release with aws_api_real_free() before `http`; calls under way are cancelled.
 */
int aws_api_real(struct aws_http *http, struct aws_api *out, struct sf_error *err);
void aws_api_real_free(struct aws_api *api);

#endif
