# Everything that exists in the local AWS, per region: clusters, definitions, tasks, logs, quotas.
# SPDX-License-Identifier: GPL-2.0-or-later
import time

from .buckets import Buckets
from .logs import LogStore
from .steps import Steps
from .taskdefs import Definitions

ACCOUNT = "123456789012"
PROVIDERS = ("FARGATE", "FARGATE_SPOT")
QUOTAS = {"L-3032A538": "FARGATE", "L-36FBB829": "FARGATE_SPOT"}     # aws-facts 4.3
QUOTA_DEFAULT = {"limit": 4000, "others": 0, "applied": True}
CLASSES = {"FARGATE": "Standard/OnDemand", "FARGATE_SPOT": "Standard/Spot"}    # aws-facts 4.5
STOPPED_SHOWN = 3600            # seconds, aws-facts 2.6
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))


def partition(region):
    return next((p for prefix, p in _PARTITIONS if region.startswith(prefix)), "aws")


class Region:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.arn_prefix = f"arn:{partition(name)}:ecs:{name}:{ACCOUNT}"
        self.logs_arn_prefix = f"arn:{partition(name)}:logs:{name}:{ACCOUNT}"
        self.user_arn = f"arn:{partition(name)}:iam::{ACCOUNT}:user/local"
        self.definitions = Definitions(self.arn_prefix, world.allow_32vcpu)
        self.logs = LogStore(world.log_groups)
        self.reset()

    def reset(self):
        self.logs.reset()
        self.buckets = Buckets(self.name)
        self.tasks = {}             # id -> Task
        self.started_by = {}        # startedBy -> list of tasks
        self.tokens = {}            # (cluster, clientToken) -> ecs.Remembered
        self.used = dict.fromkeys(PROVIDERS, 0)     # CPU units of tasks not yet STOPPED
        self.in_use = {p: Steps() for p in PROVIDERS}   # the same in vCPU, as CloudWatch has it

    def cluster(self, name):
        """Short name of an existing cluster (name or ARN), or None."""
        if name.startswith("arn:"):
            prefix, _, name = name.partition(":cluster/")
            if prefix != self.arn_prefix:
                return None
        return name if name in self.world.clusters else None

    def add(self, task):
        self.tasks[task.id] = task
        if task.request.started_by is not None:
            self.started_by.setdefault(task.request.started_by, []).append(task)
        self.count(task.request.provider, task.request.cpu)

    def count(self, provider, units):
        self.used[provider] += units
        self.in_use[provider].set(self.used[provider] / 1024)

    def quota_left(self, provider):
        """CPU units that may still be launched, and the whole limit in CPU units."""
        quota = self.world.quotas[provider]
        limit = quota["limit"] * 1024
        return limit - quota["others"] * 1024 - self.used[provider], limit

    def quota_freed(self, task):
        self.count(task.request.provider, -task.request.cpu)

    def find(self, cluster, name):
        """Task by id or ARN within the cluster, unless it has expired; else None."""
        if name.startswith("arn:"):
            head, _, name = name.rpartition("/")
            if head not in (f"{self.arn_prefix}:task/{cluster}", f"{self.arn_prefix}:task"):
                return None
        task = self.tasks.get(name)
        return task if task and task.cluster == cluster and not self.expired(task) else None

    def expired(self, task):
        keep = self.world.faults.setting("expire_stopped", STOPPED_SHOWN)
        return task.stopped_at is not None and time.monotonic() - task.stopped_at > keep


class World:
    """options: clusters, log_groups, topics, allow_32vcpu; lifecycle and faults as in their modules."""

    def __init__(self, clusters, log_groups, topics, allow_32vcpu, faults, lifecycle):
        self.clusters, self.log_groups = tuple(clusters), tuple(log_groups)
        self.topics = tuple(topics)     # ARNs
        self.messages = []              # published, oldest first
        self.allow_32vcpu = allow_32vcpu
        self.faults, self.lifecycle = faults, lifecycle
        self.reset_quotas()
        self.regions = {}

    def region(self, name):
        if name not in self.regions:
            self.regions[name] = Region(self, name)
        return self.regions[name]

    def reset_quotas(self):
        self.others = {p: Steps() for p in PROVIDERS}       # vCPU
        self.quotas = {p: QUOTA_DEFAULT for p in PROVIDERS}

    def set_quotas(self, quotas):
        """quotas: code -> {limit, others, since, applied}; what is not named goes back to the default.

        since: for how many seconds the others have had theirs already."""
        for code, provider in QUOTAS.items():
            new = {**QUOTA_DEFAULT, **quotas.get(code, {})}
            since = new.pop("since", 0)
            if since or new["others"] != self.quotas[provider]["others"]:
                self.others[provider].set(new["others"], time.time() - since)
            self.quotas[provider] = new

    def tasks(self):
        return [t for r in self.regions.values() for t in r.tasks.values()]
