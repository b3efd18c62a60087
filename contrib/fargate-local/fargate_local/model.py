# Checks requests against AWS's own service models (names, JSON types, required members, enums).
# SPDX-License-Identifier: GPL-2.0-or-later
import os

import botocore.loaders

from . import query
from .errors import AwsError

OVERLAY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models")

# Services answered here: botocore name -> operations.
SERVED = {
    "ecs": ("RunTask", "DescribeTasks", "StopTask", "ListTasks", "DescribeTaskDefinition",
            "RegisterTaskDefinition", "DeregisterTaskDefinition", "DescribeClusters",
            "ListClusters"),
    "logs": ("GetLogEvents", "FilterLogEvents", "DescribeLogStreams"),
    "sns": ("Publish",),
    "service-quotas": ("GetServiceQuota", "GetAWSDefaultServiceQuota"),
    "cloudwatch": ("GetMetricStatistics",),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"),
}
# What a service calls a parameter that its model does not allow, where it is not as in ECS
INVALID = {"service-quotas": "IllegalArgumentException"}

_TYPES = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "long": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "double": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "timestamp": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "blob": lambda v: isinstance(v, str),
    "list": lambda v: isinstance(v, list),
    "map": lambda v: isinstance(v, dict),
    "structure": lambda v: isinstance(v, dict),
}


class Service:
    """One service's model: signing name, target prefix, content type, operations."""

    def __init__(self, name, model, operations):
        meta = model["metadata"]
        self.name = name
        self.signing_name = meta.get("signingName", meta["endpointPrefix"])
        # CloudWatch speaks two: forms and XML to older clients, JSON to newer ones
        self.is_query = "query" in (meta["protocol"], *meta.get("protocols", ()))
        self.target_prefix = meta.get("targetPrefix")
        self.content_type = "application/x-amz-json-" + meta.get("jsonVersion", "1.1")
        self.version, self.namespace = meta["apiVersion"], meta.get("xmlNamespace")
        self.operations = operations
        self._shapes = model["shapes"]
        self.message = self._message_member(model["operations"][operations[0]])
        self._inputs = {op: model["operations"][op]["input"]["shape"] for op in operations}

    def _message_member(self, operation):
        """What its exceptions call their text: "message", or as few do "Message"."""
        members = [m for e in operation.get("errors", ())
                   for m in self._shapes[e["shape"]].get("members", ())]
        return "Message" if "Message" in members else "message"

    def form(self, operation, form):
        """The parameters of a form."""
        return query.Form(form, self._shapes).params(self._inputs[operation])

    def check(self, operation, params):
        """Returns (cleaned parameters, number of unknown members); raises AwsError."""
        walk = _Walk(self._shapes, INVALID.get(self.name, "InvalidParameterException"))
        clean = walk.value(self._inputs[operation], params, "")
        return clean, walk.unknown


class _Walk:
    def __init__(self, shapes, code):
        self.shapes, self.code = shapes, code
        self.unknown = 0

    def value(self, name, value, path):
        shape = self.shapes[name]
        kind = shape["type"]
        if not _TYPES[kind](value):
            raise AwsError("com.amazon.coral.service#SerializationException",
                           f"{path or 'the request'}: a value of type {kind} was expected, "
                           f"not {type(value).__name__}")
        if kind == "structure":
            return self.structure(shape, value, path)
        if kind == "list":
            item = shape["member"]["shape"]
            return [self.value(item, v, f"{path}.{i + 1}.member") for i, v in enumerate(value)]
        if kind == "map":
            item = shape["value"]["shape"]
            return {k: self.value(item, v, f"{path}.{k}") for k, v in value.items()}
        if kind == "string" and "enum" in shape and value not in shape["enum"]:
            self.refuse(value, path, "Member must satisfy enum value set: [%s]"
                        % ", ".join(shape["enum"]))
        return value

    def structure(self, shape, value, path):
        members = shape.get("members", {})
        clean = {}
        for key, item in value.items():
            if key not in members:
                self.unknown += 1
            elif item is not None:      # AWS treats null as absent
                clean[key] = self.value(members[key]["shape"], item,
                                        f"{path}.{key}" if path else key)
        for key in shape.get("required", ()):
            if key not in clean:
                self.refuse(None, f"{path}.{key}" if path else key, "Member must not be null")
        return clean

    def refuse(self, value, path, constraint):
        shown = "null" if value is None else f"'{value}'"
        raise AwsError(self.code, f"1 validation error detected: Value {shown} at '{path}' failed to satisfy "
                       f"constraint: {constraint}")


def load():
    """All services, from botocore's data plus our overlay."""
    loader = botocore.loaders.Loader(extra_search_paths=[OVERLAY])
    return [Service(name, loader.load_service_model(name, "service-2"), operations)
            for name, operations in SERVED.items()]
