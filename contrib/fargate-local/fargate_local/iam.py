# IAM: which key may do what. A policy document is evaluated by action, resource and condition.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import re

from .errors import AwsError

PREFIXES = {"service-quotas": "servicequotas"}     # of actions, where it is not the model's name
STATEMENT_MEMBERS = {"Sid", "Effect", "Action", "Resource", "Condition"}


def _list(value):
    return value if isinstance(value, list) else [value]


def _like(pattern, text):
    """IAM's wildcards: * and ? and nothing else."""
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _arn_like(pattern, text):
    """Each of the six parts of an ARN by itself."""
    wanted, parts = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(parts) and all(map(_like, wanted, parts))


def _equals(wanted, text):
    return wanted == text


# operator -> (how one wanted value is compared, whether none of them may match)
OPERATORS = {
    "StringEquals": (_equals, False), "StringNotEquals": (_equals, True),
    "StringLike": (_like, False), "StringNotLike": (_like, True),
    "ArnEquals": (_arn_like, False), "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False), "ArnNotLike": (_arn_like, True),
}


class _Statement:
    def __init__(self, document):
        strangers = sorted(set(document) - STATEMENT_MEMBERS)
        if strangers:
            raise ValueError(f"{strangers[0]} is not understood here")
        self.effect = document["Effect"]
        if self.effect not in ("Allow", "Deny"):
            raise ValueError(f"Effect must be Allow or Deny, not {self.effect!r}")
        self.actions = [a.lower() for a in _list(document["Action"])]
        self.resources = _list(document["Resource"])
        self.conditions = [(operator, key.lower(), _list(values))
                           for operator, keys in document.get("Condition", {}).items()
                           for key, values in keys.items()]
        for operator, _, _ in self.conditions:
            if operator.removesuffix("IfExists") not in OPERATORS:
                raise ValueError(f"the condition operator {operator} is not understood here")

    def applies(self, action, resource, context):
        return (any(_like(a, action.lower()) for a in self.actions)
                and any(_like(r, resource) for r in self.resources)
                and all(self._holds(context, *condition) for condition in self.conditions))

    @staticmethod
    def _holds(context, operator, key, values):
        have = context.get(key)
        compare, negative = OPERATORS[operator.removesuffix("IfExists")]
        if have is None:
            return negative or operator.endswith("IfExists")
        return any(compare(value, have) for value in values) is not negative


class Policy:
    """One policy document; without a path everything is allowed."""

    def __init__(self, path=None):
        self._statements = []
        self._everything = path is None
        if path is None:
            return
        try:
            with open(path, encoding="utf-8") as f:
                self._statements = [_Statement(s) for s in _list(json.load(f)["Statement"])]
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise OSError(f"{path} is not an IAM policy document: {e!r}") from None

    def require(self, action, user_arn, resource, context):
        """AccessDeniedException in AWS's words (aws-facts 1.5) unless allowed.

        context: condition keys in lower case -> value; a key without value (None) is absent."""
        effects = {s.effect for s in self._statements if s.applies(action, resource, context)}
        if self._everything or effects == {"Allow"}:
            return
        why = ("with an explicit deny in an identity-based policy" if "Deny" in effects else
               f"because no identity-based policy allows the {action} action")
        raise AwsError("AccessDeniedException", f"User: {user_arn} is not authorized to perform: "
                       f"{action} on resource: {resource} {why}")


# -- what a call needs: (action, resource, context) each ----------------------------------------

def _cluster_arn(region, params):
    name = params.get("cluster", "default")
    return name if name.startswith("arn:") else f"{region.arn_prefix}:cluster/{name}"


def _task_arn(region, params, name):
    if name.startswith("arn:"):
        return name
    return f"{_cluster_arn(region, params).replace(':cluster/', ':task/', 1)}/{name}"


def _definition_arn(region, name):
    """The revision is resolved before the decision (aws-facts 1.1)."""
    entry = region.definitions.find(name)
    if entry is not None:
        return entry["definition"]["taskDefinitionArn"]
    arn = name if name.startswith("arn:") else f"{region.arn_prefix}:task-definition/{name}"
    return arn if re.search(r":\d+$", arn) else arn + ":*"


def _roles(roles):
    passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    return [("iam:PassRole", arn, passed) for arn in sorted(set(filter(None, roles)))]


def _run_task(region, params):
    cluster = {"ecs:cluster": _cluster_arn(region, params)}
    needs = [("ecs:RunTask", _definition_arn(region, params["taskDefinition"]), cluster)]
    if params.get("tags"):
        needs.append(("ecs:TagResource", _task_arn(region, params, "*"),
                      {"ecs:createaction": "RunTask"}))
    entry = region.definitions.find(params["taskDefinition"])
    definition, overrides = entry["definition"] if entry else {}, params.get("overrides", {})
    return needs + _roles(overrides.get(r, definition.get(r))
                          for r in ("taskRoleArn", "executionRoleArn"))


def _register(region, params):
    arn = f"{region.arn_prefix}:task-definition/{params['family']}:*"
    needs = [("ecs:RegisterTaskDefinition", arn, {})]
    if params.get("tags"):
        needs.append(("ecs:TagResource", arn, {"ecs:createaction": "RegisterTaskDefinition"}))
    return needs + _roles((params.get("taskRoleArn"), params.get("executionRoleArn")))


def _tasks(operation):
    def needs(region, params):
        context = {"ecs:cluster": _cluster_arn(region, params)}
        names = params["tasks"] if "tasks" in params else [params["task"]]
        return [("ecs:" + operation, _task_arn(region, params, n), context) for n in names]
    return needs


def _list_tasks(region, params):
    return [("ecs:ListTasks", "*", {"ecs:cluster": _cluster_arn(region, params)})]


def _describe_clusters(region, params):
    return [("ecs:DescribeClusters", _cluster_arn(region, {"cluster": name}), {})
            for name in params.get("clusters") or ["default"]]


def _log_group(operation):
    def needs(region, params):
        group = params.get("logGroupName", params.get("logGroupIdentifier", ""))
        arn = group if group.startswith("arn:") else f"{region.logs_arn_prefix}:log-group:{group}"
        stream = params.get("logStreamName", "")
        return [("logs:" + operation, f"{arn}:log-stream:{stream}", {})]
    return needs


def _publish(_region, params):
    return [("SNS:Publish", params.get("TopicArn", params.get("TargetArn", "*")), {})]


NEEDS = {
    "RunTask": _run_task, "RegisterTaskDefinition": _register,
    "DescribeTasks": _tasks("DescribeTasks"), "StopTask": _tasks("StopTask"),
    "ListTasks": _list_tasks, "DescribeClusters": _describe_clusters,
    "GetLogEvents": _log_group("GetLogEvents"), "FilterLogEvents": _log_group("FilterLogEvents"),
    "DescribeLogStreams": _log_group("DescribeLogStreams"), "Publish": _publish,
    # the role's own trust policy lets the caller in, which is enough within an account
    **dict.fromkeys(("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"), lambda _region, _params: []),
}


def authorise(policy, region, service, operation, params):
    """Raises AccessDeniedException unless the policy allows everything the call needs."""
    if operation in NEEDS:
        needs = NEEDS[operation](region, params)
    else:                       # operations that IAM grants on no particular resource
        needs = [(f"{PREFIXES.get(service, service)}:{operation}", "*", {})]
    for action, resource, context in needs:
        policy.require(action, region.user_arn, resource,
                       {"aws:requestedregion": region.name, **context})
