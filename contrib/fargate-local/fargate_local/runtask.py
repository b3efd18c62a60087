# RunTask: validation in AWS's words, idempotency by clientToken, quota, placement.
# SPDX-License-Identifier: GPL-2.0-or-later
import copy
import json
import re
import time

from . import limits
from .errors import AwsError, client, invalid
from .task import Task, subject_of
from .world import PROVIDERS

NEWEST = "1.4.0"
PLATFORMS = {"LATEST": NEWEST, NEWEST: NEWEST, "1.3.0": "1.3.0"}
NEW_SIZES = 8192                # CPU units from which the newest platform is needed, aws-facts 3
FREE_STORAGE = 20               # GiB, aws-facts 3
TOKEN_LIFE, TOKEN_AFTER_TASK = 24 * 3600, 3600      # aws-facts 1.2
VCPU_LIMIT = "You’ve reached the limit on the number of vCPUs you can run concurrently"
CPU_ABOVE = "The requested CPU configuration is above your limit."
CONFLICT = ("The request could not be processed because of conflict in the current state of the "
            "resource.")


class TaskRequest:
    """A RunTask call after validation; one for each of its tasks, differing in the provider."""

    def __init__(self, region, cluster, params, entry):
        definition = entry["definition"]
        self.region, self.cluster, self.definition = region, cluster, entry
        self.family = definition["family"]
        self.overrides = stored_overrides(params.get("overrides", {}))
        self.started_by = params.get("startedBy")
        self.client_token = params.get("clientToken")
        self.group = params.get("group", f"family:{self.family}")
        self.tags = all_tags(params, entry, cluster)
        self.exec_enabled = params.get("enableExecuteCommand", False)
        overrides = params.get("overrides", {})
        self.cpu, self.memory = limits.fargate_size(
            overrides.get("cpu", definition["cpu"]), overrides.get("memory", definition["memory"]),
            region.world.allow_32vcpu)
        limits.check_shares(self.cpu, self.memory, merged(definition, overrides))
        storage = overrides.get("ephemeralStorage", definition.get("ephemeralStorage"))
        self.storage = storage["sizeInGiB"] if storage else FREE_STORAGE
        self.platform = platform(params, self.cpu >= NEW_SIZES or storage is not None)
        self.subnet = params["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]
        self.zone = region.name + "abc"[sum(self.subnet.encode()) % 3]
        self.provider = self.subject = None

    def for_provider(self, provider):
        out = copy.copy(self)
        out.provider = provider
        out.subject = subject_of(self.started_by, self.tags, self.cluster, provider, self.subnet)
        return out


class Remembered:
    """What a clientToken stands for."""

    def __init__(self, params, tasks, failures, reply=None):
        self.params, self.tasks, self.failures = params, tasks, failures
        self.reply = reply          # of a fault rule
        self.made = time.monotonic()

    def alive(self):
        now = time.monotonic()
        ended = [t.stopped_at for t in self.tasks]
        gone = self.tasks and None not in ended and now - max(ended) > TOKEN_AFTER_TASK
        return now - self.made < TOKEN_LIFE and not gone

    def answer(self):
        if self.reply is not None:
            return self.reply
        short = ("taskArn", "lastStatus", "desiredStatus")
        return {"tasks": [t.view(tags=True) if t.stopped_at is None else {k: t.shown[k] for k in short}
                          for t in self.tasks], "failures": self.failures}


def merged(definition, overrides):
    """The containers of the definition with what the overrides change of their sizes."""
    changes = {o.get("name"): {k: o[k] for k in ("cpu", "memory", "memoryReservation") if k in o}
               for o in overrides.get("containerOverrides", ())}
    return [{**c, **changes.get(c["name"], {})} for c in definition["containerDefinitions"]]


def platform(params, needs_new):
    """The platform version that is shown: never LATEST."""
    wanted = params.get("platformVersion", "LATEST")
    if wanted not in PLATFORMS:
        raise AwsError("PlatformUnknownException", "The platform version specified is not "
                       "recognized. Specify a valid platform version and try again.")
    if PLATFORMS[wanted] != NEWEST and needs_new:
        raise AwsError("PlatformTaskDefinitionIncompatibilityException", "The specified platform "
                       "version doesn't satisfy the required capabilities of the task definition.")
    return PLATFORMS[wanted]


def stored_overrides(overrides):
    stored = copy.deepcopy(overrides)
    stored.setdefault("containerOverrides", [])
    stored.setdefault("inferenceAcceleratorOverrides", [])
    if len(json.dumps(stored, separators=(",", ":"), ensure_ascii=False)) > limits.OVERRIDES_MAX:
        raise invalid(limits.OVERRIDES_TEXT)
    return stored


def all_tags(params, entry, cluster):
    tags = list(params.get("tags", ()))
    if params.get("propagateTags") == "TASK_DEFINITION":
        have = {t["key"] for t in tags}
        tags += [t for t in entry["tags"] if t["key"] not in have]
    if params.get("enableECSManagedTags"):
        tags.append({"key": "aws:ecs:clusterName", "value": cluster})
    return tags


def find_cluster(region, params):
    cluster = region.cluster(params.get("cluster", "default"))
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def find_definition(region, params):
    entry = region.definitions.find(params["taskDefinition"])
    if entry is None:
        raise client("TaskDefinition not found.")
    if entry["definition"]["status"] != "ACTIVE":
        raise invalid("TaskDefinition is inactive")
    return entry


def strategy_of(params):
    """[(provider, base, weight)] of the call."""
    strategy, launch_type = params.get("capacityProviderStrategy"), params.get("launchType")
    if strategy and launch_type:
        raise invalid("specifying both a launch type and capacity provider strategy is not "
                      "supported. Remove one and try again.")
    if launch_type == "FARGATE":
        return [("FARGATE", 0, 1)]
    if not strategy:        # EC2 is the default, and no cluster here has a default strategy
        raise invalid("No Container Instances were found in your cluster.")
    items = [(i["capacityProvider"], i.get("base", 0), i.get("weight", 0)) for i in strategy]
    if any(name not in PROVIDERS for name, _, _ in items):
        raise invalid("The specified capacity provider strategy cannot contain a capacity provider "
                      "that is not associated with the cluster.")
    if sum(base > 0 for _, base, _ in items) > 1:
        raise invalid("Only one capacity provider in a strategy can have a base defined.")
    if not any(weight for _, _, weight in items):
        raise invalid("The specified capacity provider strategy must contain at least one capacity "
                      "provider with a weight greater than 0.")
    return items


def pick_providers(items, count):
    """First the bases, then by weight: always the one furthest behind its share."""
    names, given = [], dict.fromkeys((n for n, _, _ in items), 0)
    for name, base, _ in items:
        names += [name] * min(base, count - len(names))
    weighted = [(n, w) for n, _, w in items if w]
    while len(names) < count:
        name = min(weighted, key=lambda nw: (given[nw[0]] + 1) / nw[1])[0]
        given[name] += 1
        names.append(name)
    return names


def check_network(params):
    config = params.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if config is None:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is "
                      "specified.")
    for kind, member, what, code in (
            ("subnet", "subnets", "subnet ID", "InvalidSubnetID.NotFound"),
            ("sg", "securityGroups", "security group", "InvalidGroup.NotFound")):
        name = "subnet" if kind == "subnet" else "security group"
        for item in config.get(member, ()):
            if not re.fullmatch(kind + r"-[0-9A-Za-z-]+", item):
                raise invalid(f"Error retrieving {name} information for [{item}]: The {what} "
                              f"'{item}' does not exist (ErrorCode: {code})")


