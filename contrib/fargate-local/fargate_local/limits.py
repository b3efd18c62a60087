# ONE table of the limits that the service models do not carry. Sections are of aws-facts.md; where
# they have no wording of AWS's for it the text is ours. "GK" marks general knowledge without a
# page behind it.
# SPDX-License-Identifier: GPL-2.0-or-later
import re

from .errors import AwsError

_IP, _CE = "InvalidParameterException", "ClientException"


def _ascii_token(value):
    return all(33 <= ord(c) <= 126 for c in value)


_TAG_TEXT = re.compile(r"^[\w\s.:/=+\-@]*$")


def _between(operation, path, low, high, of="value", read=lambda v: v):
    """Two rows in the words CloudWatch Logs has for a number or length outside its range."""
    text = ("1 validation error detected: Value '{value}' at '" + path + "' failed to satisfy "
            "constraint: Member must have " + of + " %s than or equal to %d")
    return ((operation, path, lambda v: read(v) >= low, _IP, text % ("greater", low), "7"),
            (operation, path, lambda v: read(v) <= high, _IP, text % ("less", high), "7"))


# (operation, path, test that must hold, code, message, source)
ROWS = (
    ("RunTask", "count", lambda v: v >= 1, _IP, "count must be at least 1.", "GK"),
    ("RunTask", "count", lambda v: v <= 10, _IP, "count cannot be greater than 10.", "1.1"),
    ("RunTask", "clientToken", lambda v: 1 <= len(v) <= 64, _IP,
     "clientToken must be between 1 and 64 characters.", "1.1"),
    ("RunTask", "clientToken", _ascii_token, _IP,
     "clientToken must contain only ASCII characters between 33 and 126.", "1.1"),
    ("RunTask", "startedBy", lambda v: len(v) <= 128, _IP, "startedBy longer than 128.",
     "1.1, 1.5 (text at 36)"),
    ("RunTask", "startedBy", lambda v: re.fullmatch(r"[A-Za-z0-9/_-]*", v), _IP,
     "startedBy contains invalid characters.", "1.1"),
    ("RunTask", "group", lambda v: len(v) <= 255, _IP, "group longer than 255.", "GK"),
    ("RunTask", "placementConstraints", lambda v: len(v) <= 10, _IP,
     "placementConstraints can have at most 10 items.", "1.1"),
    ("RunTask", "placementStrategy", lambda v: len(v) <= 5, _IP,
     "placementStrategy can have at most 5 items.", "1.1"),
    ("RunTask", "capacityProviderStrategy", lambda v: len(v) <= 20, _IP,
     "The specified capacity provider strategy can contain a maximum of 20 capacity providers.",
     "1.1"),
    ("RunTask", "capacityProviderStrategy[].weight", lambda v: 0 <= v <= 1000, _IP,
     "The capacity provider weight must be between 0 and 1000.", "1.1"),
    ("RunTask", "capacityProviderStrategy[].base", lambda v: 0 <= v <= 100000, _IP,
     "The capacity provider base must be between 0 and 100000.", "1.1"),
    ("RunTask", "networkConfiguration.awsvpcConfiguration.subnets", lambda v: len(v) >= 1, _IP,
     "subnets can not be empty.", "1.5"),
    ("RunTask", "networkConfiguration.awsvpcConfiguration.subnets", lambda v: len(v) <= 16, _IP,
     "subnets can have at most 16 items.", "1.1"),
    ("RunTask", "networkConfiguration.awsvpcConfiguration.securityGroups", lambda v: len(v) <= 5,
     _IP, "securityGroups can have at most 5 items.", "1.1"),
    ("RunTask", "networkConfiguration.awsvpcConfiguration.securityGroups[]", lambda v: v != "",
     _IP, "security group cannot be blank", "1.5"),
    ("RunTask", "propagateTags", lambda v: v != "SERVICE", _IP,
     "Invalid value for propagateTags. SERVICE is not a valid option for RunTask.", "1.1"),
    ("RunTask", "overrides.ephemeralStorage.sizeInGiB", lambda v: v >= 21, _CE,
     "EphemeralStorage size should be at least 21", "3"),
    ("RunTask", "overrides.ephemeralStorage.sizeInGiB", lambda v: v <= 200, _CE,
     "EphemeralStorage size should be at most 200", "3"),
    ("*", "tags", lambda v: len(v) <= 50, _IP, "Tags can have a maximum size of 50.", "1.1"),
    ("*", "tags[].key", lambda v: 1 <= len(v) <= 128, _IP,
     "Tag keys must be between 1 and 128 characters.", "1.1"),
    ("*", "tags[].value", lambda v: len(v) <= 256, _IP,
     "Tag values can have at most 256 characters.", "1.1"),
    ("*", "tags[].key", _TAG_TEXT.match, _IP, "Some tags contain invalid characters", "1.5"),
    ("*", "tags[].value", _TAG_TEXT.match, _IP, "Some tags contain invalid characters", "1.5"),
    ("*", "tags[].key", lambda v: not v.lower().startswith("aws:"), _IP,
     "Tag keys cannot start with 'aws:'.", "1.1"),
    ("DescribeTasks", "tasks", lambda v: len(v) > 0, _IP, "Tasks cannot be empty.", "2.6"),
    ("DescribeTasks", "tasks", lambda v: len(v) <= 100, _IP, "Tasks can have at most 100 items.",
     "2.6"),
    ("StopTask", "reason", lambda v: len(v) <= 255, _IP, "reason longer than 255.", "2.8"),
    ("ListTasks", "maxResults", lambda v: 1 <= v <= 100, _IP,
     "maxResults must be between 1 and 100.", "2.7"),
    ("ListTasks", "startedBy", lambda v: len(v) <= 128, _IP, "ownerId longer than 128.", "1.5"),
    ("ListClusters", "maxResults", lambda v: 1 <= v <= 100, _IP,
     "maxResults must be between 1 and 100.", "2.7"),
    ("DescribeClusters", "clusters", lambda v: len(v) <= 100, _IP,
     "Clusters can have at most 100 items.", "GK"),
    ("RegisterTaskDefinition", "family", lambda v: re.fullmatch(r"[A-Za-z0-9_-]{1,255}", v), _CE,
     "Family contains invalid characters.", "GK"),
    ("RegisterTaskDefinition", "containerDefinitions", lambda v: len(v) > 0, _CE,
     "Container list cannot be empty.", "GK"),
    ("RegisterTaskDefinition", "containerDefinitions", lambda v: len(v) <= 10, _CE,
     "Too many containers. The maximum is 10.", "4.3"),
    ("RegisterTaskDefinition", "containerDefinitions[].stopTimeout", lambda v: 0 <= v <= 120, _CE,
     "stopTimeout must be between 0 and 120.", "2.8"),
    ("RegisterTaskDefinition", "ephemeralStorage.sizeInGiB", lambda v: v >= 21, _CE,
     "EphemeralStorage size should be at least 21", "3"),
    ("RegisterTaskDefinition", "ephemeralStorage.sizeInGiB", lambda v: v <= 200, _CE,
     "EphemeralStorage size should be at most 200", "3"),
    *_between("AssumeRole", "DurationSeconds", 900, 43200),                     # 6.10
    *_between("AssumeRoleWithWebIdentity", "DurationSeconds", 900, 43200),
    *_between("AssumeRole", "RoleArn", 20, 2048, "length", len),
    *((op, "RoleSessionName", re.compile(r"[\w+=,.@-]{2,64}", re.ASCII).fullmatch, "ValidationError",
       "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member "
       "must satisfy regular expression pattern: [\\w+=,.@-]*", "6.10")
      for op in ("AssumeRole", "AssumeRoleWithWebIdentity")),
    *_between("GetLogEvents", "limit", 1, 10000),
    *_between("FilterLogEvents", "limit", 1, 10000),
    *_between("FilterLogEvents", "logStreamNames", 1, 100, "length", len),
    *_between("DescribeLogStreams", "limit", 1, 50),        # GK
)

