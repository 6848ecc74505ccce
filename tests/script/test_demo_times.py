def test_report(script):
    job = lambda name, finished, **steps: {"id": f"c-1/{name}", "finished_ms": finished, "steps_ms": steps}
    trace = {"start_ms": 1000, "jobs": [job("plan", 1500), job("track/0000", 3000, decode=200, detect=900),
                                        job("track/0001", 3000, decode=300), job("hi/dub/0000", 5000, lips=1500),
                                        job("hi/join", 6250, encode=250), job("ta/dub/0000", 9000, lips=2000)]}
    assert script("demo-times").report(trace, "hi") == [
        "  ready 5.2 s after it was submitted",
        "  its own work (2 jobs): lips 1.5 s, encode 0.2 s",
        "  shared by all languages (3 jobs): decode 0.5 s, detect 0.9 s",
    ]
