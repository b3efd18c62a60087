# The query protocol: forms in, XML out, both by the service model; and the codes it has for common errors.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import re
import urllib.parse
from xml.sax.saxutils import escape

from .errors import AwsError

FORM_TYPE = "application/x-www-form-urlencoded"

# What the JSON services and this server's own checks say -> code, HTTP status (aws-facts 5.4; SNS API, Common Errors)
CODES = {
    "AccessDeniedException": ("AuthorizationError", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 400),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "InvalidParameterException": ("ValidationError", 400),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "ServerException": ("InternalFailure", 500),
    "ThrottlingException": ("Throttling", 400),
    "UnknownOperationException": ("InvalidAction", 400),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "RequestEntityTooLargeException": ("RequestEntityTooLarge", 413),
    "com.amazon.coral.service#SerializationException": ("MalformedInput", 400),
}

# Where a service has another name for it than SNS: XML namespace -> the same
CODES_OF = {"http://monitoring.amazonaws.com/doc/2010-08-01/": {
    "AccessDeniedException": ("AccessDenied", 403),
}}


def code_of(namespace, code, status):
    """(code, HTTP status) of an error in the words of the namespace's service."""
    return {**CODES, **CODES_OF.get(namespace, {})}.get(code, (code, status))


def _timestamp(text):
    """ISO 8601, in UTC unless it says otherwise, as seconds since the epoch."""
    when = datetime.datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)).timestamp()


_NUMBERS = {"integer": int, "long": int, "double": float, "float": float, "timestamp": _timestamp}


def is_form(request):
    return request.content_type == FORM_TYPE


def parse_form(body):
    """Name -> value; the last of several wins, as it does at AWS."""
    try:
        pairs = urllib.parse.parse_qsl(body.decode("utf-8"), keep_blank_values=True,
                                       strict_parsing=bool(body), errors="strict")
    except ValueError:
        raise AwsError("com.amazon.coral.service#SerializationException",
                       "the request is not a form") from None
    return dict(pairs)


class Form:
    """A form as the nested value that the model's walk checks."""

    def __init__(self, form, shapes):
        self.form, self.shapes, self.used = form, shapes, set()

    def params(self, name):
        """Parameters of an input shape; what no member took stays in under its own name."""
        rest = {k: v for k, v in self.form.items() if k not in ("Action", "Version")}
        params = self.structure(self.shapes[name], "")
        return {**params, **{k: v for k, v in rest.items() if k not in self.used}}

    def structure(self, shape, prefix):
        found = {}
        for key, member in shape.get("members", {}).items():
            value = self.value(member["shape"], prefix + member.get("locationName", key))
            if value is not None:
                found[key] = value
        return found

    def numbered(self, prefix):
        """prefix.1, prefix.2, … as long as there are parameters below them."""
        n = 1
        while any(k == f"{prefix}.{n}" or k.startswith(f"{prefix}.{n}.") for k in self.form):
            yield f"{prefix}.{n}"
            n += 1

    def value(self, name, key):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind == "structure":
            return self.structure(shape, key + ".") or None
        if kind == "list":
            at = key if shape.get("flattened") else \
                f"{key}.{shape['member'].get('locationName', 'member')}"
            return [self.value(shape["member"]["shape"], k) for k in self.numbered(at)] or None
        if kind == "map":
            names = [shape[part].get("locationName", part) for part in ("key", "value")]
            at = key if shape.get("flattened") else key + ".entry"
            return {self.value(shape["key"]["shape"], f"{k}.{names[0]}"):
                    self.value(shape["value"]["shape"], f"{k}.{names[1]}")
                    for k in self.numbered(at)} or None
        return self.scalar(kind, key)

    def scalar(self, kind, key):
        if key not in self.form:
            return None
        self.used.add(key)
        text = self.form[key]
        try:
            if kind == "boolean":
                return {"true": True, "false": False}[text.lower()]
            return _NUMBERS[kind](text) if kind in _NUMBERS else text
        except (ValueError, KeyError):
            raise AwsError("com.amazon.coral.service#SerializationException",
                           f"{key}: a value of type {kind} was expected, not {text!r}") from None


def _xml(value):
    if isinstance(value, dict):
        return "".join(f"<{k}>{_xml(v)}</{k}>" for k, v in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(v)}</member>" for v in value)
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    # what XML cannot hold at all
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", str(value)))


def answer(operation, namespace, body, request_id):
    return (f'<{operation}Response xmlns="{namespace}"><{operation}Result>{_xml(body)}'
            f"</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
            f"</ResponseMetadata></{operation}Response>")


def error(namespace, code, status, message, request_id):
    kind = "Sender" if status < 500 else "Receiver"
    return (f'<ErrorResponse xmlns="{namespace}"><Error><Type>{kind}</Type><Code>{_xml(code)}'
            f"</Code><Message>{_xml(message)}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>")
