# fargate.so in sbatch and salloc: options, their messages, the one variable, and what an outer job leaves behind.
# SPDX-License-Identifier: GPL-2.0-or-later
import json

import pytest

import support


def sbatch(directory, *options, env=None, context="allocator"):
    """Options are (name, value) pairs without the leading --fargate; value None = given without one."""
    steps = ["init", *({"option": name, "value": value} for name, value in options), "init_post_opt"]
    return support.run_host(directory, {"context": context, "steps": steps}, env)


def packed(run):
    assert run.messages() == []
    assert set(run.codes().values()) == {0} and set(run.option_codes()) <= {0}
    assert set(run.control()) == {"FARGATE"}
    said = json.loads(run.control()["FARGATE"])
    assert set(said) == {"v", "options"} and said["v"] == 1
    return said["options"]


NOTHING_SAID = {"cpu": 0, "mem": 0, "env": []}


def test_every_option_is_registered_and_says_whose_it_is(directory):
    run = sbatch(directory)
    options = {option["name"]: option for option in run.end["options"]}
    assert {name: option["has_arg"] for name, option in options.items()} == {
        "fargate": 2, "fargate-cpu": 1, "fargate-mem": 1, "fargate-storage": 1, "fargate-spot": 2,
        "fargate-task-definition": 1, "fargate-env": 1}
    assert all(option["usage"].startswith("[fargate] ") and option["arginfo"] for option in options.values())


@pytest.mark.parametrize("value", (None, "", "(null)", "always"))
def test_fargate_alone(directory, value):
    assert packed(sbatch(directory, ("fargate", value))) == NOTHING_SAID


def test_without_an_option_nothing_is_packed(directory):
    run = sbatch(directory)
    assert run.codes() == {"init": 0, "init_post_opt": 0}
    assert run.messages() == [] and run.control() == {}


@pytest.mark.parametrize("name, value, key, number", (
    ("fargate-cpu", "0.25", "cpu", 256), ("fargate-cpu", ".5", "cpu", 512), ("fargate-cpu", "4", "cpu", 4096),
    ("fargate-cpu", "16", "cpu", 16384), ("fargate-cpu", "0.3", "cpu", 308),
    ("fargate-mem", "512", "mem", 512), ("fargate-mem", "512M", "mem", 512), ("fargate-mem", "8G", "mem", 8192),
    ("fargate-mem", "1500K", "mem", 2), ("fargate-mem", "1t", "mem", 1048576),
    ("fargate-storage", "1", "storage", 1), ("fargate-storage", "20", "storage", 20), ("fargate-storage", "200", "storage", 200)))
def test_a_number_is_packed_in_fargates_units(directory, name, value, key, number):
    for order in (0, 1):
        options = [("fargate", None), (name, value)]
        assert packed(sbatch(directory, *(reversed(options) if order else options))) == dict(NOTHING_SAID, **{key: number})


@pytest.mark.parametrize("name", ("job", "slurm-job_2", "slurm-job:7", "a:123456789", "x" * 255))
def test_a_task_definition_is_packed_as_it_is(directory, name):
    run = sbatch(directory, ("fargate", None), ("fargate-task-definition", "first"), ("fargate-task-definition", name))
    assert packed(run) == dict(NOTHING_SAID, task_definition=name)


@pytest.mark.parametrize("value, spot", ((None, "prefer"), ("", "prefer"), ("(null)", "prefer"), ("prefer", "prefer"), ("only", "only")))
def test_spot_is_packed_by_its_name(directory, value, spot):
    assert packed(sbatch(directory, ("fargate", None), ("fargate-spot", value))) == dict(NOTHING_SAID, spot=spot)


def test_the_last_wish_for_spot_counts(directory):
    for first, last in (("only", "prefer"), ("prefer", "only")):
        run = sbatch(directory, ("fargate", None), ("fargate-spot", first), ("fargate-spot", last))
        assert packed(run) == dict(NOTHING_SAID, spot=last)


def test_the_last_number_counts(directory):
    run = sbatch(directory, ("fargate", None), ("fargate-cpu", "1"), ("fargate-cpu", "2"))
    assert packed(run) == dict(NOTHING_SAID, cpu=2048)


