"""Measures Celery with its defaults, for the benchmark.

    celery_bench.py REDIS_URL TASKS PICKUPS    writes one line of JSON: tasks/s, tasks/s, ms
    celery_bench.py --check                    succeeds when all is installed

The module is also the application that the worker loads.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time

import redis
from celery import Celery

URL = os.environ.get("PEER_REDIS_URL", "redis://127.0.0.1:6379/0")
TAKEN = "bench:taken"  # a list of pickup times, in ms

app = Celery("celery_bench", broker=URL)
store = redis.Redis.from_url(URL)


@app.task(ignore_result=True)
def noop(n):
    pass


@app.task(ignore_result=True)
def pickup(sent):
    store.rpush(TAKEN, (time.time() - sent) * 1000)


def enqueue(tasks):
    begun = time.monotonic()
    for n in range(tasks):
        noop.delay(n)
    return tasks / (time.monotonic() - begun)


def run(tasks):
    """Watches a worker empty the queue, from its first task on."""
    while store.llen("celery") >= tasks:
        time.sleep(0.005)
    begun = time.monotonic()
    while store.llen("celery") > 0 or store.hlen("unacked") > 0:
        time.sleep(0.005)
    return tasks / (time.monotonic() - begun)


def pickups(times):
    taken = []
    for _ in range(times):
        time.sleep(random.uniform(0.005, 0.025))
        pickup.delay(time.time())
        taken.append(float(store.blpop(TAKEN, timeout=30)[1]))
    return statistics.median(taken[1:])


def main(tasks, times):
    rates = {"enqueue": enqueue(tasks)}
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--app", "celery_bench", "worker", "--loglevel", "ERROR"],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        stdout=sys.stderr,
    )
    try:
        rates["run"] = run(tasks)
        rates["pickup-p50"] = pickups(times + 1)
    finally:
        worker.terminate()
        worker.wait()
    print(json.dumps(rates))


if __name__ == "__main__" and sys.argv[1] != "--check":
    os.environ["PEER_REDIS_URL"] = sys.argv[1]  # the worker's, too
    app.conf.broker_url = sys.argv[1]
    store = redis.Redis.from_url(sys.argv[1])
    # The tasks' names must be those that the worker knows.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import celery_bench

    celery_bench.main(int(sys.argv[2]), int(sys.argv[3]))
