# Rules that make the local AWS misbehave on purpose; see README.md for the list.
# SPDX-License-Identifier: GPL-2.0-or-later
import math
import re

from .buckets import OPERATIONS
from .errors import ControlError

STATES = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING")
MATCH = {"jobid": str, "user": str, "cluster": str, "provider": str, "subnet": str}
FOREVER = float("inf")


class Number:
    """A number in JSON: its least and greatest value, and whether it is whole."""

    def __init__(self, low, high, whole=False):
        self.low, self.high, self.whole = low, high, whole

    def check(self, value, where):
        kinds = int if self.whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            raise ControlError(f"{where} has a value of the wrong type: {value!r}")
        if not self.low <= value <= self.high:
            raise ControlError(f"{where} must be {self.low} to {self.high}, not {value}")


SECONDS = Number(0, 86400)
COUNT, TIMES = Number(0, 10**6, whole=True), Number(1, 10**6, whole=True)
STATUS = Number(200, 599, whole=True)
EXIT_CODE = Number(0, 255, whole=True)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")

# member -> its type, a Number, a pattern, a dict of its own members (None: of any), [of these],
# (choices), or (this, None) where null is allowed too
ERROR = {"code": str, "message": str, "status": Number(400, 599, whole=True), "resourceIds": [str]}
RAW = {"status": STATUS, "body": str, "type": MEDIA_TYPE}
CONTAINER = {"exitCode": (EXIT_CODE, None), "reason": (str, None)}
ENDING = {"at": STATES, "after": SECONDS, "stopCode": (str, None), "stoppedReason": (str, None),
          "container": CONTAINER}

SKIPPED = ("PENDING", "ACTIVATING", "RUNNING", "DEPROVISIONING")     # the first is always seen
STUCK = (*STATES, "DEPROVISIONING")

# selector -> (members it allows, of which one must be there)
KINDS = {
    "op": {"error": ERROR, "reply": None, "ghost": bool, "cut": ("before", "after"),
           "delay": SECONDS, "raw": RAW, "lag": SECONDS, "match": MATCH, "times": TIMES},
    "task": {"ending": ENDING, "missing": COUNT, "skip": [SKIPPED], "stick": STUCK,
             "sidecar_exit": EXIT_CODE, "times": TIMES},
    "logs": {"late": SECONDS, "drop": COUNT, "empty_pages": COUNT, "times": TIMES},
    "clock": {}, "credentials": {"times": TIMES}, "exitcode_at": {}, "expire_stopped": {},
    "usage_delay": {},
}
SELECTORS = {"op": str, "task": MATCH, "logs": MATCH, "clock": Number(-10**9, 10**9),
             "credentials": ("expire",), "exitcode_at": ("exec", "stopping", "stopped"),
             "expire_stopped": SECONDS, "usage_delay": SECONDS}
EFFECTS = {"op": ("error", "reply", "cut", "delay", "raw", "lag"),
           "task": ("ending", "missing", "skip", "stick", "sidecar_exit"),
           "logs": ("late", "drop", "empty_pages")}


def _is_choice(kind):
    return isinstance(kind, tuple) and isinstance(kind[0], str)


def _check_object(value, kind, where):
    if not isinstance(value, dict):
        raise ControlError(f"{where} must be an object")
    for key, item in value.items() if kind is not None else ():
        if key not in kind:
            raise ControlError(f"{where} has no member '{key}'; it may have "
                               + ", ".join(sorted(kind)))
        _check(item, kind[key], f"{where}.{key}")


def _check(value, kind, where):
    if kind is None or isinstance(kind, dict):
        _check_object(value, kind, where)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            raise ControlError(f"{where} must be a list")
        for item in value:
            _check(item, kind[0], where)
    elif _is_choice(kind):
        if value not in kind:
            raise ControlError(f"{where} must be one of {', '.join(kind)}, not {value!r}")
    elif isinstance(kind, tuple):           # or null
        if value is not None:
            _check(value, kind[0], where)
    elif isinstance(kind, Number):
        kind.check(value, where)
    elif isinstance(kind, re.Pattern):
        if not isinstance(value, str) or not kind.fullmatch(value):
            raise ControlError(f"{where} has a value of the wrong form: {value!r}")
    elif not isinstance(value, kind):
        raise ControlError(f"{where} has a value of the wrong type: {value!r}")


