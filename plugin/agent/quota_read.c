/* What AWS says of a vCPU quota: Service Quotas for the limit, CloudWatch for its use; a number that is not said is none. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/quotas.h"
#include "common/base/log.h"
#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define AGAIN_MS 10000	    /* after RunTask was refused for the quota, at most so often */
#define USAGE_BUSY_MS 60000 /* AWS publishes every minute */
#define USAGE_SPAN_S (15 * 60)
#define BACKOFF_FIRST_MS 5000
#define BACKOFF_SHIFT_MOST 8
#define POINTS_MAX (USAGE_SPAN_S / QUOTAS_PERIOD + 2)

static int64_t refresh_ms(const struct quota_pool *pool)
{
	return (int64_t)pool->agent->conf->quota_refresh * 1000;
}

/* After the n-th failure in a row; never longer than between two successes. */
static int64_t backoff(const struct quota_pool *pool, unsigned n)
{
	int64_t most = BACKOFF_FIRST_MS << (n < BACKOFF_SHIFT_MOST ? n : BACKOFF_SHIFT_MOST);

	if (most > refresh_ms(pool))
		most = refresh_ms(pool);
	return agent_jitter(pool->agent, most / 2) + most / 2;
}

static const char *name_of(const struct quota_pool *pool, char out[128])
{
	snprintf(out, 128, "the Fargate %s quota %s%s%s", sf_quota_title(pool->spot), sf_quota_code(pool->spot),
		 pool->place[0] ? " in " : "", pool->place);
	return out;
}

/* --- the limit -------------------------------------------------------------------------------------------------------- */
static void ask_limit(struct quota_pool *pool, enum aws_op op);

static void limit_failed(struct quota_pool *pool, const char *text)
{
	char name[128];

	if (pool->limit_failures++ == 0)
		sf_log_warn("%s cannot be read: %s; launches go on, RunTask decides", name_of(pool, name), text);
	sf_copy(pool->why, sizeof(pool->why), text);
	pool->limit_due = backoff(pool, pool->limit_failures - 1);
}

/* One line for a new number, and for one after a time without. */
static void say_limit(struct quota_pool *pool, bool failed)
{
	char name[128], vcpu[SF_QUARTERS_TEXT_MAX];

	if (pool->limit_said == pool->limit && !failed)
		return;
	pool->limit_said = pool->limit;
	sf_log_info("%s is %s vCPU (%s)", name_of(pool, name), sf_quarters_text(pool->limit, vcpu),
		    pool->applied ? "applied" : "AWS's default");
}

static void take_limit(struct quota_pool *pool, double vcpu, bool applied)
{
	int64_t before = quota_fresh(pool->agent, pool) ? pool->limit : 0;
	bool failed = pool->limit_failures != 0;

	pool->known = true;
	pool->limit = sf_quarters_floor(vcpu);
	pool->applied = applied;
	pool->limit_at = agent_now(pool->agent);
	pool->limit_failures = 0;
	pool->why[0] = '\0';
	pool->limit_due = agent_now_ms(pool->agent) + refresh_ms(pool);
	say_limit(pool, failed);
	if (pool->limit == before)
		return;
	pool->serve = true;
	if (pool->limit > before)
		retry_wake(pool, pool->limit - before);
}

static void on_limit(void *arg, const struct aws_reply *reply)
{
	struct quota_pool *pool = arg;
	char text[SF_ERROR_MAX];
	struct sf_error err = {""};
	double vcpu;

	pool->limit_flying = false;
	/* No value of the account's own: AWS's default is its limit. */
	if (!reply->ok && reply->op == AWS_OP_GET_SERVICE_QUOTA && reply->code &&
	    sf_code_of(reply->code) == SF_CODE_ABSENT) {
		ask_limit(pool, AWS_OP_GET_DEFAULT_QUOTA);
	} else if (!reply->ok) {
		reply_class(pool->agent, reply, true, text);
		limit_failed(pool, text);
	} else if (quotas_limit_value(reply->body, &vcpu, &err) != 0) {
		sf_err_wrap(&err, "%s", aws_op_name(reply->op));
		sf_text_clean(err.text);
		limit_failed(pool, err.text);
	} else {
		quota_arn(pool, sf_json_str(sf_json_object(reply->body, "Quota"), "QuotaArn"));
		take_limit(pool, vcpu, reply->op == AWS_OP_GET_SERVICE_QUOTA);
	}
}

static void ask_limit(struct quota_pool *pool, enum aws_op op)
{
	struct agent *a = pool->agent;
	sf_auto_free char *body = NULL;
	struct sf_error err = {""};

	pool->tried_at = agent_now_ms(a);
	if (quotas_limit_body(pool->spot, &body, &err) != 0 ||
	    a->aws.call(a->aws.ctx, pool->profile, pool->region, op, body, on_limit, pool, &err) != 0)
		limit_failed(pool, err.text);
	else
		pool->limit_flying = true;
}

