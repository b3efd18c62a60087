# The local AWS: Service Quotas, and the use of vCPUs in CloudWatch.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import functools
import json
import os
import re
import subprocess
import sys
import time

import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from test_fargate_local_support import (KEY, MODELS, NEWER, REGION, SERVER, AwsRefusal, Server, aws,  # noqa: F401
                                        python_path)

sys.path.insert(0, os.path.dirname(SERVER))
from fargate_local import cloudwatch  # noqa: E402
from fargate_local.steps import Steps  # noqa: E402

ON_DEMAND, SPOT = "L-3032A538", "L-36FBB829"
CLASSES = {ON_DEMAND: "Standard/OnDemand", SPOT: "Standard/Spot"}
FULL = "You’ve reached the limit on the number of vCPUs you can run concurrently"
NO_VALUE = "The request failed because the specified quota has no applied value."
FORM = {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "Period": "60", "StartTime": "2025-12-31T00:00:00Z",
        "EndTime": "2026-01-01T00:00:00Z", "Statistics.member.1": "Maximum"}
STUCK = {"task": {}, "stick": "PROVISIONING", "times": 100}


@pytest.fixture(scope="module", params=MODELS)
def server(request, tmp_path_factory):
    """With each set of AWS's service models that this machine has."""
    one = Server(str(tmp_path_factory.mktemp("quotas")),
                 python_path=python_path(request.param, tmp_path_factory.mktemp("models")))
    one.define()
    yield one
    one.close()


@functools.lru_cache(maxsize=None)
def client(server, name):
    return botocore.session.Session().create_client(
        name, region_name=REGION, endpoint_url=server.url, aws_access_key_id=KEY[0], aws_secret_access_key=KEY[1],
        config=botocore.config.Config(retries={"max_attempts": 0}))


def limit(server, code=ON_DEMAND, operation="GetServiceQuota"):
    return server.call(operation, {"ServiceCode": "fargate", "QuotaCode": code})["Quota"]["Value"]


