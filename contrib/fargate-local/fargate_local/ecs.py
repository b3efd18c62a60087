# The ECS operations but RunTask.
# SPDX-License-Identifier: GPL-2.0-or-later
import time

from .errors import AwsError, invalid
from .runtask import run_task
from .world import PROVIDERS


def the_cluster(region, params):
    name = region.cluster(params.get("cluster", "default"))
    if name is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return name


def hidden(region, operation, task):
    """True while a fault's lag keeps a new task from this operation."""
    lag = region.world.faults.lag(operation, task.subject())
    return time.monotonic() - task.created < lag


def describe_tasks(region, params):
    cluster = the_cluster(region, params)
    tags = "TAGS" in params.get("include", ())
    tasks, failures = [], []
    for name in params["tasks"]:
        task = region.find(cluster, name)
        if task is not None and task.missing_left > 0:
            task.missing_left -= 1
            task = None
        if task is None or hidden(region, "DescribeTasks", task):
            arn = name if name.startswith("arn:") else f"{region.arn_prefix}:task/{cluster}/{name}"
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            tasks.append(task.view(tags))
    return {"tasks": tasks, "failures": failures}


def stop_task(region, params):
    cluster = the_cluster(region, params)
    task = region.find(cluster, params["task"])
    if task is None:
        raise invalid("The referenced task was not found.")
    region.world.lifecycle.user_stop(task, params.get("reason"))
    return {"task": task.view()}


_ALONE = ("family", "launchType", "serviceName", "containerInstance", "daemonName")


def list_tasks(region, params):
    cluster = the_cluster(region, params)
    if "startedBy" in params and any(k in params for k in _ALONE):
        raise invalid("cannot specify startedBy with other arguments")
    desired = params.get("desiredStatus", "RUNNING")
    if "startedBy" in params:
        tasks = region.started_by.get(params["startedBy"], [])
    else:
        tasks = region.tasks.values()
    if any(k in params for k in ("containerInstance", "serviceName", "daemonName")):
        tasks = ()          # Fargate tasks of RunTask have none of them
    arns = [t.arn for t in tasks
            if t.cluster == cluster and t.shown["desiredStatus"] == desired
            and params.get("family") in (None, t.request.family)
            and params.get("launchType") in (None, "FARGATE")
            and not region.expired(t) and not hidden(region, "ListTasks", t)]
    return _paged("taskArns", sorted(arns), params)


def _paged(member, items, params):
    """Pages by last item, so that what ends between two calls shifts nothing."""
    size = params.get("maxResults", 100)
    after = params.get("nextToken", "")
    if after and not after.startswith("arn:"):
        raise invalid("Invalid nextToken.")         # our text
    rest = [i for i in items if i > after]
    answer = {member: rest[:size]}
    if len(rest) > size:
        answer["nextToken"] = rest[size - 1]
    return answer


def describe_clusters(region, params):
    found, failures = [], []
    for wanted in params.get("clusters") or ["default"]:
        name = region.cluster(wanted)
        arn = wanted if wanted.startswith("arn:") else f"{region.arn_prefix}:cluster/{wanted}"
        if name is None:
            failures.append({"arn": arn, "reason": "MISSING"})
            continue
        tasks = [t for t in region.tasks.values() if t.cluster == name]
        found.append({
            "clusterArn": arn, "clusterName": name, "status": "ACTIVE",
            "registeredContainerInstancesCount": 0,
            "runningTasksCount": sum(t.status == "RUNNING" for t in tasks),
            "pendingTasksCount": sum(t.status in ("PROVISIONING", "PENDING", "ACTIVATING")
                                     for t in tasks),
            "activeServicesCount": 0, "statistics": [], "tags": [], "settings": [],
            "capacityProviders": list(PROVIDERS), "defaultCapacityProviderStrategy": []})
    return {"clusters": found, "failures": failures}


def list_clusters(region, params):
    arns = sorted(f"{region.arn_prefix}:cluster/{name}" for name in region.world.clusters)
    return _paged("clusterArns", arns, params)


def describe_task_definition(region, params):
    entry = region.definitions.describe(params["taskDefinition"])
    tags = entry["tags"] if "TAGS" in params.get("include", ()) else []
    return {"taskDefinition": entry["definition"], "tags": tags}


def register_task_definition(region, params):
    entry = region.definitions.register(params)
    return {"taskDefinition": entry["definition"], "tags": entry["tags"]}


def deregister_task_definition(region, params):
    return {"taskDefinition": region.definitions.deregister(params["taskDefinition"])["definition"]}


OPERATIONS = {
    "RunTask": run_task, "DescribeTasks": describe_tasks, "StopTask": stop_task,
    "ListTasks": list_tasks, "DescribeClusters": describe_clusters,
    "ListClusters": list_clusters, "DescribeTaskDefinition": describe_task_definition,
    "RegisterTaskDefinition": register_task_definition,
    "DeregisterTaskDefinition": deregister_task_definition,
}
