"""A certificate authority for loopback: all servers of a run have a certificate of it, and all programs trust it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = 2
"""How long certificates are valid, in days; each run makes its own."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Files of an authority and of the certificate that its servers share."""

    ca: Path
    """The authority's certificate, which programs trust."""
    certificate: Path
    """The servers' certificate."""
    key: Path
    """The servers' private key."""
    both: Path
    """Key and certificate in one file."""

    def trusted(self) -> dict[str, str]:
        """Return the variables by which the SDKs, the Go programs and OpenSSL trust the authority."""
        return {"AWS_CA_BUNDLE": str(self.ca), "SSL_CERT_FILE": str(self.ca)}


def make(folder: Path) -> Authority:
    """Make an authority and a certificate for 127.0.0.1 and localhost in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    end = start + datetime.timedelta(days=DAYS)
    own, servers = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmarks on loopback")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    plain = x509.CertificateBuilder().issuer_name(issuer).not_valid_before(start).not_valid_after(end)
    root = (
        plain.subject_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(identifier, False)
        .sign(own, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        plain.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .public_key(servers.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
        .sign(own, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = servers.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made = Authority(*(folder / name for name in ("ca.pem", "server.pem", "server.key", "server-both.pem")))
    made.ca.write_bytes(root.public_bytes(pem))
    made.certificate.write_bytes(leaf.public_bytes(pem))
    for path, content in ((made.key, key), (made.both, key + leaf.public_bytes(pem))):
        path.touch(0o600)
        os.chmod(path, 0o600)
        path.write_bytes(content)
    return made


def server_context(both: str) -> ssl.SSLContext:
    """Return a server's context from the file with key and certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context