class Rule:
    def __init__(self, number, rule):
        where = f"rule {number}"
        if not isinstance(rule, dict):
            raise ControlError(f"{where} must be an object")
        kinds = [k for k in KINDS if k in rule]
        if len(kinds) != 1:
            raise ControlError(f"{where} must have exactly one of {', '.join(KINDS)}")
        self.kind, self.rule = kinds[0], rule
        _check(rule, {**KINDS[self.kind], self.kind: SELECTORS[self.kind]}, where)
        effects = [e for e in EFFECTS.get(self.kind, ()) if e in rule]
        if self.kind in EFFECTS and not effects:
            raise ControlError(f"{where} does nothing: it needs one of "
                               + ", ".join(EFFECTS[self.kind]))
        if self.kind == "op" and rule["op"] not in ("*", *OPERATIONS):
            raise ControlError(f"{where} names an operation that is not served: {rule['op']}")
        if "ghost" in rule and "reply" not in rule:
            raise ControlError(f"{where} has ghost without reply")
        if "at" not in rule.get("ending", {"at": ""}):
            raise ControlError(f"{where}.ending needs at, one of " + ", ".join(STATES))
        lasting = self.kind not in ("op", "task", "credentials") or effects == ["lag"]
        self.left = rule.get("times", FOREVER if lasting else 1)

    def matches(self, wanted, subject):
        """wanted: the rule's match object; subject: dict with the same keys."""
        return self.left > 0 and all(subject.get(k) == v for k, v in wanted.items())


class Faults:
    def __init__(self):
        self.rules = []

    def put(self, rules):
        if not isinstance(rules, list):
            raise ControlError("the body must be a list of rules")
        self.rules = [Rule(i + 1, r) for i, r in enumerate(rules)]

    def show(self):
        return [dict(r.rule, left=None if r.left == FOREVER else r.left) for r in self.rules]

    def setting(self, kind, default):
        """Value of the first rule of this kind (clock, exitcode_at, expire_stopped, usage_delay)."""
        return next((r.rule[kind] for r in self.rules if r.kind == kind), default)

    def credentials_expired(self):
        for rule in self.rules:
            if rule.kind == "credentials" and rule.left > 0:
                rule.left -= 1
                return True
        return False

    def _op_rules(self, operation, subjects):
        for rule in self.rules:
            if rule.kind == "op" and rule.rule["op"] in ("*", operation) and any(
                    rule.matches(rule.rule.get("match", {}), s) for s in subjects):
                yield rule

    def for_call(self, operation, subjects, replayed):
        """Uses up and returns the first rule for a call; {} without one. lag is not a call's.

        replayed: a clientToken answers this call already, so no reply is made up for it."""
        for rule in self._op_rules(operation, subjects):
            unfit = {"lag", "reply", "ghost"} if replayed else {"lag"}
            if (set(EFFECTS["op"]) - unfit) & set(rule.rule):
                rule.left -= 1
                return rule.rule
        return {}

    def lag(self, operation, subject):
        """Seconds for which a new task is not seen by this operation."""
        for rule in self._op_rules(operation, [subject]):
            if "lag" in rule.rule:
                return rule.rule["lag"]
        return 0

    def _merge(self, kind, subject):
        """Every matching rule gives the effects that no earlier one gave."""
        effects = {}
        for rule in self.rules:
            if rule.kind != kind or not rule.matches(rule.rule[kind], subject):
                continue
            new = {e: rule.rule[e] for e in EFFECTS[kind] if e in rule.rule and e not in effects}
            if new:
                rule.left -= 1
                effects.update(new)
        return effects

    def for_task(self, subject):
        return self._merge("task", subject)

    def for_logs(self, subject):
        return self._merge("logs", subject)
