# The one exception that becomes an AWS error answer.
# SPDX-License-Identifier: GPL-2.0-or-later


class AwsError(Exception):
    """code and message as AWS words them; status is HTTP's; extra members go beside them."""

    def __init__(self, code, message, status=400, **extra):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra


def invalid(message):
    return AwsError("InvalidParameterException", message)


def client(message):
    return AwsError("ClientException", message)


class ControlError(Exception):
    """A refusal of the control API: a sentence and an HTTP status."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status
