/* Golden table of common/base/verdict.c: every text AWS is known to give for the end of a task, and what becomes of it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/util.h"
#include "common/base/verdict.h"
#include "tests/unit/tap.h"
#include "tests/unit/verdict_forms.h"

#define OVER .last_status = "STOPPED", .desired_status = "STOPPED"
#define FAILED_START OVER, .stop_code = "TaskFailedToStart"
#define RAN OVER, .started = true
#define STOPPED_BY(code) RAN, .stop_code = code
#define EXITED_BY(code, rc) STOPPED_BY(code), .has_exit_code = true, .exit_code = (rc)
#define ENDED "EssentialContainerExited"
#define NORMAL(rc) EXITED_BY(ENDED, rc), .stopped_reason = "Essential container in task exited"
#define SPOT_WORDS .stopped_reason = "Your Spot Task was interrupted."
#define UPKEEP "ECS is performing maintenance on the underlying infrastructure hosting the task"
#define OOM_WORDS .container_reason = "OutOfMemoryError: Container killed due to memory usage"
#define PULL "CannotPullContainerError: "
#define INIT "ResourceInitializationError: "
#define RETRIED "pull image manifest has been retried 5 time(s): "
#define COPIED "ref pull has been retried 1 time(s): failed to copy: httpReaderSeeker: failed open: "

#define HELD SF_CLASS_START_PERMANENT, SF_ACT_HOLD
#define AGAIN SF_CLASS_START_TRANSIENT, SF_ACT_RELAUNCH
#define FULL SF_CLASS_CAPACITY, SF_ACT_RELAUNCH
#define NOT_KNOWN SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD
#define REQUEUED SF_CLASS_INFRA, SF_ACT_REQUEUE
#define SPOT SF_CLASS_PREEMPTED, SF_ACT_REQUEUE
#define EXITED SF_CLASS_EXITED, SF_ACT_EXIT
#define MEMORY SF_CLASS_OOM, SF_ACT_OOM
#define OTHERS SF_CLASS_EXTERNAL, SF_ACT_FAIL
#define OURS SF_CLASS_CANCELLED, SF_ACT_LEAVE
#define FAILED SF_CLASS_UNKNOWN_END, SF_ACT_FAIL
#define UNDER_WAY SF_ACT_NONE

struct row {
	struct sf_task_signal s;
	enum sf_class want;
	enum sf_action act;
};

static void check(const struct row *r)
{
	struct sf_task_signal s = r->s;
	char stopped[FORM_MAX], container[FORM_MAX];
	enum sf_class c;

	for (int form = 0; form < FORMS; form++) {
		s.stopped_reason = form_of(r->s.stopped_reason, form, stopped);
		s.container_reason = form_of(r->s.container_reason, form, container);
		c = sf_verdict_task(&s);
		ck_assert_msg(c == r->want, "%s, not %s: %s; %s; %s", sf_class_name(c), sf_class_name(r->want),
			      s.stop_code ? s.stop_code : "-", s.stopped_reason ? s.stopped_reason : "-",
			      s.container_reason ? s.container_reason : "-");
		ck_assert_int_eq(sf_class_action(c), r->act);
	}
}

/* Sources: ECS API, Task and Container; the ECS agent's errors. */
static const struct row end_rows[] = {
	/* under way */
	{ { .last_status = "PROVISIONING", .desired_status = "RUNNING" }, SF_CLASS_LAUNCHING, UNDER_WAY },
	{ { .last_status = "PENDING", .desired_status = "RUNNING" }, SF_CLASS_LAUNCHING, UNDER_WAY },
	{ { .last_status = "ACTIVATING", .desired_status = "RUNNING" }, SF_CLASS_LAUNCHING, UNDER_WAY },
	{ { .last_status = "RUNNING", .desired_status = "RUNNING" }, SF_CLASS_RUNNING, UNDER_WAY },
	{ { .last_status = "ACTIVATING", .started = true }, SF_CLASS_RUNNING, UNDER_WAY },
	{ { .last_status = "BRAND_NEW" }, SF_CLASS_LAUNCHING, UNDER_WAY },
	{ { .last_status = "BRAND_NEW", .started = true }, SF_CLASS_RUNNING, UNDER_WAY },
	{ { .last_status = NULL }, SF_CLASS_LAUNCHING, UNDER_WAY },
	{ { .last_status = "DEPROVISIONING", .desired_status = "STOPPED", .stop_code = "TaskFailedToStart" }, SF_CLASS_LAUNCHING,
	  UNDER_WAY },
	{ { .last_status = "STOPPING", .desired_status = "STOPPED", .stop_code = "UserInitiated", .own_stop = true,
	    .started = true }, SF_CLASS_RUNNING, UNDER_WAY },
	{ { .last_status = "DEPROVISIONING", .desired_status = "STOPPED", .stop_code = ENDED, .started = true },
	  SF_CLASS_RUNNING, UNDER_WAY },
	/* exit codes */
	{ { NORMAL(0) }, EXITED },
	{ { NORMAL(1) }, EXITED },
	{ { NORMAL(137) }, EXITED },
	{ { NORMAL(143) }, EXITED },
	{ { .last_status = "DEPROVISIONING", .desired_status = "STOPPED", .stop_code = ENDED, .has_exit_code = true }, EXITED },
	{ { .last_status = "RUNNING", .desired_status = "RUNNING", .started = true, .has_exit_code = true }, EXITED },
	{ { .last_status = "RUNNING", .desired_status = "STOPPED", .started = true, .has_exit_code = true }, SF_CLASS_RUNNING,
	  UNDER_WAY },
	{ { .last_status = "STOPPING", .desired_status = "STOPPED", .stop_code = "", .started = true, .has_exit_code = true },
	  SF_CLASS_RUNNING, UNDER_WAY },
	{ { .last_status = "PENDING", .desired_status = NULL, .has_exit_code = true }, SF_CLASS_RUNNING, UNDER_WAY },
	/* STOPPED is the last word: an exit code that nothing explains is no success */
	{ { RAN, .has_exit_code = true }, FAILED },
	{ { .last_status = "DELETED", .desired_status = "STOPPED", .has_exit_code = true }, FAILED },
	{ { EXITED_BY("BrandNewStopCode", 0) }, FAILED },
	{ { EXITED_BY("ServiceSchedulerInitiated", 0) }, FAILED },
	{ { EXITED_BY("TaskFailedToStart", 0) }, NOT_KNOWN },
	{ { STOPPED_BY(ENDED) }, REQUEUED },
	{ { RAN }, REQUEUED },
	{ { .last_status = "DELETED", .started = true }, REQUEUED },
	/* out of memory: only where our container did not end with 0 */
	{ { NORMAL(137), OOM_WORDS }, MEMORY },
	{ { NORMAL(1), OOM_WORDS }, MEMORY },
	{ { STOPPED_BY(ENDED), OOM_WORDS }, MEMORY },
	{ { NORMAL(0), OOM_WORDS }, EXITED },
	/* stopped by someone */
	{ { EXITED_BY("UserInitiated", 0), .stopped_reason = "Task stopped by user" }, OTHERS },
	{ { STOPPED_BY("UserInitiated"), .stopped_reason = "tidy up" }, OTHERS },
	{ { EXITED_BY("UserInitiated", 137), OOM_WORDS }, OTHERS },
	{ { EXITED_BY("UserInitiated", 0), .own_stop = true }, OURS },
	{ { NORMAL(0), .own_stop = true }, OURS },
	{ { NORMAL(137), OOM_WORDS, .own_stop = true }, OURS },
	{ { OVER, .own_stop = true }, OURS },
	{ { EXITED_BY("SpotInterruption", 0), SPOT_WORDS, .own_stop = true }, OURS },
	{ { EXITED_BY("UserInitiated", 0), .stopped_reason = UPKEEP, .own_stop = true }, OURS },
	/* Spot, even with exit code 0 */
	{ { EXITED_BY("SpotInterruption", 0), SPOT_WORDS }, SPOT },
	{ { EXITED_BY("SpotInterruption", 0) }, SPOT },
	{ { EXITED_BY("TerminationNotice", 143), SPOT_WORDS }, SPOT },
	{ { EXITED_BY("TerminationNotice", 0) }, SPOT },
	{ { EXITED_BY(ENDED, 0), SPOT_WORDS }, SPOT },
	{ { STOPPED_BY("SpotInterruption"), OOM_WORDS }, SPOT },
	{ { OVER, .stop_code = "SpotInterruption" }, FULL },
	{ { OVER, .stop_code = "TerminationNotice" }, FULL },
	{ { OVER, SPOT_WORDS }, FULL },
	{ { EXITED_BY("UserInitiated", 0), SPOT_WORDS }, SPOT },
	{ { OVER, .stop_code = "UserInitiated", SPOT_WORDS }, FULL },
	/* maintenance, whatever the stop code */
	{ { EXITED_BY("UserInitiated", 0), .stopped_reason = UPKEEP }, REQUEUED },
	{ { EXITED_BY("ServiceSchedulerInitiated", 0), .stopped_reason = "Service X: " UPKEEP }, REQUEUED },
	{ { EXITED_BY(ENDED, 0), .stopped_reason = UPKEEP }, REQUEUED },
	{ { EXITED_BY("SpotInterruption", 0), .stopped_reason = UPKEEP }, SPOT },
	{ { RAN, .stopped_reason = "Host EC2 (instance i-0123) terminated." }, REQUEUED },
	{ { EXITED_BY("BrandNewStopCode", 0), .stopped_reason = "Host EC2 (instance i-0123) terminated." }, REQUEUED },
};

