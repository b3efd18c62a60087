# The local AWS: SNS and the query protocol.
# SPDX-License-Identifier: GPL-2.0-or-later
import http.client
import time
from xml.etree import ElementTree

import pytest
from test_fargate_local_clients import shell  # noqa: F401
from test_fargate_local_support import (KEY, REGION, TOPIC, AwsRefusal, aws, server)  # noqa: F401

ZERO = {"ok": 0, "throttled": 0, "refused": 0, "unknown": 0}
MESSAGE = {"TopicArn": TOPIC, "Subject": "a job: ~!", "Message": '{"ä": "1 & 2 < 3+4%"}\n'}


def test_publish(aws):
    answer = aws.call("Publish", MESSAGE)
    names = {"s": "http://sns.amazonaws.com/doc/2010-03-31/"}
    assert answer.tag == "{%s}PublishResponse" % names["s"]
    number = answer.find("s:PublishResult/s:MessageId", names).text
    assert answer.find("s:ResponseMetadata/s:RequestId", names).text
    found, = aws.control("GET", "messages")
    assert abs(found.pop("time") - time.time()) < 10
    assert found == {**MESSAGE, "MessageId": number}
    assert aws.control("GET", "calls") == {"Publish": {**ZERO, "ok": 1}}
    aws.control("POST", "reset")
    assert aws.control("GET", "messages") == []


def test_the_answer_is_text_xml(aws):
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    connection.request("POST", "/", *aws.request("Publish", MESSAGE))
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/xml") and answer.headers["x-amzn-RequestId"]
    assert ElementTree.fromstring(answer.read())


def test_members_by_the_model(aws):
    aws.call("Publish", {**MESSAGE, "Colour": "red", "MessageAttributes.entry.1.Name": "a",
                         "MessageAttributes.entry.1.Value.DataType": "String",
                         "MessageAttributes.entry.1.Value.StringValue": "b",
                         "MessageAttributes.entry.3.Name": "not reached"})
    assert aws.control("GET", "calls")["Publish"]["unknown"] == 2
    aws.refuses("ValidationError", "1 validation error detected: Value null at 'Message' failed to satisfy constraint: "
                "Member must not be null", "Publish", {"TopicArn": TOPIC})


BAD = "Invalid parameter: "


@pytest.mark.parametrize("code, status, message, changes", [
    ("NotFound", 404, "Topic does not exist", {"TopicArn": TOPIC + "x"}),
    ("InvalidParameter", 400, BAD + f"TopicArn Reason: An ARN of region {REGION} was expected",
     {"TopicArn": TOPIC.replace(REGION, "eu-west-1")}),
    ("InvalidParameter", 400, BAD + "Subject", {"Subject": "x" * 100}),
    ("InvalidParameter", 400, BAD + "Subject", {"Subject": ""}),
    ("InvalidParameter", 400, BAD + "Subject", {"Subject": "a\nb"}),
    ("InvalidParameter", 400, BAD + "Subject", {"Subject": "ä"}),
    ("InvalidParameter", 400, BAD + "Subject", {"Subject": " a"}),
    ("InvalidParameter", 400, BAD + "Empty message", {"Message": ""}),
    ("InvalidParameter", 400, BAD + "Message too long", {"Message": "x" * (256 * 1024 + 1)}),
    ("InvalidParameter", 400, BAD + "MessageGroupId Reason: The request includes MessageGroupId parameter that is not "
     "valid for this topic type", {"MessageGroupId": "g"}),
])
def test_limits(aws, code, status, message, changes):
    refusal = aws.refuses(code, message, "Publish", {**MESSAGE, **changes})
    assert (refusal.status, refusal.body["Type"]) == (status, "Sender")
    assert aws.control("GET", "messages") == []
    assert aws.control("GET", "calls") == {"Publish": {**ZERO, "refused": 1}}


def test_at_the_limits(aws):
    aws.call("Publish", {**MESSAGE, "Subject": "x" * 99, "Message": "ä" * (128 * 1024)})


def test_what_is_not_served(aws):
    refusal = aws.refuses("InvalidAction", "Action CreateTopic is not served by the local AWS", "CreateTopic")
    assert refusal.status == 400
    with pytest.raises(AwsRefusal, match="MalformedInput"):
        aws.call("Publish", body=b"Action=Publish&\xff=%")
    assert aws.control("GET", "calls") == {"UnknownOperation": {**ZERO, "refused": 2}}


@pytest.mark.parametrize("code, how", [
    ("InvalidClientTokenId", {"key": ("AKIAOTHER", "x")}),
    ("SignatureDoesNotMatch", {"key": (KEY[0], "other")}),
    ("SignatureDoesNotMatch", {"when": -400}),
    ("SignatureDoesNotMatch", {"service": "sns", "when": 400}),
])
def test_signatures_in_this_protocols_words(aws, code, how):
    with pytest.raises(AwsRefusal) as caught:
        aws.call("Publish", MESSAGE, **how)
    assert (caught.value.code, caught.value.status) == (code, 403)


def test_fault_rules(aws):
    aws.faults({"credentials": "expire"}, {"op": "Publish", "error": {"code": "Throttling", "message": "Rate exceeded"}},
               {"op": "Publish", "error": {"code": "InternalError", "message": "a<b", "status": 500}},
               {"op": "Publish", "cut": "before"}, {"op": "Publish", "cut": "after"}, {"op": "ListTasks", "cut": "before"})
    for code, status, kind in (("ExpiredToken", 403, "Sender"), ("Throttling", 400, "Sender"), ("InternalError", 500, "Receiver")):
        with pytest.raises(AwsRefusal) as caught:
            aws.call("Publish", MESSAGE)
        assert (caught.value.code, caught.value.status, caught.value.body["Type"]) == (code, status, kind)
    for n in range(2):
        assert len(aws.control("GET", "messages")) == 0
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            aws.call("Publish", MESSAGE)
        assert len(aws.control("GET", "messages")) == n
    assert aws.control("GET", "calls")["Publish"] == {"ok": 1, "throttled": 1, "refused": 3, "unknown": 0}


def test_aws_publishes(cluster, shell):  # noqa: F811
    topic = "arn:aws:sns:eu-west-1:123456789012:slurm-alerts"
    before = len(cluster.control("GET", "messages"))
    number = shell.run(f"aws sns publish --topic-arn {topic} --subject 'by hand' --message 'ä b' --query MessageId").stdout.strip()
    found = cluster.control("GET", "messages")[before:]
    assert [(m["MessageId"], m["TopicArn"], m["Subject"], m["Message"]) for m in found] == [(number, topic, "by hand", "ä b")]
    bad = shell.run(f"aws sns publish --topic-arn {topic}x --message m", check=False)
    assert "(NotFound) when calling the Publish operation: Topic does not exist" in bad.stderr
