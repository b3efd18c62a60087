# Walks a task along the recorded Fargate timeline, running its containers for real.
# SPDX-License-Identifier: GPL-2.0-or-later
import asyncio
import logging
import signal
import time

from . import limits
from .awslogs import Driver
from .containers import surroundings

log = logging.getLogger(__name__)

# Seconds after creation, divided by --speed (aws-facts 2.3; PENDING and ACTIVATING are not in
# the record and lie where the states before and after allow)
AT = {"PENDING": 8.0, "pull-start": 18.8, "pull-stop": 20.4, "ACTIVATING": 20.5, "run": 20.9}
EXIT_TO_STOPPING, STOPPING_TO_STOPPED = 10.0, 23.0
STOP_TO_SIGTERM = 0.2
STOP_TIMEOUT = 30       # Fargate's default, per container in its definition
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ESSENTIAL_EXITED = "Essential container in task exited"


def now():
    return round(time.time(), 3)


class Lifecycle:
    """Drives all tasks. settings: speed, uid; faults and containers as in their modules."""

    def __init__(self, containers, faults, speed, uid):
        self.containers, self.faults, self.speed, self.uid = containers, faults, speed, uid
        self.new_task = asyncio.Event()     # replaced whenever it is set, like Task.changed

    # -- timers ---------------------------------------------------------------------------------
    def later(self, task, seconds, call, *args):
        """Runs call(task, *args) after scaled seconds, unless the task's timers are dropped."""
        def run():
            task.timers.discard(handle)
            call(task, *args)
        handle = asyncio.get_running_loop().call_later(seconds / self.speed, run)
        task.timers.add(handle)

    @staticmethod
    def drop_timers(task):
        for handle in task.timers:
            handle.cancel()
        task.timers.clear()

    def changed(self, task, bump=True):
        if bump:
            task.shown["version"] += 1
        task.changed.set()
        task.changed = asyncio.Event()

    def status(self, task, status, bump=True):
        """Moves lastStatus, unless a fault keeps this state out of sight or the task in one."""
        if status in task.effects.get("skip", ()):
            return
        task.shown["lastStatus"] = status
        task.history.append((status, time.time()))
        self.changed(task, bump)

    # -- the way up -----------------------------------------------------------------------------
    def begin(self, task):
        task.effects = self.faults.for_task(task.subject())
        task.missing_left = task.effects.get("missing", 0)
        task.history.append(("PROVISIONING", time.time()))
        self.new_task.set()
        self.new_task = asyncio.Event()
        self.enter(task, "PROVISIONING")
        self.later(task, AT["PENDING"], self.pending)

    def enter(self, task, phase):
        """Arms the ending of a fault rule; True when a fault keeps the task in this phase."""
        ending = task.effects.get("ending", {})
        if ending.get("at") == phase:
            self.later(task, ending.get("after", 0), self.fault_ending, ending)
        return task.effects.get("stick") == phase

    def pending(self, task):
        if task.effects.get("stick") == "PROVISIONING":
            return
        shown = task.shown
        shown["connectivity"], shown["connectivityAt"] = "CONNECTED", now()
        self.attach(task)
        self.status(task, "PENDING")
        if self.enter(task, "PENDING"):
            return
        self.later(task, AT["pull-start"] - AT["PENDING"], self.stamp, "pullStartedAt")
        self.later(task, AT["pull-stop"] - AT["PENDING"], self.stamp, "pullStoppedAt")
        self.later(task, AT["ACTIVATING"] - AT["PENDING"], self.activating)

    @staticmethod
    def stamp(task, member):
        task.shown[member] = now()

    def activating(self, task):
        self.status(task, "ACTIVATING", bump=False)
        if not self.enter(task, "ACTIVATING"):
            self.later(task, AT["run"] - AT["ACTIVATING"], self.start)

    @staticmethod
    def attach(task):
        """The network interface arrives: the address is made from the task's id."""
        number = int(task.id[:4], 16)
        address = f"10.0.{number >> 8}.{number & 255}"
        attachment = task.shown["attachments"][0]
        attachment["status"] = "ATTACHED"
        attachment["details"] += [
            {"name": "networkInterfaceId", "value": f"eni-{task.id[:17]}"},
            {"name": "macAddress", "value": f"06:00:00:00:{task.id[:2]}:{task.id[2:4]}"},
            {"name": "privateDnsName",
             "value": f"ip-{address.replace('.', '-')}.{task.region.name}.compute.internal"},
            {"name": "privateIPv4Address", "value": address}]
        for container in task.containers:
            container.shown["networkInterfaces"] = [
                {"attachmentId": attachment["id"], "privateIpv4Address": address}]

    # -- containers -----------------------------------------------------------------------------
    def start(self, task):
        for container in task.containers:
            error = self.open_log(task, container)
            if error:
                for opened in task.containers:
                    if opened.driver is not None:
                        opened.driver.abandon()
                self.start_failed(task, error)
                return
        for container in task.containers:
            container.state = "starting"
            out, err = (p.take_writer() for p in container.driver.pipes)
            self.containers.start(container.key, self.order(task, container), out, err,
                                  _Events(self, task, container))

    def open_log(self, task, container):
        """Creates the log stream and the driver; returns an error text or None."""
        config = container.definition.get("logConfiguration", {})
        options = config.get("options", {})
        rule, stream = self.faults.for_logs(task.subject()), Discard()
        if config.get("logDriver") == "awslogs":
            region = task.region.world.region(options["awslogs-region"])
            name = f"{options['awslogs-stream-prefix']}/{container.definition['name']}/{task.id}"
            stream = region.logs.create_stream(options["awslogs-group"], name, rule,
                                               options.get("awslogs-create-group") == "true")
            if stream is None:
                return ("ResourceInitializationError: failed to validate logger args: create "
                        "stream has been retried 1 times: failed to create Cloudwatch log stream: "
                        "ResourceNotFoundException: The specified log group does not exist.")
        container.driver = Driver(stream, self.speed, rule)
        return None

    def order(self, task, container):
        definition, override = container.definition, container.override
        command = override.get("command") or definition.get("command") or []
        entry = definition.get("entryPoint") or []
        hostname = f"ip-10-0-{int(task.id[:2], 16)}-{int(task.id[2:4], 16)}"
        meta = f"http://169.254.170.2/v4/{task.id}-{int(container.id[:8], 16):010d}"
        env = {"PATH": PATH, "HOSTNAME": hostname, "HOME": "/",
               "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "AWS_REGION": task.region.name,
               "AWS_DEFAULT_REGION": task.region.name, "ECS_CONTAINER_METADATA_URI_V4": meta,
               "ECS_CONTAINER_METADATA_URI": meta.replace("/v4/", "/v3/")}
        for pair in (*definition.get("environment", ()), *override.get("environment", ())):
            env[pair["name"]] = pair.get("value", "")
        return {"argv": [*entry, *command] or ["/bin/sh"], "env": env, **surroundings(definition),
                "cwd": definition.get("workingDirectory", "/"), "uid": self.uid,
                "hostname": hostname}

    def started(self, task, container):
        container.state = "running"
        container.shown.update(lastStatus="RUNNING",
                               runtimeId=f"{task.id}-{int(container.id[:8], 16):010d}")
        if task.stop_requested or task.essential_exited:    # decided while it was starting
            self.terminate(container)
        if any(c.state in ("new", "starting") for c in task.containers) \
                or "startedAt" in task.shown:
            return
        task.shown["startedAt"] = now()
        if task.shown["desiredStatus"] == "RUNNING":
            self.status(task, "RUNNING")
            self.enter(task, "RUNNING")

    def failed(self, task, container, error):
        container.state = "failed"
        container.driver.abandon()
        text = ("CannotStartContainerError: Error response from daemon: failed to create shim "
                "task: OCI runtime create failed: runc create failed: unable to start container "
                f"process: {error}: unknown")[:limits.REASON_MAX]
        container.shown["reason"] = text
        self.start_failed(task, text)

    def start_failed(self, task, text):
        if not task.stop_requested:
            self.stop(task, "TaskFailedToStart", text)
        self.kill(task)
        self.check_all_ended(task)

    def exited(self, task, container, code):
        """Its log is read to the end before AWS hears of the exit."""
        container.driver.ended.add_done_callback(
            lambda _: self.container_ended(task, container, code))

    def container_ended(self, task, container, code):
        container.state, container.exit_code, container.ended_at = "ended", code, now()
        when = self.faults.setting("exitcode_at", "stopping")
        if when == "exec" or (when == "stopping" and task.shown["desiredStatus"] == "STOPPED"):
            self.reveal(task, container)
        if container.essential and not task.stop_requested and "ending" not in task.effects \
                and task.effects.get("stick") != "RUNNING" and not task.essential_exited:
            task.essential_exited = True
            self.signal(task)
            self.drop_timers(task)
            self.later(task, EXIT_TO_STOPPING, self.natural_stop)
        self.check_all_ended(task)

    def reveal(self, task, container):
        if container.exit_code is not None and container.shown["lastStatus"] != "STOPPED":
            container.shown.update(lastStatus="STOPPED", exitCode=container.exit_code)
            if container is task.containers[0]:
                self.apply_wish(container.shown, task.fault_container)
            task.shown["executionStoppedAt"] = max(
                container.ended_at, task.shown.get("executionStoppedAt", 0))
            self.changed(task, bump=False)

    def kill(self, task):
        for container in task.containers:
            if container.state in ("starting", "running"):
                self.containers.kill(container.key, signal.SIGKILL)

    def signal(self, task):
        for container in task.containers:
            if container.state == "running":
                self.terminate(container)

    def terminate(self, container):
        """SIGTERM, and SIGKILL once stopTimeout is over."""
        self.containers.kill(container.key, signal.SIGTERM)
        asyncio.get_running_loop().call_later(
            container.definition.get("stopTimeout", STOP_TIMEOUT) / self.speed,
            self.containers.kill, container.key, signal.SIGKILL)

    # -- the way down ---------------------------------------------------------------------------
    def natural_stop(self, task):
        if not task.stop_requested:
            self.stop(task, "EssentialContainerExited", ESSENTIAL_EXITED)
            self.check_all_ended(task)

    def fault_ending(self, task, ending):
        if task.stop_requested:
            return
        task.fault_container = ending.get("container", {})
        self.stop(task, ending.get("stopCode", "EssentialContainerExited"),
                  ending.get("stoppedReason", ESSENTIAL_EXITED))
        self.later(task, STOP_TO_SIGTERM, self.signal)
        self.check_all_ended(task)

    def user_stop(self, task, reason):
        """StopTask; nothing happens to a task that is stopping already, but that it may go on."""
        if task.stop_requested:
            if task.status == "DEPROVISIONING" and task.effects.pop("stick", None):
                self.later(task, STOPPING_TO_STOPPED, self.stopped)
            return
        task.tags_deleted = True
        self.stop(task, "UserInitiated", reason or "Task stopped by user")
        self.later(task, STOP_TO_SIGTERM, self.signal)
        self.check_all_ended(task)

    def stop(self, task, code, reason):
        """From here on desiredStatus is STOPPED; lastStatus follows when nothing runs any more."""
        task.stop_requested = True
        self.drop_timers(task)
        task.shown.update(desiredStatus="STOPPED", stoppingAt=now())
        self.apply_wish(task.shown, {"stopCode": code, "stoppedReason": reason})
        if self.faults.setting("exitcode_at", "stopping") != "stopped":
            for container in task.containers:
                self.reveal(task, container)
        self.changed(task, bump=code == "UserInitiated")    # versions 5 and 6 in the record

    def forget(self, task):
        """For a reset: the containers die and nobody hears of it."""
        self.drop_timers(task)
        task.stop_requested = task.going_down = True
        self.kill(task)

    def check_all_ended(self, task):
        """Goes on to DEPROVISIONING when the stop is decided and no container lives."""
        if not task.stop_requested or task.going_down:
            return
        if any(c.state in ("starting", "running") for c in task.containers):
            return
        task.going_down = True
        self.drop_timers(task)
        self.later(task, STOP_TO_SIGTERM, self.deprovisioning)
        if task.effects.get("stick") != "DEPROVISIONING":
            self.later(task, STOPPING_TO_STOPPED, self.stopped)

    def deprovisioning(self, task):
        self.status(task, "DEPROVISIONING")

    def stopped(self, task):
        for container in task.containers:
            self.reveal(task, container)
            container.shown["lastStatus"] = "STOPPED"
        self.apply_wish(task.containers[0].shown, task.fault_container)
        task.shown["attachments"][0]["status"] = "DELETED"
        task.shown["stoppedAt"] = now()
        task.stopped_at = time.monotonic()
        task.region.quota_freed(task)
        self.status(task, "STOPPED")

    @staticmethod
    def apply_wish(shown, wish):
        """The fault rule's container: null takes a member away."""
        for member, value in wish.items():
            shown.pop(member, None)
            if value is not None:
                shown[member] = value


class Discard:
    """Where output goes when the definition has no awslogs."""

    def put(self, _batch):
        """Forgets it."""


class _Events:
    """What containers.py tells of one container."""

    def __init__(self, lifecycle, task, container):
        self._lifecycle, self._task, self._container = lifecycle, task, container

    def started(self):
        self._lifecycle.started(self._task, self._container)

    def failed(self, error):
        log.info("task %s: %s", self._task.id, error)
        self._lifecycle.failed(self._task, self._container, error)

    def exited(self, code):
        self._lifecycle.exited(self._task, self._container, code)