NO_CPU = "'%s' is not a number of vCPUs; give for example 0.25, 1 or 4"
TOO_MUCH_CPU = "%s vCPU is more than the largest Fargate size, 16 (32 where the partition allows it)"
NO_MEM = "'%s' is not a memory size; give a whole number with K, M, G or T, for example 4G"
NO_STORAGE = "'%s' is no size of storage; give whole GiB from 1 to 200, for example 100"
NO_SPOT = "'%s' is no way to use Spot; give prefer (Spot first) or only (nothing but Spot)"
NO_DEFINITION = "'%s' is no task definition; give FAMILY or FAMILY:REVISION (letters, digits, - and _)"
ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/slurm-job:7"
NO_NAME = "'%s' is not a variable name; letters, digits and _ only"
UNSET = "variable {0} is not set in your environment; set it or give --fargate-env={0}=VALUE"
RESERVED = "variable {0} cannot be given: names that begin with {1} are set for the job by slurm-fargate itself"
BAD_VALUES = (
    ("fargate", "burst", "no such mode; use --fargate or --fargate=always"),
    ("fargate", "ALWAYS", "no such mode; use --fargate or --fargate=always"),
    ("fargate-cpu", "0", "0 vCPU is not possible; the smallest Fargate size is 0.25"),
    ("fargate-cpu", "0.0", "0 vCPU is not possible; the smallest Fargate size is 0.25"),
    ("fargate-cpu", "", NO_CPU % ""),
    ("fargate-cpu", ".", NO_CPU % "."),
    ("fargate-cpu", "-1", NO_CPU % "-1"),
    ("fargate-cpu", "two", NO_CPU % "two"),
    ("fargate-cpu", "1e3", NO_CPU % "1e3"),
    ("fargate-cpu", " 1", NO_CPU % " 1"),
    ("fargate-cpu", "0x1", NO_CPU % "0x1"),
    ("fargate-cpu", "33", TOO_MUCH_CPU % "33"),
    ("fargate-mem", "0", "0 memory is not possible; the smallest Fargate size has 512M"),
    ("fargate-mem", "", NO_MEM % ""),
    ("fargate-mem", "-4G", NO_MEM % "-4G"),
    ("fargate-mem", "1.5G", NO_MEM % "1.5G"),
    ("fargate-mem", "4X", NO_MEM % "4X"),
    ("fargate-mem", "4GG", NO_MEM % "4GG"),
    ("fargate-mem", "lots", NO_MEM % "lots"),
    *(("fargate-storage", value, NO_STORAGE % value)
      for value in ("", "0", "201", "-1", "21G", "2.5", " 30", "0x20", "9" * 40, "1000000000000")),
    *(("fargate-spot", value, NO_SPOT % value[:63]) for value in ("Only", "ONLY", "only ", "prefer,only", "yes", "0", "x" * 100)),
    *(("fargate-task-definition", value, NO_DEFINITION % value[:63])
      for value in ("", ":", ":7", "a:", "a:0", "a:07", "a:-1", "a:b", "a:1:2", "a b", "a*", "\u00e9", "x" * 256, "a:1234567890", ARN)),
    ("fargate-env", "NOT_THERE", UNSET.format("NOT_THERE")),
    ("fargate-env", "A=1,NOT_THERE", UNSET.format("NOT_THERE")),
    ("fargate-env", "1X=2", NO_NAME % "1X"),
    ("fargate-env", "A-B=2", NO_NAME % "A-B"),
    ("fargate-env", "=2", NO_NAME % ""),
    ("fargate-env", "1X", NO_NAME % "1X"),
    ("fargate-env", "", NO_NAME % ""),
    ("fargate-env", "A=1,", NO_NAME % ""),
    ("fargate-env", "A=1,2", NO_NAME % "2"),
    ("fargate-env", "SLURM_JOB_ID=7", RESERVED.format("SLURM_JOB_ID", "SLURM_")),
    ("fargate-env", "SLURM_JOB_ID", RESERVED.format("SLURM_JOB_ID", "SLURM_")),
    ("fargate-env", "SLURM_THERE", RESERVED.format("SLURM_THERE", "SLURM_")),
    ("fargate-env", "SF_NONCE=7", RESERVED.format("SF_NONCE", "SF_")),
)


@pytest.mark.parametrize("name, value, text", BAD_VALUES)
def test_a_bad_value_is_refused_with_its_sentence(directory, name, value, text):
    run = sbatch(directory, ("fargate", None), (name, value), env={"SLURM_THERE": "x"})
    given = "" if (name, value) == ("fargate", "") else f"={value}"
    assert run.option_codes() == [0, -1]
    assert run.messages() == [f"error: fargate: --{name}{given}: {text}"]


