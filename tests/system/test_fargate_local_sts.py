# The local AWS: STS, temporary keys and their end, a container's endpoint and IMDSv2, with botocore and the aws CLI as clients.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import subprocess
import urllib.error
import urllib.request

import pytest
from test_fargate_local_support import KEY, REGION, AwsRefusal, aws, server, wait_for  # noqa: F401

ROLE = "arn:aws:iam::123456789012:role/test"
BOTOCORE = """
import sys, botocore.session
session = botocore.session.get_session()
client = lambda name: session.create_client(name, endpoint_url=sys.argv[1])
identity = client("sts").get_caller_identity()
clusters = client("ecs").list_clusters()["clusterArns"]
print(identity["Arn"], identity["Account"], len(clusters))
"""


@pytest.fixture(name="client")
def fixture_client(aws, tmp_path):
    """client(command, config, **environment): a stock client with these files and variables only."""
    def run(command, config="", **environment):
        (tmp_path / "config").write_text(config)
        (tmp_path / "credentials").write_text(f"[keys]\naws_access_key_id={KEY[0]}\naws_secret_access_key={KEY[1]}\n")
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "config"),
               "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_DEFAULT_REGION": REGION,
               "AWS_EC2_METADATA_DISABLED": "true", **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    aws.control("PUT", "credentials", {})
    yield run
    aws.control("PUT", "credentials", {})


def test_the_cli_assumes_a_role(aws, client):
    keys = {"AWS_ACCESS_KEY_ID": KEY[0], "AWS_SECRET_ACCESS_KEY": KEY[1]}
    done = client(["aws", "--endpoint-url", aws.url, "sts", "assume-role", "--role-arn", ROLE, "--role-session-name", "me"], **keys)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["Credentials"]
    keys = {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"]}
    done = client(["aws", "--endpoint-url", aws.url, "sts", "get-caller-identity"], AWS_SESSION_TOKEN=found["SessionToken"], **keys)
    assert json.loads(done.stdout)["Arn"] == "arn:aws:sts::123456789012:assumed-role/test/me", done.stderr
    done = client(["aws", "--endpoint-url", aws.url, "ecs", "list-clusters"], AWS_SESSION_TOKEN=found["SessionToken"] + "x", **keys)
    assert "UnrecognizedClientException" in done.stderr


def session(aws, client, config="", **environment):
    return client(["/usr/bin/python3", "-c", BOTOCORE, aws.url], config, **environment)


@pytest.mark.parametrize("settings, environment, arn", [
    ({}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/_container/credentials"}, "local-container/local"),
    ({"container_token": "Basic x"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/_container/credentials",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic x"}, "local-container/local"),
    ({}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}/", "AWS_EC2_METADATA_DISABLED": "false",
          "AWS_METADATA_SERVICE_TIMEOUT": "20"}, "local-instance/local"),
], ids=["container", "container-token", "imds"])
def test_botocore_takes_them(aws, client, settings, environment, arn):
    aws.control("PUT", "credentials", settings)
    done = session(aws, client, **{k: v.format(url=aws.url) for k, v in environment.items()})
    assert done.stdout.split()[:2] == [f"arn:aws:sts::123456789012:assumed-role/{arn}", "123456789012"], done.stderr


def test_keys_end(aws):
    aws.control("PUT", "credentials", {"lifetime": 1})
    answer = aws.call("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "me"})
    names = {"s": "https://sts.amazonaws.com/doc/2011-06-15/"}
    keys = answer.find("s:AssumeRoleResult/s:Credentials", names)
    assert [e.tag.partition("}")[2] for e in keys] == ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"]
    issued = aws.control("GET", "credentials")["issued"][-1]
    assert issued["SessionToken"] == keys.find("s:SessionToken", names).text
    aws.control("PUT", "credentials", {})
    key = issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"]

    def ended():
        try:
            aws.call("ListClusters", key=key)
        except AwsRefusal as e:
            return e.code
        return None

    wait_for(lambda: ended() == "ExpiredTokenException")


@pytest.mark.parametrize("code, changes, settings", [
    ("AccessDenied", {}, {"denied": [ROLE]}),
    ("AccessDenied", {}, {"external_ids": {ROLE: "x"}}),
    ("ValidationError", {"RoleSessionName": "a b"}, {}),
    ("ValidationError", {"DurationSeconds": "899"}, {}),
    ("ValidationError", {"DurationSeconds": "43201"}, {}),
])
def test_assume_role_refuses(aws, code, changes, settings):
    aws.control("PUT", "credentials", settings)
    with pytest.raises(AwsRefusal) as caught:
        aws.call("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "me", **changes})
    assert caught.value.code == code
    aws.control("PUT", "credentials", {})


def get(url, method="GET", **headers):
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_imds_wants_a_token(aws):
    where = aws.url + "/latest/meta-data/iam/security-credentials/"
    assert get(where)[0] == 401
    assert get(aws.url + "/latest/api/token", "PUT")[0] == 400
    status, token = get(aws.url + "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
    assert status == 200
    status, role = get(where, X_aws_ec2_metadata_token=token)
    assert (status, role) == (200, "local-instance")
    assert json.loads(get(where + role, X_aws_ec2_metadata_token=token)[1])["Code"] == "Success"
    assert get(where + "other", X_aws_ec2_metadata_token=token)[0] == 404


def test_settings_are_checked(aws):
    for body in ([], {"lifetime": "1"}, {"lifetime": True}, {"colour": 1}):
        assert aws.refused("PUT", "credentials", body)
