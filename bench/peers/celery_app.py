"""Celery with late acknowledgement, as a farm that must not lose jobs runs it."""
import os
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)


@app.task
def job(payload):
    pass
