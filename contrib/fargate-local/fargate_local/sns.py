# SNS: topics that exist, and what was published to them.
# SPDX-License-Identifier: GPL-2.0-or-later
import time
import uuid

from .errors import AwsError

MESSAGE_MAX = 256 * 1024        # bytes; SNS API, Publish


def invalid(parameter, reason):
    return AwsError("InvalidParameter", f"Invalid parameter: {parameter} Reason: {reason}")


def is_subject(text):
    """ASCII, from a letter, number or punctuation mark on, no control characters, below 100."""
    return 0 < len(text) < 100 and text[0] != " " and all(" " <= c <= "~" for c in text)


def publish(region, params):
    topic = params.get("TopicArn", params.get("TargetArn"))
    if topic is None:
        raise invalid("TopicArn or TargetArn", "no value for required parameter")
    if "Subject" in params and not is_subject(params["Subject"]):
        raise AwsError("InvalidParameter", "Invalid parameter: Subject")
    if not params["Message"]:
        raise AwsError("InvalidParameter", "Invalid parameter: Empty message")
    if len(params["Message"].encode()) > MESSAGE_MAX:
        raise AwsError("InvalidParameter", "Invalid parameter: Message too long")
    if topic.split(":")[3:4] != [region.name]:
        raise invalid("TopicArn", f"An ARN of region {region.name} was expected")
    if topic not in region.world.topics:
        raise AwsError("NotFound", "Topic does not exist", 404)
    if topic.endswith(".fifo") and "MessageGroupId" not in params:
        raise AwsError("InvalidParameter", "Invalid parameter: The MessageGroupId parameter is "
                       "required for FIFO topics")
    if not topic.endswith(".fifo") and "MessageGroupId" in params:
        raise AwsError("InvalidParameter", "Invalid parameter: MessageGroupId Reason: The request "
                       "includes MessageGroupId parameter that is not valid for this topic type")
    message = {"MessageId": str(uuid.uuid4())}
    region.world.messages.append({**message, "TopicArn": topic, "Subject": params.get("Subject"),
                                  "Message": params["Message"], "time": time.time()})
    return message


OPERATIONS = {"Publish": publish}
