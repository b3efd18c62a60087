# Service Quotas: the two vCPU quotas of Fargate, as applied to this account and as AWS's default.
# SPDX-License-Identifier: GPL-2.0-or-later
from .errors import AwsError
from .world import ACCOUNT, CLASSES, QUOTAS, partition

AWS_DEFAULT = 6                 # vCPU, aws-facts 4.3; of a quota that has an applied value
NAMES = {"FARGATE": "Fargate On-Demand vCPU resource count",
         "FARGATE_SPOT": "Fargate Spot vCPU resource count"}


def missing(what):
    return AwsError("NoSuchResourceException", f"The request failed because the specified {what}")


def find(region, params):
    """(provider, what was set for it) of the quota that a call names."""
    if params["ServiceCode"] != "fargate":
        raise missing("service does not exist.")
    provider = QUOTAS.get(params["QuotaCode"])
    if provider is None:
        raise missing("quota does not exist.")
    return provider, region.world.quotas[provider]


def answer(region, code, provider, value, account):
    metric = {"MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount",
              "MetricDimensions": {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU",
                                   "Class": CLASSES[provider]},
              "MetricStatisticRecommendation": "Maximum"}
    return {"Quota": {
        "ServiceCode": "fargate", "ServiceName": "AWS Fargate", "QuotaCode": code,
        "QuotaArn": f"arn:{partition(region.name)}:servicequotas:{region.name}:{account}:fargate/{code}",
        "QuotaName": NAMES[provider], "Value": float(value), "Unit": "None", "Adjustable": True,
        "GlobalQuota": False, "UsageMetric": metric}}


def get_service_quota(region, params):
    provider, quota = find(region, params)
    if not quota["applied"]:
        raise missing("quota has no applied value.")
    return answer(region, params["QuotaCode"], provider, quota["limit"], ACCOUNT)


def get_default(region, params):
    """A default quota's ARN has no account (aws-facts 4.4)."""
    provider, quota = find(region, params)
    value = AWS_DEFAULT if quota["applied"] else quota["limit"]
    return answer(region, params["QuotaCode"], provider, value, "")


OPERATIONS = {"GetServiceQuota": get_service_quota, "GetAWSDefaultServiceQuota": get_default}