def usage_query(code=ON_DEMAND, seconds=3600, period=60, **changes):
    """GetMetricStatistics' parameters for botocore: the time until a minute from now."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
    dimensions = {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU", "Class": CLASSES[code]}
    return {"Namespace": "AWS/Usage", "MetricName": "ResourceCount", "Period": period,
            "StartTime": end - datetime.timedelta(seconds=seconds), "EndTime": end, "Statistics": ["Maximum"],
            "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()], **changes}


def usage(server, code=ON_DEMAND, **query):
    """{minute: vCPU} as botocore reads it."""
    answer = client(server, "cloudwatch").get_metric_statistics(**usage_query(code, **query))
    assert answer["Label"] == query.get("MetricName", "ResourceCount")
    for point in answer["Datapoints"]:
        assert set(point) == {"Timestamp", "Maximum", "Unit"} and point["Unit"] == "None"
    found = {int(p["Timestamp"].timestamp()): p["Maximum"] for p in answer["Datapoints"]}
    assert len(found) == len(answer["Datapoints"])
    return found


def newest(server, code=ON_DEMAND):
    """The use of the newest minute that has any."""
    found = usage(server, code)
    return found[max(found)] if found else None


# -- limits ---------------------------------------------------------------------------------------

def test_a_quota_in_full(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 6.5}})
    metric = {"MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount", "MetricStatisticRecommendation": "Maximum",
              "MetricDimensions": {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU", "Class": "Standard/OnDemand"}}
    assert client(aws, "service-quotas").get_service_quota(ServiceCode="fargate", QuotaCode=ON_DEMAND)["Quota"] == {
        "ServiceCode": "fargate", "ServiceName": "AWS Fargate", "QuotaCode": ON_DEMAND,
        "QuotaArn": f"arn:aws:servicequotas:{REGION}:123456789012:fargate/{ON_DEMAND}",
        "QuotaName": "Fargate On-Demand vCPU resource count", "Value": 6.5, "Unit": "None", "Adjustable": True,
        "GlobalQuota": False, "UsageMetric": metric}


def test_limits_by_provider_and_default(aws):
    assert (limit(aws), limit(aws, SPOT)) == (4000, 4000)
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 6}, SPOT: {"limit": 32, "applied": False}})
    assert limit(aws) == 6
    assert limit(aws, operation="GetAWSDefaultServiceQuota") == 6
    refusal = aws.refuses("NoSuchResourceException", NO_VALUE, "GetServiceQuota", {"ServiceCode": "fargate", "QuotaCode": SPOT})
    assert refusal.status == 400 and refusal.body == {"__type": "NoSuchResourceException", "Message": NO_VALUE}
    assert limit(aws, SPOT, "GetAWSDefaultServiceQuota") == 32
    quotas = client(aws, "service-quotas")
    with pytest.raises(quotas.exceptions.NoSuchResourceException, match=NO_VALUE):
        quotas.get_service_quota(ServiceCode="fargate", QuotaCode=SPOT)
    assert quotas.get_aws_default_service_quota(ServiceCode="fargate", QuotaCode=SPOT)["Quota"]["QuotaArn"] == \
        f"arn:aws:servicequotas:{REGION}::fargate/{SPOT}"
    calls = aws.control("GET", "calls")
    assert calls["GetServiceQuota"] == {"ok": 3, "throttled": 0, "refused": 2, "unknown": 0}
    assert calls["GetAWSDefaultServiceQuota"] == {"ok": 3, "throttled": 0, "refused": 0, "unknown": 0}


@pytest.mark.parametrize("code, message, params", [
    ("NoSuchResourceException", "The request failed because the specified service does not exist.",
     {"ServiceCode": "Fargate", "QuotaCode": ON_DEMAND}),
    ("NoSuchResourceException", "The request failed because the specified quota does not exist.",
     {"ServiceCode": "fargate", "QuotaCode": "L-0"}),
    ("IllegalArgumentException", "1 validation error detected: Value null at 'QuotaCode' failed to satisfy constraint: "
     "Member must not be null", {"ServiceCode": "fargate"}),
    ("SerializationException", "QuotaCode: a value of type string was expected, not int",
     {"ServiceCode": "fargate", "QuotaCode": 5}),
])
def test_limit_refusals(aws, code, message, params):
    for operation in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        aws.refuses(code, message, operation, params)


def test_unknown_members_count(aws):
    aws.call("GetServiceQuota", {"ServiceCode": "fargate", "QuotaCode": SPOT, "serviceCode": "x"})
    assert aws.control("GET", "calls")["GetServiceQuota"]["unknown"] == 1


def test_too_many_requests(aws):
    aws.faults({"op": "GetServiceQuota", "error": {"code": "TooManyRequestsException", "message": "Rate exceeded"}})
    refusal = aws.refuses("TooManyRequestsException", "Rate exceeded", "GetServiceQuota",
                          {"ServiceCode": "fargate", "QuotaCode": SPOT})
    assert refusal.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert aws.control("GET", "calls")["GetServiceQuota"]["throttled"] == 1


def test_other_fault_rules(aws):
    wrong = {"status": 200, "type": "application/x-amz-json-1.1", "body": '{"Quota":{"Value":"6"}}'}
    aws.faults({"op": "GetServiceQuota", "raw": wrong}, {"op": "GetServiceQuota", "reply": {"Quota": {"Value": 7}}},
               {"op": "GetServiceQuota", "delay": 0.3}, {"op": "GetMetricStatistics", "error": {
                   "code": "InternalServiceError", "message": "x", "status": 500}})
    assert limit(aws) == "6"
    assert limit(aws) == 7
    begun = time.monotonic()
    assert limit(aws) == 4000 and time.monotonic() - begun >= 0.3
    with pytest.raises(AwsRefusal) as caught:
        aws.call("GetMetricStatistics", FORM)
    assert (caught.value.status, caught.value.code, caught.value.body["Type"]) == (500, "InternalServiceError", "Receiver")


# -- RunTask at the limit -------------------------------------------------------------------------

def test_run_task_counts_tasks_and_others(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 2, "others": 1.5}})
    aws.faults(STUCK)
    both = aws.run_answer(count=3)
    assert len(both["tasks"]) == 2 and both["failures"] == [{"reason": FULL}]
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 2, "others": 1}})
    assert aws.run_answer(count=2)["failures"] == []
    assert aws.run_answer()["failures"] == [{"reason": FULL}]
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 0.5}})       # lowered below what is in use: nothing is taken away
    assert aws.run_answer()["failures"] == [{"reason": FULL}]
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 1.25}})
    assert aws.run_answer(count=2)["failures"] == [{"reason": FULL}]


def test_providers_are_apart(aws):
    spot = {"launchType": None, "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 0.25}, SPOT: {"limit": 0.5}})
    aws.faults(STUCK)
    assert len(aws.run_answer(count=2)["tasks"]) == 1
    assert len(aws.run_answer(count=3, **spot)["tasks"]) == 2
    assert (newest(aws), newest(aws, SPOT)) == (0.25, 0.5)


def test_a_task_counts_until_it_is_stopped(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 0.25}})
    aws.faults({"task": {}, "stick": "DEPROVISIONING"})
    task = aws.run("true")
    aws.wait(task, "DEPROVISIONING")
    assert aws.run_answer()["failures"] == [{"reason": FULL}]
    aws.call("StopTask", {"task": task})
    aws.wait(task, "STOPPED")
    assert aws.run_answer()["failures"] == []


# -- usage ----------------------------------------------------------------------------------------

def test_no_use_is_no_datapoint(aws):
    assert usage(aws) == {}
    assert usage(aws, SPOT) == {}


def test_others_over_time(aws):
    now = time.time()
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 3, "since": 600}})
    found = usage(aws)
    assert set(found.values()) == {3.0} and all(at % 60 == 0 for at in found)
    assert min(found) == int((now - 600) // 60) * 60 or min(found) == int((now - 600) // 60 + 1) * 60
    assert max(found) >= int(now // 60) * 60 and len(found) == (max(found) - min(found)) // 60 + 1
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 1, "since": 300}})
    found = usage(aws)
    assert (found[min(found)], found[max(found)]) == (3.0, 1.0)
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 0, "since": 200}})
    assert max(usage(aws)) < time.time() - 200
    assert usage(aws, SPOT) == {}
    aws.control("POST", "reset")
    assert usage(aws) == {}


def test_tasks_and_others_together(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 2, "since": 120}})
    aws.faults(STUCK)
    aws.run_answer(count=3)
    assert newest(aws) == 2.75
    for task in aws.control("GET", "tasks"):
        aws.call("StopTask", {"task": task["taskArn"]})
        aws.wait(task["taskArn"])
    assert max(usage(aws).values()) == 2.75      # the minute keeps its most


def test_minutes():
    """Steps of two parts, seen at different times: the most of each minute, and nothing of idle ones."""
    tasks, others = Steps(), Steps()
    for at, value in ((610, 1), (620, 4), (625, 0), (700, 2), (1000, 0)):
        tasks.set(value, at)
    others.set(1, 690)
    others.set(0, 1100)
    parts = (tasks, others)
    whole = [(600, 4), (660, 3), (720, 3), (780, 3), (840, 3), (900, 3), (960, 3), (1020, 1), (1080, 1)]
    assert list(cloudwatch.minutes(parts, 0, 5000, 5000)) == whole
    assert list(cloudwatch.minutes(parts, 0, 5000, 615)) == [(600, 1)]
    assert list(cloudwatch.minutes(parts, 0, 5000, 695)) == [(600, 4), (660, 1)]
    assert list(cloudwatch.minutes(parts, 660, 780, 5000)) == whole[1:3]
    assert list(cloudwatch.minutes(parts, 0, 5000, 605)) == []
    others.set(5, 900)      # what was later is forgotten
    assert list(cloudwatch.minutes(parts, 840, 1200, 5000)) == [(840, 3), (900, 7), (960, 7), (1020, 5), (1080, 5), (1140, 5)]


def test_late(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 2, "since": 900}})
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 3, "since": 100}})
    assert newest(aws) == 3.0
    aws.faults({"usage_delay": 300})
    before = time.time()
    found = usage(aws)
    assert set(found.values()) == {2.0}
    assert before - 300 - 60 <= max(found) <= time.time() - 300


def test_exactly_the_four_dimensions(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 2, "since": 120}})
    four = usage_query()["Dimensions"]
    assert usage(aws, Dimensions=four[::-1])
    for changes in ({"Dimensions": four[:3]}, {"Dimensions": [*four, {"Name": "x", "Value": "y"}]}, {"Namespace": "AWS/Other"},
                    {"MetricName": "CallCount"}, {"Dimensions": [*four[:3], {"Name": "Class", "Value": "None"}]},
                    {"Unit": "Count"}):
        assert usage(aws, **changes) == {}, changes


def test_longer_periods_and_other_statistics(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 2, "since": 3000}})
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 4, "since": 600}})
    found = usage(aws, period=300)
    assert all(at % 300 == 0 for at in found) and set(found.values()) == {2.0, 4.0} and 9 <= len(found) <= 13
    point, = client(aws, "cloudwatch").get_metric_statistics(**usage_query(
        seconds=86400, period=86400 * 2, Statistics=["Average", "Sum", "SampleCount", "Minimum"]))["Datapoints"] or [None]
    assert point["Minimum"] == 2.0 and point["Average"] == point["Sum"] / point["SampleCount"] and 2 < point["Average"] < 4


def test_an_hour_that_ended(aws):
    """EndTime is not in it."""
    aws.control("PUT", "quotas", {ON_DEMAND: {"others": 2, "since": 7200}})
    end = datetime.datetime.fromtimestamp(int(time.time() // 60 - 30) * 60, datetime.timezone.utc)
    found = usage(aws, StartTime=end - datetime.timedelta(minutes=5), EndTime=end)
    assert sorted(found) == [int(end.timestamp()) - 60 * n for n in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize("code, changes", [
    ("InvalidParameterValue", {"Period": 90}),
    ("InvalidParameterCombination", {"seconds": 60 * 1442}),
    ("InvalidParameterCombination", {"seconds": 0}),
    ("InvalidParameterCombination", {"seconds": -60}),
])
def test_usage_refusals(aws, code, changes):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(aws, "cloudwatch").get_metric_statistics(**usage_query(**changes))
    assert caught.value.response["Error"]["Code"] == code


def test_forms_by_hand(aws):
    aws.refuses("MissingParameter", "The parameter Statistics is required.", "GetMetricStatistics",
                {k: v for k, v in FORM.items() if not k.startswith("Stat")})
    aws.refuses("MalformedInput", "StartTime: a value of type timestamp was expected, not 'yesterday'",
                "GetMetricStatistics", {**FORM, "StartTime": "yesterday"})
    aws.refuses("ValidationError", "1 validation error detected: Value 'Most' at 'Statistics.1.member' failed to satisfy "
                "constraint: Member must satisfy enum value set: [SampleCount, Average, Sum, Minimum, Maximum]",
                "GetMetricStatistics", {**FORM, "Statistics.member.1": "Most"})


def test_what_our_client_sends(aws):
    """The bodies that tests/unit/test_aws_quotas.c has, but for the times."""
    aws.control("PUT", "quotas", {SPOT: {"others": 2, "since": 900}})
    now = time.time()
    start, end = (time.strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ", time.gmtime(now // 60 * 60 + s)) for s in (-600, 60))
    body = ("Action=GetMetricStatistics&Version=2010-08-01&Namespace=AWS%2FUsage&MetricName=ResourceCount"
            "&Dimensions.member.1.Name=Service&Dimensions.member.1.Value=Fargate"
            "&Dimensions.member.2.Name=Type&Dimensions.member.2.Value=Resource"
            "&Dimensions.member.3.Name=Resource&Dimensions.member.3.Value=vCPU"
            "&Dimensions.member.4.Name=Class&Dimensions.member.4.Value=Standard%2FSpot"
            f"&StartTime={start}&EndTime={end}&Period=60&Statistics.member.1=Maximum")
    answer = aws.call("GetMetricStatistics", body=body.encode())
    names = {"m": "http://monitoring.amazonaws.com/doc/2010-08-01/"}
    points = answer.findall("m:GetMetricStatisticsResult/m:Datapoints/m:member", names)
    assert 10 <= len(points) <= 12
    for point in points:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", point.find("m:Timestamp", names).text)
        assert point.find("m:Maximum", names).text == "2.0"
    aws.call("GetServiceQuota", body=b'{"ServiceCode":"fargate","QuotaCode":"L-36FBB829"}')
    assert {op: n["unknown"] for op, n in aws.control("GET", "calls").items()} == {"GetMetricStatistics": 0, "GetServiceQuota": 0}


# -- other clients --------------------------------------------------------------------------------

PROGRAM = """
import botocore.session, datetime, json, sys
session = botocore.session.Session()
def client(name):
    return session.create_client(name, region_name=%(region)r, endpoint_url=%(url)r,
                                 aws_access_key_id=%(key)r, aws_secret_access_key=%(secret)r)
