"""Waiting for what other processes do. What a test waits for must stay once it is there (a log line, a receipt, an event, a
count that only grows): a state that passes may come and go between two looks."""
import time

DEADLINE = 120  # seconds; a hang must end, nothing here measures time


def wait_for(condition, what, seconds=DEADLINE):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)
    return value


def wait_for_program(process, condition, what, log):
    """The same, of a program that writes the file `log`: if it ends instead, its log is the error."""
    value = wait_for(lambda: condition() or (process.poll() is not None and process), what)
    assert value is not process, f"it ended before {what}: {log.read_text(encoding='utf-8')}"
    return value
