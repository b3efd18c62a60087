# Command line, start and end of the local AWS.
# SPDX-License-Identifier: GPL-2.0-or-later
import argparse
import asyncio
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile

import botocore
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from . import app, rootfs
from .containers import Containers, Refused
from .control import Control
from .faults import Faults
from .iam import Policy
from .lifecycle import Lifecycle
from .world import World

log = logging.getLogger("fargate-local")
DEFAULT_KEY = "AKIALOCALFARGATE00:local-fargate-secret"
BUSYBOXES = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static")


def in_one_line(record):
    """Log filter: what is no HTTP is the client's fault, so without a traceback of aiohttp's."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args, record.exc_info = "not HTTP: %s", (error.message,), None
    return True


def parse(argv):
    p = argparse.ArgumentParser(
        prog="fargate-local", description="A stand-in for AWS ECS on Fargate, CloudWatch, "
        "Service Quotas, SNS and STS that runs containers on this machine. It listens on 127.0.0.1.")
    p.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    p.add_argument("--port-file", metavar="F", help="write the port here once ready")
    p.add_argument("--speed", type=float, default=1.0, metavar="X",
                   help="divide the lifecycle and log delays by this (default 1)")
    p.add_argument("--access-key", action="append", metavar="AK:SK[:TOKEN]",
                   help=f"accepted key pair, repeatable (default {DEFAULT_KEY})")
    p.add_argument("--cluster", action="append", metavar="NAME",
                   help="repeatable (default: default)")
    p.add_argument("--log-group", action="append", default=[], metavar="NAME", help="repeatable")
    p.add_argument("--topic", action="append", default=[], metavar="ARN",
                   help="an SNS topic that exists, repeatable")
    p.add_argument("--policy", action="append", default=[], metavar="[AK=]FILE",
                   help="IAM policy (JSON) for this access key, or for every key without one of "
                   "its own; a key without policy may do everything")
    p.add_argument("--state-dir", metavar="DIR", help="where to make the directory of the "
                   "containers' roots, removed at exit (default $TMPDIR or /tmp)")
    p.add_argument("--busybox", metavar="FILE", help="static busybox for the containers")
    p.add_argument("--uid", type=int, default=65534, help="of containers (default 65534)")
    p.add_argument("--allow-32-vcpu", action="store_true", help="the region has the 32-vCPU sizes")
    args = p.parse_args(argv)
    if not args.speed > 0:
        p.error(f"--speed must be above 0, not {args.speed:g}")
    args.keys = {}
    for pair in args.access_key or [DEFAULT_KEY]:
        key, _, rest = pair.partition(":")
        secret, _, token = rest.partition(":")
        if not key or not secret:
            p.error("--access-key must be AK:SK or AK:SK:TOKEN")
        args.keys[key] = (secret, token or None)
    args.policies = {}
    for text in args.policy:
        key, _, path = text.partition("=")
        if key not in args.keys:        # a file's name may have a = in it
            key, path = "", text
        args.policies[key] = path
    return args


def load_policies(args):
    """Access key -> Policy, for every key."""
    given = {key: Policy(path) for key, path in args.policies.items()}
    return {key: given.get(key, given.get("", Policy())) for key in args.keys}


def write_port(path, port):
    """Whole or not at all: whoever waits for the file can read it at once."""
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(f"{port}\n")
    os.replace(path + ".new", path)


def make_state_dir(args):
    """A new directory with the containers' root; raises Refused with a sentence."""
    if os.geteuid() != 0:
        raise Refused("only root can start containers with unshare")
    busybox = args.busybox or next((b for b in BUSYBOXES if os.path.exists(b)), None)
    if busybox is None or not os.path.exists(busybox):
        raise Refused("there is no busybox for the containers; install busybox-static")
    if args.state_dir is not None:
        os.makedirs(args.state_dir, exist_ok=True)
        args.state_dir = os.path.abspath(args.state_dir)
    state_dir = tempfile.mkdtemp(prefix="fargate-local-", dir=args.state_dir)
    rootfs.build(state_dir, busybox, args.uid)
    return state_dir


async def serve(args, policies, state_dir):
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    containers = Containers(state_dir, done.set)
    runner = None
    try:
        await containers.open()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)    # two pipes for each container,
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))    # and none of it for them
        faults = Faults()
        lifecycle = Lifecycle(containers, faults, args.speed, args.uid)
        world = World(args.cluster or ["default"], args.log_group, args.topic,
                      args.allow_32_vcpu, faults, lifecycle)
        front = app.Front(world, faults, args.keys, policies)
        runner = web.AppRunner(app.application(front, Control(world, front, faults)),
                               access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", args.port, shutdown_timeout=1.0, backlog=1024)
        await site.start()
        port = runner.addresses[0][1]
        log.info("listening on http://127.0.0.1:%d, speed %g, models of botocore %s", port,
                 args.speed, botocore.__version__)
        if args.port_file:
            write_port(args.port_file, port)
        await done.wait()
    finally:
        if runner is not None:
            await runner.cleanup()
        await containers.close()
    return 1 if containers.died else 0


def main(argv=None):
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr,
                        format="fargate-local: %(message)s")
    logging.getLogger("aiohttp.server").addFilter(in_one_line)
    state_dir = None
    try:
        if args.port_file and os.path.exists(args.port_file):
            os.unlink(args.port_file)       # of a server before us; nobody shall connect to that
        policies = load_policies(args)
        state_dir = make_state_dir(args)
        return asyncio.run(serve(args, policies, state_dir))
    except (Refused, OSError) as e:
        log.error("cannot start: %s", e)
        return 1
    finally:
        if state_dir is not None:
            shutil.rmtree(state_dir, ignore_errors=True)