/* --- the usage -------------------------------------------------------------------------------------------------------- */
static int by_minute(const void *a, const void *b)
{
	const struct sf_quota_point *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Our own use as steps, a step per minute. */
static size_t steps_of(const struct quota_pool *pool, struct sf_quota_point out[QUOTA_HISTORY])
{
	size_t n = 0, i;

	for (i = 0; i < QUOTA_HISTORY; i++)
		if (pool->history[i].minute)
			out[n++] = (struct sf_quota_point){pool->history[i].minute * 60, pool->history[i].most};
	qsort(out, n, sizeof(*out), by_minute);
	return n;
}

static void take_others(struct quota_pool *pool, bool known, int64_t others)
{
	int64_t before = pool->usage_known ? pool->others : 0;

	pool->usage_known = known;
	pool->others = others;
	pool->usage_at = agent_now(pool->agent);
	pool->usage_failures = 0;
	sf_copy(pool->usage_why, sizeof(pool->usage_why), known ? "" : "CloudWatch has no datapoints yet of the time since the agent began");
	pool->serve = pool->serve || others != before;
	if (others < before)
		retry_wake(pool, before - others);
}

static void usage_failed(struct quota_pool *pool, const char *text)
{
	char name[128];

	if (pool->usage_failures++ == 0)
		sf_log_warn("what others use of %s cannot be read: %s", name_of(pool, name), text);
	sf_copy(pool->usage_why, sizeof(pool->usage_why), text);
	pool->usage_due = backoff(pool, pool->usage_failures - 1);
}

static void read_usage(struct quota_pool *pool, const struct aws_xml *xml)
{
	struct quotas_point points[POINTS_MAX];
	struct sf_quota_point reported[POINTS_MAX], steps[QUOTA_HISTORY];
	struct sf_error err = {""};
	int64_t others = 0;
	size_t n = 0, kept = 0, i;
	bool known;

	if (quotas_usage_points(xml, points, POINTS_MAX, &n, &err) != 0) {
		sf_err_wrap(&err, "GetMetricStatistics");
		sf_text_clean(err.text);
		usage_failed(pool, err.text);
		return;
	}
	/* Of the time before the agent began nobody knows what was ours; taken for others' it would keep our own jobs out. */
	for (i = 0; i < n; i++)
		if (points[i].at - QUOTAS_PERIOD >= pool->history_from)
			reported[kept++] = (struct sf_quota_point){ points[i].at, sf_quarters_ceil(points[i].vcpu) };
	known = sf_quota_others(reported, kept, steps, steps_of(pool, steps), QUOTAS_PERIOD, &others);
	take_others(pool, known, others);
}

static void on_usage(void *arg, const struct aws_reply *reply)
{
	struct quota_pool *pool = arg;
	char text[SF_ERROR_MAX];

	pool->usage_flying = false;
	if (reply->ok) {
		read_usage(pool, reply->xml);
		return;
	}
	reply_class(pool->agent, reply, true, text);
	usage_failed(pool, text);
}

static void ask_usage(struct quota_pool *pool)
{
	struct agent *a = pool->agent;
	int64_t now = agent_now(a);
	sf_auto_free char *body = NULL;
	struct sf_error err = {""};

	pool->usage_tried = agent_now_ms(a);
	if (quotas_usage_body(pool->spot, now - USAGE_SPAN_S, now, &body, &err) != 0 ||
	    a->aws.call(a->aws.ctx, pool->profile, pool->region, AWS_OP_GET_METRIC_STATISTICS, body, on_usage, pool, &err) != 0)
		usage_failed(pool, err.text);
	else
		pool->usage_flying = true;
}

/* --- when ------------------------------------------------------------------------------------------------------------- */
static bool usage_is_due(const struct quota_pool *pool, int64_t now)
{
	bool busy = pool->ours || pool->waiting || pool->pending;

	if (pool->usage_flying)
		return false;
	if (pool->usage_failures)
		return now >= pool->usage_due;
	return now >= pool->usage_tried + (busy && USAGE_BUSY_MS < refresh_ms(pool) ? USAGE_BUSY_MS : refresh_ms(pool));
}

void quota_read_tick(struct quota_pool *pool, int64_t now)
{
	char name[128];

	if (pool->known && pool->limit_said >= 0 && !quota_fresh(pool->agent, pool)) {
		pool->limit_said = -1;
		sf_log_warn("%s is not known any more, its number is older than QuotaMaxAge=%u; launches go on, RunTask decides",
			    name_of(pool, name), pool->agent->conf->quota_max_age);
	}
	if (!pool->limit_flying && now >= pool->limit_due)
		ask_limit(pool, AWS_OP_GET_SERVICE_QUOTA);
	if (usage_is_due(pool, now))
		ask_usage(pool);
}

/* A shorter QuotaRefresh counts from the last question on. */
void quota_read_lines(struct quota_pool *pool)
{
	if (pool->limit_due > pool->tried_at + refresh_ms(pool))
		pool->limit_due = pool->tried_at + refresh_ms(pool);
}

void quota_read_again(struct quota_pool *pool)
{
	if (pool->limit_due > pool->tried_at + AGAIN_MS)
		pool->limit_due = pool->tried_at + AGAIN_MS;
}
