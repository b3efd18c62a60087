# STS: temporary keys with a token and an end, which sigv4 enforces; and the two places that hand such keys out by HTTP.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import secrets
import time

from aiohttp import web

from .errors import AwsError, ControlError
from .world import ACCOUNT

LIFETIME = 3600                 # seconds, STS API, DurationSeconds
CHAINED_MAX = 3600              # aws-facts 6.10
IMDS_ROLE = "local-instance"
IMDS_TOKEN_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
# what PUT /_local/credentials may set -> type and default
SETTINGS = {"lifetime": (int, None), "denied": (list, ()), "external_ids": (dict, None), "web_tokens": (list, ()),
            "container_token": (str, None), "imds": (bool, True)}


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def denied(who, action, arn):
    return AwsError("AccessDenied", f"User: {who} is not authorized to perform: sts:{action} on resource: {arn}", 403)


class Sts:
    """keys: access key -> (secret, token, end or None); policies: access key -> Policy. New keys are added to both."""

    def __init__(self, keys, policies):
        self.keys, self.policies = keys, policies
        # who comes without keys of his own may do what the first key may
        self.first = next(iter(keys))
        self.principals = {key: (f"arn:aws:iam::{ACCOUNT}:user/local", "AIDALOCALFARGATE") for key in keys}
        self.reset()

    def reset(self):
        self.settings = {name: default for name, (_, default) in SETTINGS.items()}
        self.imds_tokens = {}
        self.issued = []

    def show(self):
        return {**self.settings, "issued": self.issued}

    def put(self, body):
        if not isinstance(body, dict):
            raise ControlError("the body must be an object")
        for name, value in body.items():
            if name not in SETTINGS:
                raise ControlError(f"there is no setting '{name}'; there are {', '.join(SETTINGS)}")
            if value is not None and (not isinstance(value, SETTINGS[name][0]) or (isinstance(value, bool)
                                                                                  and SETTINGS[name][0] is int)):
                raise ControlError(f"{name} has a value of the wrong type: {value!r}")
        self.settings = {name: default for name, (_, default) in SETTINGS.items()}
        self.settings.update({k: v for k, v in body.items() if v is not None})

    # -- keys ------------------------------------------------------------------------------------

    def issue(self, role, session, duration, parent):
        """New keys, with the rights of `parent` (an access key), as AWS's member names; the end is the setting's if there is one."""
        lifetime = self.settings["lifetime"] if self.settings["lifetime"] is not None else duration
        end = time.time() + lifetime
        key = "ASIA" + secrets.token_hex(8).upper()
        secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(120)
        self.keys[key] = (secret, token, end)
        self.policies[key] = self.policies[parent]
        name, role_id = role.rpartition("/")[2], "AROALOCALFARGATE0"
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"
        self.principals[key] = (arn, f"{role_id}:{session}")
        keys = {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token, "Expiration": stamp(end)}
        self.issued.append({**keys, "Arn": arn})
        return keys, \
            {"AssumedRoleId": f"{role_id}:{session}", "Arn": arn}

    def assume_role(self, params, caller):
        who, arn = self.principals[caller][0], params["RoleArn"]
        wanted = (self.settings["external_ids"] or {}).get(arn)
        if arn in self.settings["denied"] or wanted != params.get("ExternalId"):
            raise denied(who, "AssumeRole", arn)
        duration = params.get("DurationSeconds", LIFETIME)
        if ":assumed-role/" in who and duration > CHAINED_MAX:
            raise AwsError("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles "
                           "assumed by role chaining")
        keys, user = self.issue(arn, params["RoleSessionName"], duration, caller)
        return {"Credentials": keys, "AssumedRoleUser": user}

    def assume_role_with_web_identity(self, params, _caller):
        if params["WebIdentityToken"] not in self.settings["web_tokens"]:
            raise AwsError("InvalidIdentityToken", "The ID Token provided is not a valid JWT. (You may see this error if you "
                           "sent an Access Token)")
        if params["RoleArn"] in self.settings["denied"]:
            raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        keys, user = self.issue(params["RoleArn"], params["RoleSessionName"], params.get("DurationSeconds", LIFETIME), self.first)
        return {"Credentials": keys, "AssumedRoleUser": user, "SubjectFromWebIdentityToken": "local"}

    def get_caller_identity(self, _params, caller):
        arn, user = self.principals[caller]
        return {"UserId": user, "Account": ACCOUNT, "Arn": arn}

    def run(self, operation, params, caller):
        return {"AssumeRole": self.assume_role, "AssumeRoleWithWebIdentity": self.assume_role_with_web_identity,
                "GetCallerIdentity": self.get_caller_identity}[operation](params, caller)

    # -- the container's endpoint and the instance's ---------------------------------------------

    def add_routes(self, router):
        router.add_get("/_container/credentials", self.container)
        router.add_put("/latest/api/token", self.imds_token)
        router.add_get("/latest/meta-data/iam/security-credentials/", self.imds_role)
        router.add_get("/latest/meta-data/iam/security-credentials/{role}", self.imds_keys)

    async def container(self, request):
        wanted = self.settings["container_token"]
        if wanted is not None and request.headers.get("Authorization") != wanted:
            return web.json_response({"code": "AccessDenied", "message": "the token is not right"}, status=400)
        return web.json_response(self.by_http("local-container"))

    def by_http(self, role):
        keys, _ = self.issue(f"arn:aws:iam::{ACCOUNT}:role/{role}", "local", 6 * 3600, self.first)
        keys["Token"] = keys.pop("SessionToken")
        return {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", **keys}

    async def imds_token(self, request):
        ttl = request.headers.get(IMDS_TOKEN_TTL, "")
        if not self.settings["imds"]:
            return web.Response(status=403)
        if not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return web.Response(status=400)
        token = secrets.token_urlsafe(40)
        self.imds_tokens[token] = time.monotonic() + int(ttl)
        return web.Response(text=token, headers={IMDS_TOKEN_TTL: ttl})

    def imds_refuses(self, request):
        """A version 1 request is refused: HttpTokens=required."""
        end = self.imds_tokens.get(request.headers.get("X-aws-ec2-metadata-token"), 0)
        return not self.settings["imds"] or end < time.monotonic()

    async def imds_role(self, request):
        return web.Response(status=401) if self.imds_refuses(request) else web.Response(text=IMDS_ROLE)

    async def imds_keys(self, request):
        if self.imds_refuses(request):
            return web.Response(status=401)
        if request.match_info["role"] != IMDS_ROLE:
            return web.Response(status=404)
        return web.json_response({"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": stamp(time.time()), **self.by_http(IMDS_ROLE)})


OPERATIONS = ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity")
UNSIGNED = ("AssumeRoleWithWebIdentity",)
