# fargate.conf that does not fit slurm.conf or plugstack.conf: the agent takes no job and says why.
# SPDX-License-Identifier: GPL-2.0-or-later
import os

import pytest

from cluster import wait_for

MISFITS = [
    ("slurm.conf", "MailProg=", "PrologEpilogTimeout=30\nMailProg=",
     "PrologEpilogTimeout is set in slurm.conf: it would kill a waiting fargate-prolog; remove it, or PrologSlurmctld"),
    ("slurm.conf", "PartitionName=local Nodes=node1", "PartitionName=local Nodes=node1,fargate-gw1",
     "gateway node fargate-gw1 is also in partition 'local', which has no line in "),
    ("slurm.conf", "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU_Memory", "SelectType=select/linear",
     "SelectType=select/linear in slurm.conf gives each job a whole gateway node: set SelectType=select/cons_tres"),
    ("plugstack.conf", "gateways=fargate-gw1", "gateways=elsewhere",
     "but its node fargate-gw1 is not in plugstack.conf's gateways="),
    ("plugstack.conf", "gateways=fargate-gw1", "gateway=fargate-gw1",
     "has no line that loads fargate.so with gateways="),
    ("fargate.conf", "PartitionName=spot", "PartitionName=nowhere", "Slurm has no partition 'nowhere'"),
    ("fargate.conf", "Region=", "StopGrace=26\nRegion=",
     "StopGrace in fargate.conf must be at least 5 s below KillWait in slurm.conf"),
]


@pytest.mark.parametrize("name, old, new, message", MISFITS)
def test_agent_takes_no_job_and_says_why(cluster, name, old, new, message):
    path = os.path.join(os.path.dirname(cluster.env["SLURM_CONF"]), name)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text

    def put(content, restart=True):
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        if name == "slurm.conf":
            cluster.sandbox("restart", "slurmctld")
        if restart:
            cluster.sandbox("restart", "agent")

    try:
        put(text.replace(old, new, 1))
        # the agent that ran before may have refused the same file as a change
        end = "; no job is taken until that is mended"
        wait_for(lambda: [x for x in cluster.agent_log().splitlines() if message in x and x.endswith(end)], 20, message)
        assert message in cluster.sfargate("status").stdout
    finally:
        # a mended fargate.conf needs no restart
        put(text, restart=name != "fargate.conf")
    cluster.wait_state(cluster.submit("true\n"))
