# Registers the sandbox's task definitions at the local Fargate, as an admin would with the aws CLI.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import os

from proc import SandboxError
from state import CONTRIB, REGION

EXAMPLE = os.path.join(CONTRIB, "example", "task-definition.json")
POLICY = os.path.join(CONTRIB, "example", "iam-policy.json")
# family → image: `host` is the local Fargate's name for this machine's own tools
FAMILIES = {"slurm-job": "host", "slurm-job-busybox": "busybox"}


def definition(family, image):
    """README's example task definition, for another image."""
    with open(EXAMPLE, encoding="utf-8") as f:
        wanted = json.load(f)
    wanted["family"] = family
    for container in wanted["containerDefinitions"]:
        container["image"] = image
        container["logConfiguration"]["options"]["awslogs-region"] = REGION
    return wanted


def policy():
    """
    What the agent's key may do: README's policy, so that a line missing there fails here. Only the
    families are more, as for an admin who has several: whatever is registered may run.
    """
    with open(POLICY, encoding="utf-8") as f:
        document = json.load(f)
    for statement in document["Statement"]:
        if statement["Action"] == "ecs:RunTask":
            statement["Resource"] = statement["Resource"].rpartition("/")[0] + "/*"
    return json.dumps(document, indent=1)


def register(url, access_key, secret_key):
    import botocore.config
    import botocore.exceptions
    import botocore.session
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]        # a profile of the caller's has no say here
    ecs = botocore.session.Session().create_client(
        "ecs", region_name=REGION, endpoint_url=url, aws_access_key_id=access_key,
        aws_secret_access_key=secret_key, config=botocore.config.Config(proxies={}))
    for family, image in FAMILIES.items():
        try:
            ecs.register_task_definition(**definition(family, image))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as e:
            raise SandboxError(f"cannot register the task definition {family}: {e}") from e
