"""A certificate authority for the endpoints with HTTPS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Certificates", "make", "write_files"]

_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """The certificates of one loopback.

    Args:
        bundle: a file with our authority and those of the system, for clients.
        server: the server's side of a TLS connection.
        signer: signs the registry's tokens.
        signing: the certificate of *signer*, by which the registry knows them.
    """

    bundle: Path
    server: ssl.SSLContext
    signer: ec.EllipticCurvePrivateKey = field(repr=False)
    signing: x509.Certificate

    def signing_pem(self) -> str:
        """The certificate of the token key as PEM."""
        return self.signing.public_bytes(serialization.Encoding.PEM).decode()

    def signing_der(self) -> bytes:
        """The certificate of the token key as DER."""
        return self.signing.public_bytes(serialization.Encoding.DER)


def make(folder: Path) -> Certificates:
    """Create the certificates in *folder*."""
    root_key, signer = _key(), _key()
    root = _certificate("loopback authority", root_key, root_key, issuer="loopback authority", authority=True)
    system = _SYSTEM_BUNDLE.read_text(encoding="utf-8") if _SYSTEM_BUNDLE.exists() else ""
    bundle = folder / "ca-bundle.pem"
    bundle.write_text(_pem(root) + system, encoding="utf-8")
    return Certificates(
        bundle=bundle,
        server=_server(folder, root_key),
        signer=signer,
        signing=_certificate("registry tokens", signer, signer, issuer="registry tokens", authority=True),
    )


def write_files(folder: Path) -> None:
    """Create an authority and a certificate that it has signed in *folder*: ca.pem, cert.pem and key.pem."""
    root_key, key = _key(), _key()
    root = _certificate("loopback authority", root_key, root_key, issuer="loopback authority", authority=True)
    certificate = _certificate("127.0.0.1", key, root_key, issuer="loopback authority", authority=False)
    (folder / "ca.pem").write_text(_pem(root), encoding="utf-8")
    (folder / "cert.pem").write_text(_pem(certificate), encoding="utf-8")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def _server(folder: Path, root_key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    key = _key()
    certificate = _certificate("127.0.0.1", key, root_key, issuer="loopback authority", authority=False)
    chain = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + _pem(certificate).encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    issuer: str,
    authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.timezone.utc)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .sign(by, hashes.SHA256())
    )


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
