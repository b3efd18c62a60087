# CloudWatch Logs: groups, streams, and the three reads with AWS's paging rules (aws-facts 7).
# SPDX-License-Identifier: GPL-2.0-or-later
import heapq
import re
import shlex
import time

from .awslogs import EVENT_OVERHEAD
from .errors import AwsError, invalid

PAGE_BYTES, PAGE_EVENTS = 1048576, 10000
SCAN_MAX = 20000        # events looked at for one page: a filter can give short or empty pages
NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."


class Stream:
    """Events in the order they were ingested: (timestamp, message, size, ingestion time)."""

    def __init__(self, group, name, rule):
        self.group, self.name = group, name
        self.created = int(time.time() * 1000)
        self.empty_pages = rule.get("empty_pages", 0)
        self.events = []

    def put(self, batch):
        now = int(time.time() * 1000)
        batch.sort(key=lambda e: e[0])      # stable: one millisecond keeps its order
        self.events += [(*event, now) for event in batch]


class LogStore:
    """The log groups of one region."""

    def __init__(self, groups):
        self.groups = {name: {} for name in groups}

    def reset(self):
        self.groups = {name: {} for name in self.groups}

    def create_stream(self, group, name, rule, create_group):
        """None when the group does not exist and must not be created."""
        if group not in self.groups:
            if not create_group:
                return None
            self.groups[group] = {}
        return self.groups[group].setdefault(name, Stream(group, name, rule))

    def group(self, params):
        name, ident = params.get("logGroupName"), params.get("logGroupIdentifier")
        if (name is None) == (ident is None):
            raise invalid("Exactly one of logGroupName and logGroupIdentifier must be specified.")
        if name is None:
            name = ident.split(":")[6] if ident.startswith("arn:") else ident
        if name not in self.groups:
            raise AwsError("ResourceNotFoundException", NO_GROUP)
        return name, self.groups[name]


def _page(events, positions, params, limit):
    """(answer's events, first and one-past-last position looked at), walking positions."""
    start, end = params.get("startTime", 0), params.get("endTime")
    chosen, size, low, high, scanned = [], 0, None, None, 0
    for at in positions:
        stamp, message, length, ingested = events[at]
        wanted = stamp >= start and (end is None or stamp < end)    # end is exclusive here
        cost = length + EVENT_OVERHEAD
        if len(chosen) == limit or scanned == SCAN_MAX or (
                wanted and chosen and size + cost > PAGE_BYTES):
            break
        scanned += 1
        low, high = (at if low is None else min(low, at)), max(high or 0, at + 1)
        if wanted:
            chosen.append((at, {"timestamp": stamp, "message": message,
                                "ingestionTime": ingested}))
            size += cost
    return [e for _, e in sorted(chosen, key=lambda c: c[0])], low, high


def _token(direction, position, empties=0):
    return f"{direction}/{position:048d}{empties:08d}/s"


def _parse_token(token, count):
    match = re.fullmatch(r"([fb])/(\d{48})(\d{8})/s", token)
    if not match or int(match.group(2)) > count:
        raise invalid("The specified nextToken is invalid.")
    return match.group(1), int(match.group(2)), int(match.group(3))


def get_log_events(store, params):
    _, streams = store.group(params)
    stream = streams.get(params["logStreamName"])
    if stream is None:
        raise AwsError("ResourceNotFoundException", NO_STREAM)
    events, limit = stream.events, params.get("limit", PAGE_EVENTS)
    count = len(events)
    if "nextToken" in params:
        direction, at, empties = _parse_token(params["nextToken"], count)
    elif params.get("startFromHead"):
        direction, at, empties = "f", 0, 0
    else:
        direction, at, empties = "b", count, 0
    more = at < count if direction == "f" else at > 0
    if more and empties < stream.empty_pages:
        return {"events": [], "nextForwardToken": _token("f", at, empties + 1),
                "nextBackwardToken": _token("b", at, empties + 1)}
    positions = range(at, count) if direction == "f" else range(at - 1, -1, -1)
    chosen, low, high = _page(events, positions, params, limit)
    if low is None:         # the end: the token that came goes back as it was
        return {"events": [], "nextForwardToken": _token("f", at, empties),
                "nextBackwardToken": _token("b", at, empties)}
    return {"events": chosen, "nextForwardToken": _token("f", high),
            "nextBackwardToken": _token("b", low)}


