# One task: what the API shows of it, and what only the control API shows.
# SPDX-License-Identifier: GPL-2.0-or-later
import asyncio
import copy
import re
import time
import uuid

ORDER = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING",
         "DEPROVISIONING", "STOPPED")


class Container:
    """A container of a task: the API's view and its run-time state."""

    def __init__(self, task, definition, override):
        self.definition, self.override = definition, override
        self.essential = definition.get("essential", True)
        self.id = uuid.uuid4().hex
        self.key = f"{task.id}/{definition['name']}"     # the zygote's name for it
        self.state = "new"          # new, starting, running, ended, failed
        self.exit_code = None       # as it really was
        self.ended_at = None
        self.driver = None
        name = definition["name"]
        self.shown = {
            "containerArn": f"{task.arn.replace(':task/', ':container/', 1)}/{uuid.uuid4()}",
            "taskArn": task.arn, "name": name, "image": definition["image"],
            "lastStatus": "PENDING", "networkInterfaces": [],
            "cpu": str(override.get("cpu", definition.get("cpu", 0)))}
        for member in ("memory", "memoryReservation"):
            if member in override or member in definition:
                self.shown[member] = str(override.get(member, definition.get(member)))


class Task:
    """shown: the members of the API's Task; see lifecycle.py for who changes them."""

    def __init__(self, request):
        """request: ecs.TaskRequest."""
        self.id = uuid.uuid4().hex
        self.request = request
        self.region, self.cluster = request.region, request.cluster
        self.arn = f"{self.region.arn_prefix}:task/{self.cluster}/{self.id}"
        self.created = time.monotonic()
        self.tags = request.tags
        self.tags_deleted = False
        self.history = []           # (lastStatus, time), for wait and for people
        self.changed = asyncio.Event()
        self.timers = set()
        self.effects = {}           # fault effects of this task
        self.missing_left = 0
        self.stop_requested = False         # stopCode and desiredStatus are decided
        self.essential_exited = False
        self.going_down = False             # no container lives and the stop is decided
        self.fault_container = {}           # what a fault rule wants its container to show
        self.stopped_at = None      # monotonic
        overrides = {o["name"]: o for o in request.overrides["containerOverrides"]}
        definition = request.definition["definition"]
        self.containers = [Container(self, c, overrides.get(c["name"], {}))
                           for c in definition["containerDefinitions"]]
        self.shown = self._first_view(request, definition)

    def _first_view(self, request, definition):
        subnet = {"name": "subnetId", "value": request.subnet}
        shown = {
            "attachments": [{"id": str(uuid.uuid4()), "type": "ElasticNetworkInterface",
                             "status": "PRECREATED", "details": [subnet]}],
            "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
            "availabilityZone": request.zone,
            "clusterArn": f"{self.region.arn_prefix}:cluster/{self.cluster}",
            "cpu": str(request.cpu), "memory": str(request.memory),
            "createdAt": round(time.time(), 3), "desiredStatus": "RUNNING",
            "enableExecuteCommand": request.exec_enabled, "group": request.group,
            "healthStatus": "UNKNOWN",
            "lastStatus": "PROVISIONING", "launchType": "FARGATE",
            "capacityProviderName": request.provider,
            "overrides": request.overrides, "platformVersion": request.platform, "platformFamily": "Linux",
            "tags": [], "taskArn": self.arn,
            "taskDefinitionArn": definition["taskDefinitionArn"], "version": 1,
            "ephemeralStorage": {"sizeInGiB": request.storage}}
        if request.started_by is not None:
            shown["startedBy"] = request.started_by
        return shown

    @property
    def status(self):
        return self.shown["lastStatus"]

    def subject(self):
        return self.request.subject

    def view(self, tags=False):
        """As DescribeTasks shows it now."""
        out = copy.deepcopy(self.shown)
        out["containers"] = [copy.deepcopy(c.shown) for c in self.containers]
        if "sidecar_exit" in self.effects:
            out["containers"].insert(0, self._phantom_sidecar())
        out["tags"] = list(self.tags) if tags and not self.tags_deleted else []
        return out

    def _phantom_sidecar(self):
        first = self.containers[0].shown
        ran = any(status == "RUNNING" for status, _ in self.history)
        out = {"containerArn": f"{first['containerArn'].rsplit('/', 1)[0]}/{uuid.UUID(int=1)}",
               "taskArn": self.arn, "name": "sidecar", "image": "sidecar", "cpu": "0",
               "networkInterfaces": first["networkInterfaces"],
               "lastStatus": "STOPPED" if ran else "PENDING"}
        return dict(out, exitCode=self.effects["sidecar_exit"]) if ran else out

    def control_view(self):
        """As GET /_local/tasks shows it: with what StopTask deletes and the API never shows."""
        out = self.view()
        out.update(tags=list(self.tags), clientToken=self.request.client_token,
                   history=[{"lastStatus": s, "at": round(t, 3)} for s, t in self.history])
        return out


def subject_of(started_by, tags, cluster, provider, subnet):
    """What the match object of a fault rule is compared with."""
    by_key = {t["key"]: t.get("value", "") for t in tags}
    tail = re.search(r"/(\d+)$", started_by or "")
    return {"jobid": tail.group(1) if tail else by_key.get("slurm:jobid"),
            "user": by_key.get("slurm:user"), "cluster": cluster, "provider": provider,
            "subnet": subnet}