START_TEST(ends)
{
	check(&end_rows[_i]);
}
END_TEST

/* Sources: ECS Developer Guide, "Stopped tasks error codes"; the ECS agent's errors; reports of users. */
static const struct row start_rows[] = {
	{ { FAILED_START, .stopped_reason = "Timeout waiting for network interface provisioning to complete." }, AGAIN },
	{ { FAILED_START, .stopped_reason = "Timeout waiting for EphemeralStorage provisioning to complete" }, AGAIN },
	{ { FAILED_START, .stopped_reason = "Unexpected EC2 error while attempting to Create Network Interface with public IP "
					    "assignment enabled in subnet 'subnet-1'" }, AGAIN },
	{ { FAILED_START, .stopped_reason = "Unexpected EC2 error while attempting to Create Network Interface in subnet "
					    "'subnet-1': InsufficientFreeAddressesInSubnet" }, FULL },
	{ { FAILED_START, .stopped_reason = "The subnet subnet-1 has not enough free addresses" }, FULL },
	{ { FAILED_START, .stopped_reason = "The subnet subnet-1 has no free IP addresses" }, FULL },
	{ { FAILED_START, .stopped_reason = "Capacity is unavailable at this time. Please try again later or in a different "
					    "availability zone" }, FULL },
	{ { FAILED_START, .stopped_reason = "Rate limit exceeded while preparing network interface to be attached to instance" },
	  AGAIN },
	{ { FAILED_START, .stopped_reason = "ContainerRuntimeTimeoutError: Could not transition to running; timed out after "
					    "waiting 1m: x" }, AGAIN },
	{ { FAILED_START, .container_reason = "DockerTimeoutError: Could not transition to created; timed out after waiting "
					      "4m0s" }, AGAIN },
	{ { FAILED_START, .stopped_reason = "InternalError: unable to x" }, AGAIN },
	{ { FAILED_START, .stopped_reason = "Internal error." }, AGAIN },
	/* pulls */
	{ { FAILED_START, .stopped_reason = PULL RETRIED "dial tcp 10.0.0.1:443: i/o timeout" }, AGAIN },
	{ { FAILED_START, .container_reason = PULL RETRIED "dial tcp 10.0.0.1:443: i/o timeout" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL "httpReaderSeeker: failed open: EOF" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected EOF" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL "toomanyrequests: You have reached your pull rate limit" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code 429 Too Many Requests" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code: 500 Internal Server Error" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code: 502 Bad Gateway" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code: 503 Service Unavailable" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL "net/http: TLS handshake timeout" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL "read tcp 10.0.0.1:443: connection reset by peer" }, AGAIN },
	{ { FAILED_START, .stopped_reason = PULL RETRIED "failed to resolve ref docker.io/x: not found" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL "failed to resolve ref docker.io/x: not found" }, HELD },
	{ { FAILED_START, .stopped_reason = "CannotPullImageManifestError: " RETRIED "failed to resolve ref docker.io/x" },
	  HELD },
	{ { FAILED_START, .container_reason = "CannotPullECRContainerError: AccessDeniedException: x" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL "pull access denied for x" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL "image Manifest does not contain descriptor matching platform 'linux/amd64'" },
	  HELD },
	{ { FAILED_START, .stopped_reason = PULL "no match for platform in index" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code: 401 Unauthorized" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code: 403 Forbidden" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL "no basic auth credentials" }, HELD },
	{ { FAILED_START, .stopped_reason = "Task failed to start", .container_reason = PULL "manifest for x not found" }, HELD },
	{ { FAILED_START, .stopped_reason = PULL COPIED "unexpected status code 418" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = PULL "ref pull has been retried 1 time(s): context canceled" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = PULL "The task can't pull the image. Check that the image exists." }, NOT_KNOWN },
	/* what the words of a pull mean only in a pull */
	{ { FAILED_START, .stopped_reason = "dial tcp 10.0.0.1:443: i/o timeout" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "platform not found" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = PULL "x", .container_reason = "i/o timeout" }, NOT_KNOWN },
	/* what the task needs */
	{ { FAILED_START, .stopped_reason = INIT "unable to pull secrets or registry auth: not authorized to perform: "
						 "secretsmanager:GetSecretValue on resource: arn:aws:x" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "unable to get registry auth: x" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "unable to retrieve secret from asm: x" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "failed to validate logger args: : signal: killed" }, HELD },
	{ { FAILED_START, .container_reason = INIT "failed to validate logger args: create stream has been retried 1 times: x" },
	  HELD },
	{ { FAILED_START, .stopped_reason = INIT "failed to validate logger args: The specified log group does not exist" },
	  HELD },
	{ { FAILED_START, .stopped_reason = INIT "failed to create Cloudwatch log group x" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "failed to invoke EFS utils commands to set up EFS volumes: stderr: x" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "unable to assume the role 'x'" }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "failed to create Cloudwatch log group x", OOM_WORDS }, HELD },
	{ { FAILED_START, .stopped_reason = INIT "brand new" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "unable to assume the role 'x'" }, NOT_KNOWN },
	/* containers */
	{ { FAILED_START, .container_reason = "CannotStartContainerError: exec: no such file" }, HELD },
	{ { FAILED_START, .stopped_reason = "CannotStartContainerError: exec: no such file" }, HELD },
	{ { OVER, .stop_code = ENDED, .container_reason = "CannotCreateContainerError: x" }, HELD },
	{ { FAILED_START, .container_reason = "CannotCreateVolumeError: x" }, HELD },
	{ { FAILED_START, .container_reason = "CannotInspectContainerError: x" }, NOT_KNOWN },
	{ { STOPPED_BY(ENDED), .container_reason = "CannotStopContainerError: x" }, REQUEUED },
	{ { OVER, .stop_code = ENDED, OOM_WORDS }, MEMORY },
	/* our bootstrap */
	{ { NORMAL(127), .bootstrap_error = "no base64" }, HELD },
	{ { NORMAL(0), .bootstrap_error = "no base64" }, HELD },
	{ { NORMAL(137), OOM_WORDS, .bootstrap_error = "no base64" }, HELD },
	{ { EXITED_BY("UserInitiated", 1), .bootstrap_error = "no base64" }, OTHERS },
	{ { FAILED_START, .stopped_reason = "RESOURCE:MEMORY", .bootstrap_error = "no base64" }, HELD },
	/* EC2's placement, which Fargate does not have */
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:CPU" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:MEMORY" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:ENI" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:PORTS" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:GPU" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: RESOURCE:FARGATE" }, FULL },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: AGENT" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: MemberOf placement constraint unsatisfied" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: ATTRIBUTE" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: NO ACTIVE INSTANCES" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "TaskFailedToStart: EMPTY CAPACITY PROVIDER" }, NOT_KNOWN },
	/* nothing known */
	{ { FAILED_START, .stopped_reason = "Task failed to start" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "Taskfailedtostart" }, NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "The selected task definition is not compatible with the selected compute strategy" },
	  NOT_KNOWN },
	{ { FAILED_START, .stopped_reason = "Essential container in task exited" }, NOT_KNOWN },
	{ { FAILED_START }, NOT_KNOWN },
	{ { OVER }, NOT_KNOWN },
	{ { OVER, .stop_code = "BrandNewStopCode", .stopped_reason = "brand new" }, NOT_KNOWN },
	{ { OVER, .stop_code = "UserInitiated", .stopped_reason = "Task stopped by user" }, OTHERS },
	/* the script may have run: whatever a start would do with it, it is not started again here */
	{ { FAILED_START, .started = true, .stopped_reason = "Internal error." }, NOT_KNOWN },
	{ { FAILED_START, .started = true, .stopped_reason = PULL "i/o timeout" }, NOT_KNOWN },
	{ { FAILED_START, .started = true, .stopped_reason = "RESOURCE:MEMORY" }, NOT_KNOWN },
	{ { FAILED_START, .started = true, .stopped_reason = PULL "pull access denied for x" }, HELD },
	{ { STOPPED_BY(ENDED), .stopped_reason = "Internal error." }, REQUEUED },
	{ { STOPPED_BY(ENDED), .container_reason = "CannotStartContainerError: x" }, REQUEUED },
	{ { STOPPED_BY(ENDED), .stopped_reason = PULL "pull access denied for x" }, REQUEUED },
	{ { STOPPED_BY(ENDED), .stopped_reason = INIT "log group" }, REQUEUED },
	{ { NORMAL(3), .container_reason = "CannotStartContainerError: x" }, EXITED },
};

