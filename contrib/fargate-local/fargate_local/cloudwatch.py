# CloudWatch: what of the vCPU quotas is in use, as AWS/Usage shows it, minute by minute.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import random
import time

from .errors import AwsError
from .world import CLASSES

MINUTE = 60
POINTS_MAX = 1440               # aws-facts 4.5
STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum, "SampleCount": len,
              "Average": lambda values: sum(values) / len(values)}


def _combination(message):
    return AwsError("InvalidParameterCombination", message)


def most(parts, start, end):
    """The greatest sum of the parts in [start, end)."""
    times = [start, *(t for part in parts for t in part.between(start, end))]
    return max(sum(part.at(t) for part in parts) for t in times)


def minutes(parts, start, end, until):
    """(minute, most in it) that AWS has published at `until`: whole minutes, and nothing of idle ones."""
    first = int(start // MINUTE) * MINUTE
    for minute in range(first, int(min(end, until) // MINUTE + 1) * MINUTE, MINUTE):
        if minute < min(end, until):
            value = most(parts, minute, min(minute + MINUTE, until))
            if value > 0:
                yield minute, value


def check(params):
    """The call's Statistics, once everything that the model does not say holds (aws-facts 4.5)."""
    if not params.get("Statistics"):
        raise AwsError("MissingParameter", "The parameter Statistics is required.")
    period, span = params["Period"], params["EndTime"] - params["StartTime"]
    if period < MINUTE or period % MINUTE:
        raise AwsError("InvalidParameterValue", "The parameter Period must be a multiple of 60.")
    if span <= 0:
        raise _combination("The parameter StartTime must be less than the parameter EndTime.")
    if span / period > POINTS_MAX:
        raise _combination(f"You have requested up to {int(span / period):,} datapoints, which exceeds the "
                           f"limit of {POINTS_MAX:,}. You may reduce the datapoints requested by increasing "
                           "Period, or decreasing the time range.")
    return params["Statistics"]


def provider_of(params):
    """The provider whose use the call asks for; None unless namespace, name and all four dimensions are exact."""
    given = {d["Name"]: d["Value"] for d in params.get("Dimensions", ())}
    for provider, usage_class in CLASSES.items():
        if given == {"Service": "Fargate", "Type": "Resource", "Resource": "vCPU", "Class": usage_class} and \
                (params["Namespace"], params["MetricName"]) == ("AWS/Usage", "ResourceCount") and \
                params.get("Unit", "None") == "None":
            return provider
    return None


def get_metric_statistics(region, params):
    statistics, provider = check(params), provider_of(params)
    periods = {}
    if provider is not None:
        until = time.time() - region.world.faults.setting("usage_delay", 0)
        parts = (region.in_use[provider], region.world.others[provider])
        for minute, value in minutes(parts, params["StartTime"], params["EndTime"], until):
            periods.setdefault(minute // params["Period"] * params["Period"], []).append(value)
    points = [{"Timestamp": datetime.datetime.fromtimestamp(at, datetime.timezone.utc),
               **{s: float(STATISTICS[s](values)) for s in statistics}, "Unit": "None"}
              for at, values in periods.items()]
    random.shuffle(points)      # in no order, says AWS
    return {"Label": params["MetricName"], "Datapoints": points}


OPERATIONS = {"GetMetricStatistics": get_metric_statistics}