def check_definition(params, definition):
    if "FARGATE" not in definition["compatibilities"]:
        raise invalid("Task definition does not support launch_type FARGATE.")
    names = {c["name"] for c in definition["containerDefinitions"]}
    for override in params.get("overrides", {}).get("containerOverrides", ()):
        if override.get("name") not in names:
            raise invalid(f"Override for container named {override.get('name', 'null')} is not a container "
                          "in the TaskDefinition")
    if params.get("enableExecuteCommand") and not params.get("overrides", {}).get(
            "taskRoleArn", definition.get("taskRoleArn")):
        raise invalid("The execute command cannot be enabled for a task without a task role.")


def validate(region, params):
    """The checked TaskRequest of a call, its strategy and its number of tasks."""
    cluster = find_cluster(region, params)
    entry = find_definition(region, params)
    definition = entry["definition"]
    items = strategy_of(params)
    check_definition(params, definition)
    check_network(params)
    return TaskRequest(region, cluster, params, entry), items, params.get("count", 1)


def token_key(region, params):
    return region.cluster(params.get("cluster", "default")), params.get("clientToken")


def is_known(region, params):
    """True when this clientToken was answered before and still lives."""
    known = region.tokens.get(token_key(region, params))
    return known is not None and known.alive()


def replay(region, params):
    """The remembered answer of this clientToken, or None."""
    if not is_known(region, params):
        return None
    known = region.tokens[token_key(region, params)]
    if known.params != params:
        raise AwsError("ConflictException", CONFLICT, resourceIds=[t.arn for t in known.tasks])
    return known.answer()


def remember(region, params, tasks, failures, reply=None):
    """For the next call with the same clientToken; returns the answer."""
    known = Remembered(params, tasks, failures, reply)
    if "clientToken" in params:
        region.tokens[token_key(region, params)] = known
    return known.answer()


def refusal(region, request):
    """failures[] entry when the vCPU quota does not allow the task."""
    left, limit = region.quota_left(request.provider)
    if request.cpu > limit:
        return {"reason": CPU_ABOVE}
    return {"reason": VCPU_LIMIT} if request.cpu > left else None


def run_task(region, params):
    known = replay(region, params)
    if known is not None:
        return known
    request, items, count = validate(region, params)
    providers = pick_providers(items, count)
    region.buckets.take("runtask-fargate")
    for provider in PROVIDERS:
        region.buckets.take(f"launch-{provider}", providers.count(provider))
    tasks, failures = [], []
    for provider in providers:
        one = request.for_provider(provider)
        failure = refusal(region, one)
        if failure:
            failures.append(failure)
            continue
        task = Task(one)
        region.add(task)
        region.world.lifecycle.begin(task)
        tasks.append(task)
    return remember(region, params, tasks, failures)


def subject(region, params):
    """For the match object of fault rules, before anything is validated."""
    strategy = params.get("capacityProviderStrategy") or [{}]
    provider = strategy[0].get("capacityProvider", params.get("launchType"))
    subnets = params.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets")
    return subject_of(params.get("startedBy"), params.get("tags", ()),
                      region.cluster(params.get("cluster", "default")), provider,
                      (subnets or [None])[0])