OVERRIDES_MAX = 8192            # characters of the stored form, aws-facts 1.1
OVERRIDES_TEXT = "Container Overrides length must be at most 8192"
DEFINITION_MAX = 64 * 1024      # aws-facts 4.3
REASON_MAX = 1024               # container.reason, aws-facts 2.4

# Fargate sizes, aws-facts 3: CPU units -> memory MiB
SIZES = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
SIZE_32VCPU = {32768: (61440, 122880, 249856)}      # not in every region: an option


def _reach(value, steps):
    """All values at a path; a step ending in [] fans out over a list."""
    if not steps:
        yield value
        return
    name, fan = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if name not in value:
        return
    for item in value[name] if fan else (value[name],):
        yield from _reach(item, steps[1:])


def check(operation, params):
    """Raises AwsError for the first row of the table that does not hold."""
    for row_op, path, holds, code, message, _source in ROWS:
        if row_op not in ("*", operation):
            continue
        for value in _reach(params, path.split(".")):
            if not holds(value):
                raise AwsError(code, message.replace("{value}", str(value)[:200]))


def _units(text, factor, suffix):
    """'1 vCPU', '2GB' or plain units -> int, None when it is neither."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%s)?\s*" % suffix, text, re.IGNORECASE)
    if not match or (match.group(2) is None and "." in match.group(1)):
        return None
    number = float(match.group(1)) * (factor if match.group(2) else 1)
    return int(number) if number == int(number) else None


def fargate_size(cpu, memory, allow_32vcpu):
    """Task-level strings -> (CPU units, MiB); ClientException when Fargate has no such size."""
    units, mib = _units(cpu, 1024, "vcpu"), _units(memory, 1024, "gb")
    if units is None:
        raise AwsError(_CE, "Invalid 'cpu' setting for task.")
    if mib is None:
        raise AwsError(_CE, "Invalid 'memory' setting for task.")
    table = {**SIZES, **SIZE_32VCPU} if allow_32vcpu else SIZES
    if mib not in table.get(units, ()):
        raise AwsError(_CE, "No Fargate configuration exists for given values.")
    return units, mib


def check_shares(cpu, memory, containers):
    """What the containers reserve must fit into the task ([M] ContainerDefinition, our text)."""
    for member, most in (("cpu", cpu), ("memory", memory)):
        total = sum(c.get("memoryReservation", c.get("memory", 0)) if member == "memory"
                    else c.get("cpu", 0) for c in containers)
        largest = max([total, *(c.get(member, 0) for c in containers)])
        if largest > most:
            raise AwsError(_CE, f"Invalid setting for the containers: their '{member}' "
                           f"({largest}) is more than the task's ({most}).")