def _matcher(pattern):
    """Plain terms, "quoted" terms, ?any and -none; JSON and column patterns are refused."""
    if pattern.lstrip()[:1] in "{[%" and pattern.strip():
        raise invalid("Invalid filter pattern: only terms are understood here")
    try:
        terms = shlex.split(pattern)
    except ValueError:
        raise invalid("Invalid filter pattern") from None
    some = [t[1:] for t in terms if t[0] == "?"]
    none = [t[1:] for t in terms if t[0] == "-"]
    every = [t for t in terms if t[0] not in "?-"]
    return lambda m: (all(t in m for t in every) and not any(t in m for t in none)
                      and (not some or any(t in m for t in some)))


def _filter_streams(streams, params):
    names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        raise invalid("Cannot specify both logStreamNames and logStreamNamePrefix.")
    if names is None:
        return [s for n, s in sorted(streams.items()) if n.startswith(prefix or "")]
    if any(n not in streams for n in names):
        raise AwsError("ResourceNotFoundException", NO_STREAM)
    return [streams[n] for n in names]


def _skip(params):
    token = params.get("nextToken", "0")
    if not token.isdecimal():
        raise invalid("The specified nextToken is invalid.")
    return int(token)


def filter_log_events(store, params):
    _, streams = store.group(params)
    start, end = params.get("startTime", 0), params.get("endTime")
    wanted = _matcher(params.get("filterPattern", ""))
    merged = heapq.merge(*([(e[0], s.name, at, e) for at, e in enumerate(s.events)]
                           for s in _filter_streams(streams, params)))
    skip = _skip(params)
    chosen, size, token = [], 0, None
    for index, (stamp, name, at, event) in enumerate(merged):
        if index < skip or not (stamp >= start and (end is None or stamp <= end)
                                and wanted(event[1])):      # end is inclusive here
            continue
        if len(chosen) == params.get("limit", PAGE_EVENTS) or (
                chosen and size + event[2] + EVENT_OVERHEAD > PAGE_BYTES):
            token = str(index)
            break
        chosen.append({"logStreamName": name, "timestamp": stamp, "message": event[1],
                       "ingestionTime": event[3], "eventId": f"{stamp:020d}{abs(hash(name)):020d}"
                                                             f"{at:016d}"})
        size += event[2] + EVENT_OVERHEAD
    answer = {"events": chosen, "searchedLogStreams": []}
    return answer if token is None else dict(answer, nextToken=token)


def describe_log_streams(store, params, arn_prefix):
    group, streams = store.group(params)
    prefix, order = params.get("logStreamNamePrefix"), params.get("orderBy", "LogStreamName")
    if prefix is not None and order == "LastEventTime":
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    found = [s for s in streams.values() if s.name.startswith(prefix or "")]
    key = {"LogStreamName": lambda s: s.name,
           "LastEventTime": lambda s: (s.events[-1][0] if s.events else 0, s.name)}[order]
    found.sort(key=key, reverse=params.get("descending", False))
    skip, limit = _skip(params), params.get("limit", 50)
    answer = {"logStreams": [_describe(s, f"{arn_prefix}:log-group:{group}") for s in
                             found[skip:skip + limit]]}
    return answer if skip + limit >= len(found) else dict(answer, nextToken=str(skip + limit))


def _describe(stream, group_arn):
    out = {"logStreamName": stream.name, "creationTime": stream.created, "storedBytes": 0,
           "arn": f"{group_arn}:log-stream:{stream.name}"}
    if stream.events:
        out.update(firstEventTimestamp=stream.events[0][0],
                   lastEventTimestamp=stream.events[-1][0],
                   lastIngestionTime=stream.events[-1][3],
                   uploadSequenceToken=str(len(stream.events)))
    return out


OPERATIONS = {"GetLogEvents": get_log_events, "FilterLogEvents": filter_log_events}
