"""What the tests of several folders share: paths, waiting, ports, Redis and S3 servers, proxies."""
