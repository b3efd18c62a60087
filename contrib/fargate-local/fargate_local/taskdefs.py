# Task definitions: register, describe, deregister, and what RunTask needs of them.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import time

from . import limits
from .errors import client

LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
# Members of a container definition that Fargate refuses (aws-facts 3)
NOT_ON_FARGATE = ("disableNetworking", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions",
                  "extraHosts", "links", "privileged")
TASK_NOT_ON_FARGATE = ("ipcMode", "placementConstraints")
LINUX_NOT_ON_FARGATE = ("maxSwap", "swappiness")
UNSUPPORTED = "The '%s' parameter is not supported for Fargate tasks."
STORED = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions",
          "volumes", "placementConstraints", "requiresCompatibilities", "cpu", "memory", "pidMode",
          "ipcMode", "proxyConfiguration", "inferenceAccelerators", "ephemeralStorage",
          "runtimePlatform")


def _check_container(container, fargate):
    if not container.get("name"):
        raise client("Container.name should not be null or empty.")
    if not container.get("image"):
        raise client("Container.image should not be null or empty.")
    if not fargate:
        return
    for member in NOT_ON_FARGATE:
        if container.get(member):
            raise client(UNSUPPORTED % member)
    for member in LINUX_NOT_ON_FARGATE:
        if member in container.get("linuxParameters", {}):
            raise client(UNSUPPORTED % member)
    if any(r["type"] == "GPU" for r in container.get("resourceRequirements", ())):
        raise client(UNSUPPORTED % "GPU")
    for ports in container.get("portMappings", ()):
        if ports.get("hostPort", 0) not in (0, ports.get("containerPort")):
            raise client("When networkMode=awsvpc, the host ports and container ports in port "
                         "mappings must match.")
    _check_log(container.get("logConfiguration"))


def _check_log(log):
    if log is None:
        return
    if log["logDriver"] not in LOG_DRIVERS:
        raise client("Log driver " + log["logDriver"] + " is not supported for Fargate tasks.")
    options = log.get("options", {})
    if log["logDriver"] == "awslogs":
        for key in ("awslogs-group", "awslogs-region", "awslogs-stream-prefix"):
            if not options.get(key):
                raise client(f"Log driver awslogs requires options: {key}")


def _check_volumes(volumes):
    """EFS: IAM and access points go only over TLS (aws-facts 3, our text)."""
    for volume in volumes:
        efs = volume.get("efsVolumeConfiguration", {})
        if efs.get("authorizationConfig") and efs.get("transitEncryption") != "ENABLED":
            raise client("EFS transit encryption must be enabled for volume "
                         f"{volume.get('name')}, as it uses an access point or IAM.")


def _check_fargate(params, allow_32vcpu):
    if params.get("networkMode") != "awsvpc":
        raise client("Fargate only supports network mode ‘awsvpc’.")
    if "cpu" not in params or "memory" not in params:
        raise client("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    for member in TASK_NOT_ON_FARGATE:
        if params.get(member):
            raise client(UNSUPPORTED % member)
    units, mib = limits.fargate_size(params["cpu"], params["memory"], allow_32vcpu)
    limits.check_shares(units, mib, params["containerDefinitions"])
    _check_volumes(params.get("volumes", ()))
    drivers = {c["logConfiguration"]["logDriver"] for c in params["containerDefinitions"]
               if "logConfiguration" in c}
    if "awslogs" in drivers and "executionRoleArn" not in params:
        raise client("Fargate requires task definition to have execution role ARN to support log "
                     "driver awslogs.")
    return units, mib


class Definitions:
    """All task definitions of one region."""

    def __init__(self, arn_prefix, allow_32vcpu):
        self._arn_prefix, self._allow_32vcpu = arn_prefix, allow_32vcpu
        self._families = {}         # family -> list of definitions, revision 1 first

    def register(self, params):
        fargate = "FARGATE" in params.get("requiresCompatibilities", ())
        names = [c.get("name") for c in params["containerDefinitions"]]
        for container in params["containerDefinitions"]:
            _check_container(container, fargate)
        if len(set(names)) != len(names):
            raise client("Container names must be unique.")
        if all(c.get("essential") is False for c in params["containerDefinitions"]):
            raise client("At least one container must be essential.")
        stored = {k: params[k] for k in STORED if k in params}
        stored.setdefault("volumes", [])
        stored.setdefault("placementConstraints", [])
        if fargate:
            units, mib = _check_fargate(params, self._allow_32vcpu)
            stored["cpu"], stored["memory"] = str(units), str(mib)
        size = len(json.dumps(stored, ensure_ascii=False).encode())
        if size > limits.DEFINITION_MAX:
            raise client(f"Actual length: '{size}'. Max allowed length is "
                         f"'{limits.DEFINITION_MAX}' bytes.")
        stored["containerDefinitions"] = [
            {"cpu": 0, "portMappings": [], "essential": True, "environment": [], "mountPoints": [],
             "volumesFrom": [], **c} for c in params["containerDefinitions"]]
        revisions = self._families.setdefault(params["family"], [])
        revision = len(revisions) + 1
        stored.update(
            taskDefinitionArn=f"{self._arn_prefix}:task-definition/{params['family']}:{revision}",
            revision=revision, status="ACTIVE", registeredAt=round(time.time(), 3),
            compatibilities=["EC2", "FARGATE"] if fargate else ["EC2"])
        entry = {"definition": stored, "tags": params.get("tags", [])}
        revisions.append(entry)
        return entry

    def find(self, name):
        """family, family:revision or ARN; the latest ACTIVE without revision. None if absent."""
        if name.startswith("arn:"):
            prefix, _, name = name.partition(":task-definition/")
            if prefix != self._arn_prefix:
                return None
        family, _, revision = name.partition(":")
        entries = self._families.get(family, [])
        if not revision:
            active = [e for e in entries if e["definition"]["status"] == "ACTIVE"]
            return active[-1] if active else None
        if not revision.isdecimal() or not 1 <= int(revision) <= len(entries):
            return None
        return entries[int(revision) - 1]

    def describe(self, name):
        entry = self.find(name)
        if entry is None:
            raise client("Unable to describe task definition.")
        return entry

    def deregister(self, name):
        entry = self.find(name)
        if entry is None or ":" not in name:
            raise client("The specified task definition does not exist. Specify a valid account, "
                         "family, revision and try again.")
        entry["definition"]["status"] = "INACTIVE"
        entry["definition"]["deregisteredAt"] = round(time.time(), 3)
        return entry
