# The HTTP front: every AWS call goes through here, in the order AWS itself would treat it.
# SPDX-License-Identifier: GPL-2.0-or-later
import asyncio
import email.utils
import json
import logging
import time
import uuid

from aiohttp import web

from . import (cloudwatch, ecs, iam, limits, logs, model, query, runtask, servicequotas, sigv4,
               sns, sts)
from .errors import AwsError

log = logging.getLogger(__name__)
BODY_MAX = 2 * 1024 * 1024
DEFAULT_TYPE = "application/x-amz-json-1.1"
THROTTLES = ("Throttling", "ThrottlingException", "RequestLimitExceeded",
             "TooManyRequestsException")
# operation -> what answers it
ANSWERS = {**ecs.OPERATIONS, **sns.OPERATIONS, **servicequotas.OPERATIONS, **cloudwatch.OPERATIONS}
COUNTERS = ("ok", "throttled", "refused", "unknown")


class Cut(Exception):
    """The connection is to be dropped without an answer."""


class Front:
    """keys: access key -> (secret, token or None); policies: access key -> Policy."""

    def __init__(self, world, faults, keys, policies):
        self.world, self.faults, self.keys, self.policies = world, faults, keys, policies
        self.sts = sts.Sts(keys, policies)
        services = model.load()
        self.services = {s.target_prefix: s for s in services if s.target_prefix}
        self.forms = {(action, s.version): s for s in services if s.is_query
                      for action in s.operations}
        self.calls = {}

    def count(self, operation, counter, n=1):
        self.calls.setdefault(operation, dict.fromkeys(COUNTERS, 0))[counter] += n

    def now(self):
        return time.time() + self.faults.setting("clock", 0)

    def by_target(self, request):
        """(service or None, operation) of a JSON service's header."""
        prefix, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        return self.services.get(prefix), operation

    def by_form(self, body):
        """The same of a form."""
        form = query.parse_form(body)
        action = form.get("Action", "")
        return self.forms.get((action, form.get("Version", ""))), action

    async def handle(self, request):
        service, operation = self.by_target(request)
        as_form = service is None and query.is_form(request)
        try:
            try:
                body = await self.body(request)
                if as_form:
                    service, operation = self.by_form(body)
                answer = await self.serve(request, body, service, operation, as_form)
            except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError,
                    ValueError):
                log.exception("%s: a fault of the local AWS itself", operation)
                raise AwsError("ServerException", "the local AWS failed; see its log",
                               500) from None
        except AwsError as e:
            return self.refuse(service, operation, e, as_form)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)     # goes nowhere
        if isinstance(answer, web.Response):
            return answer
        if as_form:
            return self.respond_xml(200, lambda request_id: query.answer(
                operation, service.namespace, answer, request_id))
        return self.respond(service, 200, answer)

    @staticmethod
    async def body(request):
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise AwsError("RequestEntityTooLargeException",
                           f"the request body has more than {BODY_MAX} bytes", 413) from None
        except ConnectionError:
            raise Cut from None     # by the client

    def refuse(self, service, operation, error, as_form):
        known = service is not None and operation in service.operations
        self.count(operation if known else "UnknownOperation",
                   "throttled" if error.code in THROTTLES else "refused")
        if as_form:
            namespace = service.namespace if service else ""
            code, status = query.code_of(namespace, error.code, error.status)
            return self.respond_xml(status, lambda request_id: query.error(
                namespace, code, status, error.message, request_id))
        return self.respond(service, error.status, {
            "__type": error.code, "message": error.message, **error.extra}, error.code)

    def headers(self):
        return {"x-amzn-RequestId": str(uuid.uuid4()),
                "Date": email.utils.formatdate(self.now(), usegmt=True)}

    def respond_xml(self, status, make):
        headers = self.headers()
        return web.Response(status=status, headers=headers, content_type="text/xml",
                            body=make(headers["x-amzn-RequestId"]).encode())

    def respond(self, service, status, body, error=None):
        headers = self.headers()
        if error is not None:
            headers["x-amzn-ErrorType"] = error.rpartition("#")[2]
            if service is not None and service.is_query:    # the name that older clients know
                headers["x-amzn-query-error"] = f"{error};{'Sender' if status < 500 else 'Receiver'}"
            if "#" in error or (service is not None and service.message == "Message"):
                body["Message"] = body.pop("message")       # Coral's own errors spell it so, too
        return web.Response(status=status, headers=headers,
                            body=json.dumps(body, ensure_ascii=False,
                                            default=lambda when: when.timestamp()).encode(),
                            content_type=service.content_type if service else DEFAULT_TYPE)

    async def serve(self, request, body, service, operation, as_form):
        if service is None or operation not in service.operations:
            called = f"Action {operation}" if query.is_form(request) else "no X-Amz-Target"
            raise AwsError("UnknownOperationException",
                           f"{request.headers.get('X-Amz-Target', called)} is not served by the "
                           "local AWS", 404)
        name, access_key = self.caller(request, body, service, operation)
        region = self.world.region(name)
        if self.faults.credentials_expired():
            raise AwsError("ExpiredTokenException",
                           "The security token included in the request is expired")
        params = self.parse(service, operation, body, as_form)
        replayed = operation == "RunTask" and runtask.is_known(region, params)
        rule = self.faults.for_call(operation, self.subjects(region, operation, params), replayed)
        early = await self.apply_fault(rule, operation)
        if early is not None:
            return early
        region.buckets.operation(operation)
        iam.authorise(self.policies[access_key], region, service.name, operation, params)
        limits.check(operation, params)
        answer = None if replayed else self.replied(region, operation, params, rule)
        if answer is None:
            answer = self.run(region, operation, params, access_key)
        self.count(operation, "ok")
        if rule.get("cut") == "after":
            raise Cut
        return answer

    def caller(self, request, body, service, operation):
        """(region, access key) of a signed call; a web identity's token speaks for itself."""
        if operation in sts.UNSIGNED:
            if "Authorization" in request.headers:
                raise AwsError("ValidationError", f"{operation} is not signed")
            return "us-east-1", self.sts.first
        return sigv4.verify(request, body, self.keys, service.signing_name, self.now())

    def parse(self, service, operation, body, as_form):
        if as_form:
            params, unknown = service.check(operation,
                                            service.form(operation, query.parse_form(body)))
            self.count(operation, "unknown", unknown)
            return params
        try:
            params = json.loads(body or b"{}")
            json.dumps(params, ensure_ascii=False).encode()     # half a surrogate pair is no text
        except (ValueError, RecursionError):
            raise AwsError("com.amazon.coral.service#SerializationException",
                           "the request is not JSON") from None
        params, unknown = service.check(operation, params)
        self.count(operation, "unknown", unknown)
        return params

    def subjects(self, region, operation, params):
        """What a rule's match object may match: the new task, or any task the call names."""
        if operation == "RunTask":
            return [runtask.subject(region, params)]
        if "logStreamName" in params:       # its last part is the task's id
            task = region.tasks.get(params["logStreamName"].rpartition("/")[2])
            return [task.subject()] if task else [{}]
        cluster = region.cluster(params.get("cluster", "default"))
        names = params.get("tasks", [params["task"]] if "task" in params else [])
        tasks = [region.find(cluster, n) for n in names] if cluster else []
        return [t.subject() for t in tasks if t] or [{"cluster": cluster}]

    async def apply_fault(self, rule, operation):
        """Delay, cut, raw answer or error of a rule; None when the call goes on."""
        if "delay" in rule:
            await asyncio.sleep(rule["delay"])
        if rule.get("cut") == "before":
            self.count(operation, "refused")
            raise Cut
        if "raw" in rule:
            self.count(operation, "refused")
            raw = rule["raw"]
            return web.Response(status=raw.get("status", 503), text=raw.get("body", ""),
                                content_type=raw.get("type", "text/html"))
        if "error" in rule:
            error = rule["error"]
            raise AwsError(error.get("code", "ServerException"), error.get("message", ""),
                           error.get("status", 400),
                           **{k: error[k] for k in ("resourceIds",) if k in error})
        return None

    def replied(self, region, operation, params, rule):
        """The reply of a rule. RunTask remembers it for its clientToken, as AWS does."""
        if "reply" not in rule:
            return None
        reply = rule["reply"]
        if operation == "RunTask":
            if rule.get("ghost"):       # AWS starts a task all the same
                self.run(region, operation,
                         {k: v for k, v in params.items() if k != "clientToken"})
            runtask.remember(region, params, [], [], reply)
        return reply

    def run(self, region, operation, params, caller=None):
        if operation in sts.OPERATIONS:
            return self.sts.run(operation, params, caller)
        if operation == "DescribeLogStreams":
            return logs.describe_log_streams(region.logs, params, region.logs_arn_prefix)
        if operation in logs.OPERATIONS:
            return logs.OPERATIONS[operation](region.logs, params)
        return ANSWERS[operation](region, params)


@web.middleware
async def in_json(request, handler):
    """The control API says in JSON, too, that there is no such path or method."""
    try:
        return await handler(request)
    except web.HTTPError as e:
        if not request.path.startswith("/_local"):
            raise
        return web.json_response({"error": f"{request.method} {request.path}: {e.reason}"},
                                 status=e.status)


def application(front, control):
    app = web.Application(client_max_size=BODY_MAX, middlewares=[in_json])
    app.router.add_post("/", front.handle)
    control.add_routes(app.router)
    front.sts.add_routes(app.router)
    return app
