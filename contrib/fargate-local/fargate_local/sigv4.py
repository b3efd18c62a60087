# Verifies AWS Signature Version 4 with botocore's own signer, and words the refusals as AWS does.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import hmac
import re
from http.client import HTTPMessage

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .errors import AwsError

ALGORITHM = "AWS4-HMAC-SHA256"
WINDOW = 300        # seconds either way (aws-facts 5.4)
STAMP = "%Y%m%dT%H%M%SZ"
_MISMATCH = ("The request signature we calculated does not match the signature you provided. Check "
             "your AWS Secret Access Key and signing method. Consult the service documentation for "
             "details.")


class _Verifier(SigV4Auth):
    """Signs exactly the headers the client names, in the form they came."""

    def __init__(self, credentials, service, region, headers):
        super().__init__(credentials, service, region)
        self._headers = headers

    def headers_to_sign(self, request):
        return self._headers


def _parse(authorization):
    """Credential, SignedHeaders and Signature of an Authorization header."""
    scheme, _, rest = authorization.partition(" ")
    fields = dict(re.findall(r"\s*(\w+)=([^,]*?)\s*(?:,|$)", rest))
    missing = [k for k in ("Credential", "Signature", "SignedHeaders") if not fields.get(k)]
    if scheme != ALGORITHM or missing:
        raise AwsError("IncompleteSignatureException",
                       "Authorization header requires " + " ".join(
                           f"'{k}' parameter." for k in missing or ["Credential"]))
    scope = fields["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise AwsError("IncompleteSignatureException",
                       f"Credential must have five slash-delimited elements, "
                       f"got '{fields['Credential']}'")
    return scope, fields["SignedHeaders"].split(";"), fields["Signature"]


def _check_time(stamp, now):
    try:
        sent = datetime.datetime.strptime(stamp, STAMP)
    except ValueError:
        raise AwsError("IncompleteSignatureException",
                       f"Date must be in ISO-8601 'basic format'. Got '{stamp}'.") from None
    at = datetime.datetime.utcfromtimestamp(now)
    edge = datetime.timedelta(seconds=WINDOW)
    here = at.strftime(STAMP)
    if sent < at - edge:
        raise AwsError("InvalidSignatureException",
                       f"Signature expired: {stamp} is now earlier than "
                       f"{(at - edge).strftime(STAMP)} ({here} - 5 min.)")
    if sent > at + edge:
        raise AwsError("InvalidSignatureException",
                       f"Signature not yet current: {stamp} is still later than "
                       f"{(at + edge).strftime(STAMP)} ({here} + 5 min.)")


def verify(request, body, keys, service, now):
    """request: aiohttp request; service: signing name; keys: access key -> (secret, token or None[, end]).

    Returns (region signed for, access key). Raises AwsError in AWS's words."""
    authorization = request.headers.get("Authorization")
    if not authorization:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    scope, signed, signature = _parse(authorization)
    access_key, day, region, scope_service, _ = scope
    secret, token, end = (*keys.get(access_key, (None, None)), None)[:3]
    if secret is None or request.headers.get("X-Amz-Security-Token") != token:
        raise AwsError("UnrecognizedClientException",
                       "The security token included in the request is invalid.")
    stamp = request.headers.get("X-Amz-Date", "")
    _check_time(stamp, now)
    if scope_service != service:
        raise AwsError("InvalidSignatureException",
                       f"Credential should be scoped to correct service: '{service}'.")
    if day != stamp[:8]:
        raise AwsError("InvalidSignatureException",
                       f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                       f"date from HTTP: '{day}' != '{stamp[:8]}', from '{stamp}'.")
    must = {"host"} | {h.lower() for h in request.headers if h.lower().startswith("x-amz-")}
    unsigned = must - set(signed)
    if unsigned:
        raise AwsError("InvalidSignatureException",
                       f"'{sorted(unsigned)[0]}' must be a 'SignedHeader' in the AWS "
                       "Authorization.")
    if not hmac.compare_digest(_expected(request, body, secret, token, scope, signed, stamp),
                               signature):
        raise AwsError("InvalidSignatureException", _MISMATCH)
    if end is not None and now >= end:
        raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
    return region, access_key


def _expected(request, body, secret, token, scope, signed, stamp):
    headers = HTTPMessage()
    for name in signed:
        for value in request.headers.getall(name, ()):
            headers[name] = value
    aws = AWSRequest(method=request.method, url="http://host" + request.raw_path, data=body)
    aws.context["timestamp"] = stamp
    signer = _Verifier(Credentials(scope[0], secret, token), scope[3], scope[2], headers)
    canonical = signer.canonical_request(aws)
    return signer.signature(signer.string_to_sign(aws, canonical), aws)