START_TEST(failed_starts)
{
	check(&start_rows[_i]);
}
END_TEST

static const struct {
	const char *status;
	enum sf_phase phase;
} status_rows[] = {
	{ "PROVISIONING", SF_PHASE_PROVISIONING }, { "PENDING", SF_PHASE_PENDING },
	{ "ACTIVATING", SF_PHASE_ACTIVATING },	   { "RUNNING", SF_PHASE_RUNNING },
	{ "DEACTIVATING", SF_PHASE_STOPPING },	   { "STOPPING", SF_PHASE_STOPPING },
	{ "DEPROVISIONING", SF_PHASE_STOPPING },   { "STOPPED", SF_PHASE_DONE },
	{ "DELETED", SF_PHASE_DONE },		   { "SOMETHING_NEW", SF_PHASE_RETRY },
	{ NULL, SF_PHASE_RETRY },
};

START_TEST(statuses_become_phases)
{
	ck_assert_int_eq(sf_phase_of_status(status_rows[_i].status, SF_PHASE_RETRY), status_rows[_i].phase);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ ends, SF_COUNT(end_rows) },
		{ failed_starts, SF_COUNT(start_rows) },
		{ statuses_become_phases, SF_COUNT(status_rows) },
	};

	return tap_main("verdict_tasks", tests, SF_COUNT(tests));
}