end = datetime.datetime.now(datetime.timezone.utc)
query = dict(Namespace="AWS/Usage", MetricName="ResourceCount", Period=60, Statistics=["Maximum"],
             StartTime=end - datetime.timedelta(seconds=900), EndTime=end, Dimensions=[
                 dict(Name=n, Value=v) for n, v in (("Service", "Fargate"), ("Type", "Resource"),
                                                    ("Resource", "vCPU"), ("Class", "Standard/OnDemand"))])
points = client("cloudwatch").get_metric_statistics(**query)["Datapoints"]
assert points and all(p["Maximum"] == 2.0 and p["Timestamp"].year > 2020 for p in points), points
try:
    sys.exit(str(client("cloudwatch").get_metric_statistics(**dict(query, Period=90))))
except client("cloudwatch").exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "InvalidParameterValue", e.response
print(client("service-quotas").get_service_quota(ServiceCode="fargate", QuotaCode="L-3032A538")["Quota"]["Value"])
"""


@pytest.mark.parametrize("python", [sys.executable, *([NEWER[0]] if NEWER else [])])
def test_botocore_old_and_new(aws, python):
    """The newer one speaks JSON to CloudWatch."""
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 6, "others": 2, "since": 300}})
    done = subprocess.run([python, "-c", PROGRAM % {"region": REGION, "url": aws.url, "key": KEY[0], "secret": KEY[1]}],
                          capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "6.0\n"), done.stderr
    assert all(n["unknown"] == 0 for n in aws.control("GET", "calls").values())


def cli(server, *arguments, check=True):
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": KEY[0], "AWS_SECRET_ACCESS_KEY": KEY[1],
           "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(["aws", "--endpoint-url", server.url, "--output", "json", *arguments], env=env,
                          capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, done.stderr
    return json.loads(done.stdout) if check else done.stderr


def test_the_aws_command(aws):
    aws.control("PUT", "quotas", {ON_DEMAND: {"limit": 6, "others": 2, "since": 300}, SPOT: {"applied": False}})
    ask = ("--service-code", "fargate", "--quota-code")
    assert cli(aws, "service-quotas", "get-service-quota", *ask, ON_DEMAND)["Quota"]["Value"] == 6.0
    assert re.search(r"\(NoSuchResourceException\).*no applied value",
                     cli(aws, "service-quotas", "get-service-quota", *ask, SPOT, check=False))
    assert cli(aws, "service-quotas", "get-aws-default-service-quota", *ask, SPOT)["Quota"]["Value"] == 4000.0
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = ((now + datetime.timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ") for s in (-900, 60))
    points = cli(aws, "cloudwatch", "get-metric-statistics", "--namespace", "AWS/Usage", "--metric-name", "ResourceCount",
                 "--dimensions", "Name=Service,Value=Fargate", "Name=Type,Value=Resource", "Name=Resource,Value=vCPU",
                 "Name=Class,Value=Standard/OnDemand", "--start-time", start, "--end-time", end, "--period", "60",
                 "--statistics", "Maximum")["Datapoints"]
    assert points and {p["Maximum"] for p in points} == {2.0}
    assert all(n["unknown"] == 0 for n in aws.control("GET", "calls").values())


def test_a_policy_without_them(tmp_path):
    policy = tmp_path / "none.json"
    policy.write_text(json.dumps({"Statement": [{"Effect": "Allow", "Action": ["ecs:*"], "Resource": "*"}]}))
    one = Server(str(tmp_path), "--policy", str(policy))
    try:
        for operation in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
            with pytest.raises(AwsRefusal, match="servicequotas:" + operation) as caught:
                limit(one, operation=operation)
            assert caught.value.code == "AccessDeniedException"
        with pytest.raises(botocore.exceptions.ClientError, match="cloudwatch:GetMetricStatistics") as denied:
            usage(one)
        assert denied.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    finally:
        one.close()
