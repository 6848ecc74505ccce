def job(payload):
    pass
