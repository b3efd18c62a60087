# AWS's rate limits as token buckets, in real time whatever --speed is.
# SPDX-License-Identifier: GPL-2.0-or-later
import time

from .errors import AwsError

# name: (burst, refill per second) - aws-facts 4.1 (ECS), 4.2 (launches)
BUCKETS = {
    "ecs-modify": (100, 40), "ecs-read": (100, 20),
    "taskdef-modify": (20, 1), "taskdef-read": (50, 20),
    "cluster-read": (50, 20),
    "runtask-fargate": (20, 20), "launch-FARGATE": (100, 20), "launch-FARGATE_SPOT": (100, 20),
    "filter-logs": (10, 10), "describe-streams": (25, 25),
    "sts": (600, 600),          # IAM and STS quotas
    "publish": (300, 300),      # SNS service quotas, of the smaller regions
    "get-quota": (5, 5), "get-default-quota": (5, 5),       # Service Quotas' own quotas (GK)
    "get-metric": (400, 400),   # CloudWatch service quotas, GetMetricStatistics
}
CODES = {"get-quota": "TooManyRequestsException", "get-default-quota": "TooManyRequestsException"}
OPERATIONS = {
    "RunTask": "ecs-modify", "StopTask": "ecs-modify",
    "DescribeTasks": "ecs-read", "ListTasks": "ecs-read",
    "RegisterTaskDefinition": "taskdef-modify", "DeregisterTaskDefinition": "taskdef-modify",
    "DescribeTaskDefinition": "taskdef-read",
    "DescribeClusters": "cluster-read", "ListClusters": "cluster-read",
    "GetLogEvents": "get-logs", "FilterLogEvents": "filter-logs",
    "DescribeLogStreams": "describe-streams", "Publish": "publish",
    "GetServiceQuota": "get-quota", "GetAWSDefaultServiceQuota": "get-default-quota",
    "GetMetricStatistics": "get-metric",
    "AssumeRole": "sts", "AssumeRoleWithWebIdentity": "sts", "GetCallerIdentity": "sts",
}
# GetLogEvents per second and region - aws-facts 7
GET_LOGS = dict.fromkeys(("us-west-2", "eu-central-1", "eu-west-1", "ap-northeast-3",
                          "ap-southeast-3", "ca-west-1", "il-central-1"), 10)
GET_LOGS["eu-west-3"] = 30
GET_LOGS_ELSEWHERE = 25


class Bucket:
    def __init__(self, burst, refill):
        self.burst, self.refill = burst, refill
        self.level, self.at = float(burst), time.monotonic()

    def take(self, n=1):
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.refill)
        self.at = now
        if self.level < n:
            return False
        self.level -= n
        return True


class Buckets:
    """All buckets of one region."""

    def __init__(self, region):
        self._buckets = {name: Bucket(*size) for name, size in BUCKETS.items()}
        rate = GET_LOGS.get(region, GET_LOGS_ELSEWHERE)
        self._buckets["get-logs"] = Bucket(rate, rate)

    def take(self, name, n=1):
        if not self._buckets[name].take(n):
            raise AwsError(CODES.get(name, "ThrottlingException"), "Rate exceeded")

    def operation(self, operation):
        self.take(OPERATIONS[operation])
