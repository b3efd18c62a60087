# 200 jobs of mixed sizes against a small quota: never above it, nobody starves, nothing is lost.
# SPDX-License-Identifier: GPL-2.0-or-later
from cluster import PATIENCE, wait_for
from quota_load import Record, set_limit, submit_mixed, wait_done

LIMIT = 24


def test_200_jobs_of_mixed_sizes(new_sandbox):
    cluster = new_sandbox("--speed", "20").up()
    set_limit(cluster, LIMIT)
    jobs = submit_mixed(cluster, 200, seed=4)
    wait_done(cluster, jobs, 400)
    wait_for(lambda: not [t for t in cluster.tasks() if t["lastStatus"] != "STOPPED"], 60, "the end of all tasks")
    record = Record(cluster, jobs)
    assert len(record.tasks) == len(jobs), "one task per job"
    assert record.peak() <= LIMIT
    # not a measure of speed: a job that fits is not forgotten
    assert record.longest_idle(LIMIT) < 60 * PATIENCE
    print(f"utilisation {record.utilisation(LIMIT):.2f}, longest idle {record.longest_idle(LIMIT):.1f} s")
