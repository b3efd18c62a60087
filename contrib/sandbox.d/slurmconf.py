# Writes a sandbox's slurm.conf, cgroup.conf, plugstack.conf, fargate.conf and prolog.
# SPDX-License-Identifier: GPL-2.0-or-later
import glob
import os
import socket

import accounting
from proc import SandboxError
from state import CLUSTER, REGION

SLURM_CONF = """\
# Written by contrib/sandbox; gone after `sandbox down`.
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/state/slurmctld.pid
SlurmdPidFile={root}/spool/%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
MailProg={root}/etc/mail
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
ProctrackType={proctrack}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
{accounting}
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Limits of this machine do not concern the jobs.
PropagateResourceLimits=NONE

# slurm-fargate: plugins, patience with many starts at once, gateways larger than their host.
PluginDir={plugin_dir}:{root}/plugins
PlugStackConfig={root}/etc/plugstack.conf
JobSubmitPlugins=fargate
# Quarter vCPUs, more than the quotas will ever be: see License= in fargate.conf.
Licenses=fargate:16000,fargate_spot:16000
{prolog}
SlurmdParameters=config_overrides
MessageTimeout=60
BatchStartTimeout=90
SlurmdTimeout=300
KillWait=30
# Everything at once rather than every 3 s and 30 s: for tests, not for a site.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
MaxJobCount=20000
MaxArraySize=10001
# finished jobs stay visible in `scontrol show job`
MinJobAge=7200

{nodes}
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={local_port} CPUs={cpus} RealMemory={memory}
PartitionName=local Nodes=node1 Default=YES DefMemPerCPU=64
PartitionName=fargate Nodes={gateways} MaxNodes=1 DefMemPerCPU=2048
PartitionName=spot Nodes={gateways} MaxNodes=1 DefMemPerCPU=2048
"""

GATEWAY = ("NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1000 Boards=1 "
           "SocketsPerBoard=1 CoresPerSocket=1000 ThreadsPerCore=1 RealMemory=8000000")

# Said even where no cgroup is used: left to itself Slurm may pick v2 and ask systemd for a scope.
CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint={root}/cgroup
CgroupAutomount=no
"""

PLUGSTACK_CONF = ("required {root}/plugins/fargate.so gateways={gateways} "
                  "socket={root}/agent/agent.sock attach={root}/bin/fargate-attach\n")

FARGATE_CONF = """\
# Written by contrib/sandbox; gone after `sandbox down`.
Region={region}
Socket={root}/agent/agent.sock
StateDir={root}/agent/state
License=fargate SpotLicense=fargate_spot
PartitionName=fargate Default=YES Cluster=hpc TaskDefinition=slurm-job Container=main Subnets=subnet-a,subnet-b SecurityGroups=sg-1 AssignPublicIp=NO Providers=FARGATE
PartitionName=spot Cluster=hpc-spot TaskDefinition=slurm-job Container=main Subnets=subnet-a,subnet-b SecurityGroups=sg-1 AssignPublicIp=NO Providers=FARGATE_SPOT,FARGATE
"""

# Instead of sending: one line a mail, with the arguments that Slurm gives MailProg.
MAIL = """\
#!/bin/sh
echo "$*" >>{root}/log/mail.log
"""

PROLOG = """\
#!/bin/sh
exec {root}/bin/fargate-prolog --socket {root}/agent/agent.sock
"""


def _plugin_dir():
    """Where this machine's Slurm keeps its plugins (as configure looks for it)."""
    for pattern in ("/usr/lib/*/slurm-wlm/auth_munge.so", "/usr/lib64/slurm/auth_munge.so",
                    "/usr/lib/slurm/auth_munge.so"):
        for found in glob.glob(pattern):
            return os.path.dirname(found)
    raise SandboxError("no Slurm plugins found; on Debian install slurm-wlm-basic-plugins")


def _memory_mib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(f.readline().split()[1]) // 1024


def write_all(sandbox):
    """Needs sandbox.ports: slurmctld, slurmd-local, one for each gateway, then slurmdbd."""
    host = socket.gethostname().partition(".")[0]
    gateways = sandbox.gateways()
    nodes = [GATEWAY.format(name=name, host=host, port=port)
             for name, port in zip(gateways, sandbox.ports[2:])]
    values = {
        "root": sandbox.root, "host": host, "cluster": CLUSTER, "region": REGION, "plugin_dir": _plugin_dir(),
        "ctld_port": sandbox.ports[0], "local_port": sandbox.ports[1], "nodes": "\n".join(nodes),
        "gateways": sandbox.gateway_list(), "cpus": max(2, os.cpu_count() or 2),
        "memory": _memory_mib(), "accounting": accounting.slurm_conf(sandbox),
        "proctrack": "proctrack/cgroup" if sandbox.cgroup else "proctrack/linuxproc",
        "prolog": f"PrologSlurmctld={sandbox.root}/etc/prolog" if sandbox.options["prolog"]
                  else "# no PrologSlurmctld: --no-prolog",
    }
    sandbox.write("etc/slurm.conf", SLURM_CONF.format(**values))
    sandbox.write("etc/plugstack.conf", PLUGSTACK_CONF.format(**values))
    sandbox.write("etc/fargate.conf", FARGATE_CONF.format(**values))
    sandbox.write("etc/cgroup.conf", CGROUP_CONF.format(**values))
    sandbox.write("etc/mail", MAIL.format(**values), 0o755)
    if sandbox.options["prolog"]:
        sandbox.write("etc/prolog", PROLOG.format(**values), 0o755)