@pytest.mark.parametrize("name, value", (("fargate-cpu", "1"), ("fargate-mem", "4G"), ("fargate-env", "A=1"),
                                         ("fargate-storage", "30"), ("fargate-spot", None), ("fargate-spot", "only"),
                                         ("fargate-task-definition", "job")))
def test_another_option_without_fargate_is_refused(directory, name, value):
    run = sbatch(directory, (name, value))
    assert run.codes() == {"init": 0, "init_post_opt": -1}
    assert run.messages() == [f"error: fargate: --{name} means nothing without --fargate; add --fargate or leave it out"]
    assert run.control() == {}


def test_the_first_of_several_options_without_fargate_is_named(directory):
    run = sbatch(directory, ("fargate-mem", "4G"), ("fargate-cpu", "1"))
    assert run.messages() == ["error: fargate: --fargate-mem means nothing without --fargate; add --fargate or leave it out"]


@pytest.mark.parametrize("values, env", (
    (("A=1",), ["A=1"]),
    (("A=",), ["A="]),
    (("A=x=y z",), ["A=x=y z"]),
    (("HERE",), ["HERE=a, b=\u00e9"]),
    (("EMPTY",), ["EMPTY="]),
    (("A=1,B=2,HERE",), ["A=1", "B=2", "HERE=a, b=\u00e9"]),
    (("A=1", "B=2", "HERE"), ["A=1", "B=2", "HERE=a, b=\u00e9"]),
    (("_x9=1",), ["_x9=1"])))
def test_forms_of_fargate_env(directory, values, env):
    run = sbatch(directory, ("fargate", None), *(("fargate-env", value) for value in values),
                 env={"HERE": "a, b=\u00e9", "EMPTY": ""})
    assert packed(run) == dict(NOTHING_SAID, env=env)


def test_a_value_that_is_not_utf8_is_refused(directory):
    run = sbatch(directory, ("fargate", None), ("fargate-env", "BYTES"), env={b"BYTES": b"\xff\xfe"})
    assert run.option_codes() == [0, -1]
    assert run.messages() == ["error: fargate: --fargate-env=BYTES: the value of variable BYTES is not valid UTF-8"]


def test_control_bytes_do_not_reach_the_terminal(directory):
    run = sbatch(directory, ("fargate", None), ("fargate-cpu", "\x1b[2J\n1"))
    assert run.messages() == ["error: fargate: --fargate-cpu=?[2J?1: " + NO_CPU % "?[2J?1"]


def test_all_options_together(directory):
    run = sbatch(directory, ("fargate-env", "A=1"), ("fargate-cpu", "2"), ("fargate", "always"), ("fargate-mem", "16G"))
    assert packed(run) == {"cpu": 2048, "mem": 16384, "env": ["A=1"]}


INHERITED = ("SLURM_SPANK_FARGATE", "SLURM_SPANK__SLURM_SPANK_OPTION_fargate_fargate",
             "SLURM_SPANK__SLURM_SPANK_OPTION_fargate_fargate_cpu", "_SLURM_SPANK_OPTION_fargate_fargate",
             "_SLURM_SPANK_OPTION_fargate_fargate_env")
KEPT = {"SLURM_SPANK_FARGATE_OF_ANOTHER": "1", "SLURM_SPANK__SLURM_SPANK_OPTION_pyxis_container_image": "i",
        "_SLURM_SPANK_OPTION_pyxis_container_image": "i", "SLURM_JOB_ID": "7", "HOME": "/root", "FARGATE": "mine"}


def test_what_an_outer_job_left_is_forgotten(directory):
    run = sbatch(directory, env={**dict.fromkeys(INHERITED, "x"), **KEPT})
    assert run.environ() == KEPT
    assert run.control() == {} and run.messages() == []


def test_an_empty_environment_does_no_harm(directory):
    assert sbatch(directory, env={}).environ() == {}


@pytest.mark.parametrize("context", ("local", "slurmd", "job_script", "error"))
def test_other_contexts_do_nothing(directory, context):
    hooks = ["init", "init_post_opt", "local_user_init", "user_init", "task_init_privileged", "task_init", "exit"]
    run = support.run_host(directory, {"context": context, "steps": hooks, "args": ["gateways=gw", "nonsense"],
                                       "job_env": ["SLURM_JOB_NODELIST=gw"]}, dict.fromkeys(INHERITED, "x"))
    assert run.codes() == dict.fromkeys(hooks, 0)
    assert run.messages() == [] and run.end["options"] == [] and "control_env" not in run.end
    assert run.environ() == dict.fromkeys(INHERITED, "x")
