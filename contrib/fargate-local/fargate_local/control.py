# /_local/…: what tests ask of and do to the local AWS. Unsigned; it listens on loopback only.
# SPDX-License-Identifier: GPL-2.0-or-later
import asyncio
import json
import math

from aiohttp import web

from .errors import ControlError
from .task import ORDER
from .world import QUOTAS

WAIT_DEFAULT = 30.0
QUOTA_MEMBERS = ("limit", "others", "since", "applied")


def answered(handler):
    """Turns a ControlError into its status with {"error": sentence}."""
    async def run(self, request):
        try:
            return web.json_response(await handler(self, request))
        except ControlError as e:
            return web.json_response({"error": str(e)}, status=e.status)
    return run


async def json_body(request):
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as e:
        raise ControlError(f"the body is not JSON: {e}") from None


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ControlError(f"timeout={text} is not a number of seconds")
    return value


def check_quota(where, member, value):
    """applied is yes or no, the others are numbers."""
    if member == "applied":
        if not isinstance(value, bool):
            raise ControlError(f"{where} must be true or false, not {value!r}")
    elif isinstance(value, bool) or not isinstance(value, (int, float)) \
            or not 0 <= value < math.inf:
        raise ControlError(f"{where} must be a number, not {value!r}")


class Control:
    def __init__(self, world, front, faults):
        self.world, self.front, self.faults = world, front, faults

    def add_routes(self, router):
        router.add_get("/_local/calls", self.calls)
        router.add_get("/_local/messages", self.messages)
        router.add_get("/_local/tasks", self.tasks)
        router.add_post("/_local/tasks/{task}/stop", self.stop)
        router.add_get("/_local/wait", self.wait)
        router.add_get("/_local/faults", self.show_faults)
        router.add_put("/_local/faults", self.put_faults)
        router.add_get("/_local/quotas", self.show_quotas)
        router.add_put("/_local/quotas", self.put_quotas)
        router.add_get("/_local/credentials", self.show_credentials)
        router.add_put("/_local/credentials", self.put_credentials)
        router.add_post("/_local/reset", self.reset)

    @answered
    async def calls(self, _request):
        return self.front.calls

    @answered
    async def messages(self, _request):
        return self.world.messages

    @answered
    async def tasks(self, _request):
        return [t.control_view() for t in self.world.tasks()]

    def find(self, name):
        """Task by id or ARN."""
        task_id = name.rpartition("/")[2]
        for region in self.world.regions.values():
            if task_id in region.tasks:
                return region.tasks[task_id]
        raise ControlError(f"there is no task {name}", 404)

    @answered
    async def stop(self, request):
        body = await json_body(request) if request.can_read_body else {}
        if not isinstance(body, dict) or not isinstance(body.get("reason", ""), str):
            raise ControlError("the body must be an object with, at most, a reason")
        task = self.find(request.match_info["task"])
        self.world.lifecycle.user_stop(task, body.get("reason"))
        return task.control_view()

    @answered
    async def wait(self, request):
        """?task=ID|jobid=N & status= & timeout=: the task, once it has shown that status."""
        query = dict(request.query)
        status = query.get("status", "STOPPED")
        if status not in ORDER:
            raise ControlError(f"status={status} is none of {', '.join(ORDER)}")
        limit = seconds(query.get("timeout", WAIT_DEFAULT))
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while True:
            task = self.wanted(query)
            if task is not None and any(s == status for s, _ in task.history):
                return task.control_view()
            if task is not None and task.status == "STOPPED":
                raise ControlError(f"task {task.id} is STOPPED and was never {status}", 409)
            left = end - loop.time()
            if left <= 0:
                seen = f"task {task.id} is {task.status}" if task else "there is no such task"
                raise ControlError(f"waited {limit:g} s for {status}: {seen}", 408)
            event = task.changed if task is not None else self.world.lifecycle.new_task
            try:
                await asyncio.wait_for(event.wait(), left)
            except asyncio.TimeoutError:
                pass

    def wanted(self, query):
        """The task a wait asks for: the newest of a job, None while the job has none."""
        if "task" in query:
            return self.find(query["task"])
        if "jobid" not in query:
            raise ControlError("wait needs task= or jobid=")
        tasks = [t for t in self.world.tasks() if t.subject()["jobid"] == query["jobid"]]
        return max(tasks, key=lambda t: t.created, default=None)

    @answered
    async def show_faults(self, _request):
        return self.faults.show()

    @answered
    async def put_faults(self, request):
        self.faults.put(await json_body(request))
        return self.faults.show()

    def _quotas(self):
        return {code: self.world.quotas[provider] for code, provider in QUOTAS.items()}

    @answered
    async def show_quotas(self, _request):
        return self._quotas()

    @answered
    async def put_quotas(self, request):
        body = await json_body(request)
        if not isinstance(body, dict):
            raise ControlError("the body must be an object")
        for code, values in body.items():
            if code not in QUOTAS:
                raise ControlError(f"{code} is not a quota here; there are {', '.join(QUOTAS)}")
            if not isinstance(values, dict):
                raise ControlError(f"{code} must be an object")
            for member, value in values.items():
                if member not in QUOTA_MEMBERS:
                    raise ControlError(f"{code} has no member '{member}'; it may have "
                                       + ", ".join(QUOTA_MEMBERS))
                check_quota(f"{code}.{member}", member, value)
        self.world.set_quotas(body)
        return self._quotas()

    @answered
    async def show_credentials(self, _request):
        return self.front.sts.show()

    @answered
    async def put_credentials(self, request):
        self.front.sts.put(await json_body(request))
        return self.front.sts.show()

    @answered
    async def reset(self, _request):
        """No tasks, log streams, messages, counters, faults; default quotas, full buckets.

        What somebody set up stays: task definitions, clusters, log groups, topics."""
        for task in self.world.tasks():
            self.world.lifecycle.forget(task)
        for region in self.world.regions.values():
            region.reset()
        self.world.reset_quotas()
        self.world.messages.clear()
        self.faults.put([])
        self.front.sts.reset()
        self.front.calls.clear()
        return {}
