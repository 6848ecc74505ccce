"""The scaler over TLS: ALPN h2, client certificates."""
import socket
import ssl
import subprocess

import grpc
import pytest

from ..support.waiting import wait_for


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificate(folder, name, authority=None):
    key, request, certificate = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.pem"
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
            "-subj", f"/CN={name}")
    # As RFC 5280 wants them; Python 3.13 refuses less.
    leaf = "subjectAltName=IP:127.0.0.1,DNS:localhost\nauthorityKeyIdentifier=keyid\n"
    root = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
    (folder / "ext").write_text((leaf if authority else root) + "subjectKeyIdentifier=hash\n")
    signer = ["-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key", "-CAcreateserial"] if authority else ["-signkey", key]
    openssl("x509", "-req", "-in", request, "-days", "2", "-out", certificate, "-extfile", folder / "ext", *signer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificate(folder, "authority")
    make_certificate(folder, "server", "authority")
    make_certificate(folder, "keda", "authority")
    make_certificate(folder, "stranger")
    return folder


def credentials(folder, name=None):
    read = lambda file: (folder / file).read_bytes()
    if not name:
        return grpc.ssl_channel_credentials(read("authority.pem"))
    return grpc.ssl_channel_credentials(read("authority.pem"), read(f"{name}.key"), read(f"{name}.pem"))


def options(folder, *more):
    return ["--scaler-cert", folder / "server.pem", "--scaler-key", folder / "server.key", *more]


def answers(client):
    try:
        return client.desired(pool="cpu") == 0
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE and "Redis" in error.details(), error
        return False


def is_refused(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.desired(pool="cpu")
    return caught.value.code() == grpc.StatusCode.UNAVAILABLE and "Redis" not in caught.value.details()


def test_a_client_with_a_certificate_is_answered(make_scaler, certificates):
    scaler = make_scaler.start(*options(certificates, "--scaler-ca", certificates / "authority.pem"))
    client = scaler.client(credentials=credentials(certificates, "keda"))
    wait_for(lambda: answers(client), "an answer")
    stream = client.stream(pool="cpu")
    next(stream)
    scaler.submit()
    next(stream)
    assert is_refused(scaler.client(credentials=credentials(certificates)))
    assert is_refused(scaler.client(credentials=credentials(certificates, "stranger")))
    assert is_refused(scaler.client())
    assert client.desired(pool="cpu") == 2


def handshake(port, folder, protocols):
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        return tls.selected_alpn_protocol(), tls.recv(100)


def test_nothing_but_h2_is_agreed_on(make_scaler, certificates):
    scaler = make_scaler.start(*options(certificates))
    protocol, first = handshake(scaler.port, certificates, ["http/1.1", "h2"])
    assert protocol == "h2" and first[3] == 4  # SETTINGS
    with pytest.raises(OSError):
        handshake(scaler.port, certificates, ["http/1.1"])
    try:
        assert handshake(scaler.port, certificates, None) == (None, b"")
    except ssl.SSLEOFError:
        pass
    wait_for(lambda: answers(scaler.client(credentials=credentials(certificates))), "an answer without a certificate")


def test_a_renewed_certificate_is_taken(make_scaler, certificates):
    mine = make_scaler.folder
    for name in ("server.pem", "server.key", "authority.pem", "authority.key"):
        (mine / name).write_bytes((certificates / name).read_bytes())
    scaler = make_scaler.start(*options(mine))
    before = served(scaler.port)
    (mine / "server.key").write_bytes(b"half a pair")
    assert served(scaler.port) == before
    scaler.logged("the old one stays")
    make_certificate(mine, "server", "authority")
    assert served(scaler.port) != before
    wait_for(lambda: answers(scaler.client(credentials=credentials(mine))), "an answer")


def served(port):
    """The certificate that the scaler shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw, context.wrap_socket(raw) as tls:
        return tls.getpeercert(binary_form=True)


@pytest.mark.parametrize("arguments, word", [(["--scaler-key", "server.key"], "needs a certificate"), (["--scaler-cert", "none.pem", "--scaler-key", "server.key"], "none.pem"),
                                             (["--scaler-cert", "server.pem", "--scaler-key", "keda.key"], "keda.key"),
                                             (["--scaler-cert", "server.pem", "--scaler-key", "server.key", "--scaler-ca", "server.key"], "authority")])
def test_files_that_do_not_fit_are_named(make_scaler, certificates, arguments, word):
    paths = [argument if argument.startswith("--") else certificates / argument for argument in arguments]
    with pytest.raises(AssertionError, match="config.invalid") as caught:
        make_scaler.start(*paths)
    assert word in str(caught.value)
