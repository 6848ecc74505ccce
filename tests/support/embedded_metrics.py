"""What CloudWatch asks of a line of its embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
import json
import re
import time

UNITS = {"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Percent", "Count", "None",
         "Bytes/Second", "Count/Second"}
DAY_MS = 24 * 3600 * 1000


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_directive(directive, record):
    """{metric: (unit, dimensions)} of one directive."""
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}, directive
    assert re.fullmatch(r"[A-Za-z0-9.\-_/#][A-Za-z0-9.\-_/#:]{0,254}", directive["Namespace"]), directive
    assert directive["Dimensions"] and all(isinstance(names, list) and len(names) <= 30 for names in directive["Dimensions"])
    for name in (name for names in directive["Dimensions"] for name in names):
        value = record[name]
        assert isinstance(value, str) and 1 <= len(value) <= 1024 and value.isascii() and not value.startswith(":"), (name, value)
        assert 1 <= len(name) <= 250 and not name.startswith(":"), name
    assert 1 <= len(directive["Metrics"]) <= 100
    assert len({metric["Name"] for metric in directive["Metrics"]}) == len(directive["Metrics"])
    for metric in directive["Metrics"]:
        assert set(metric) <= {"Name", "Unit", "StorageResolution"} and metric["Unit"] in UNITS, metric
        assert 1 <= len(metric["Name"]) <= 1024 and is_number(record[metric["Name"]]), (metric, record)
    return {metric["Name"]: (metric["Unit"], tuple(directive["Dimensions"][0])) for metric in directive["Metrics"]}


def parse(line):
    """A line that must be a record: (record, {metric: (unit, dimensions)})."""
    assert len(line.encode()) < 256 * 1024 and line.startswith("{") and line.endswith("}")
    record = json.loads(line)
    assert set(record["_aws"]) == {"Timestamp", "CloudWatchMetrics"}, record["_aws"]
    stamp, now = record["_aws"]["Timestamp"], time.time() * 1000
    assert isinstance(stamp, int) and now - 14 * DAY_MS < stamp < now + DAY_MS / 12, stamp
    assert isinstance(record["_aws"]["CloudWatchMetrics"], list) and record["_aws"]["CloudWatchMetrics"]
    found = {}
    for directive in record["_aws"]["CloudWatchMetrics"]:
        found.update(check_directive(directive, record))
    return record, found
