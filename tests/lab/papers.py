"""Certificates for the lab's services, made by trustme: good ones, and each defect by itself."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

#: Each defect and the name that the certificate is for, by the lab's own names.
DEFECTS = ("good", "expired", "future", "other-name", "self-signed", "chain-missing", "untrusted", "weak")


def issue(folder: Path, names: list[str], defect: str, *, days: int = 3) -> tuple[Path, Path, Path]:
    """Write a key with its chain, as a server wants them, and the authority that a client trusts.

    Returns the paths of chain, key and authority. ``days`` is how far the days of a bad one are off.
    ``names`` are host names and address literals. Raises
    ``ImportError`` where trustme is not installed, ``ValueError`` for an unknown defect.
    """
    import trustme

    if defect not in DEFECTS:
        raise ValueError(f"no certificate is {defect!r}: {', '.join(DEFECTS)}")
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    trusted = trustme.CA(organization_name="wsadiag lab")
    issuer, life = trusted, {"not_before": now - 30 * day, "not_after": now + 30 * day}
    if defect == "expired":
        life = {"not_before": now - (days + 57) * day, "not_after": now - days * day}
    elif defect == "future":
        life = {"not_before": now + days * day, "not_after": now + (days + 57) * day}
    elif defect == "other-name":
        names = ["other.invalid"]
    elif defect == "chain-missing":
        issuer = trusted.create_child_ca()
    elif defect == "untrusted":
        issuer = trustme.CA(organization_name="nobody's own")
    chain, key, authority = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    trusted.cert_pem.write_to_path(authority)
    if defect in ("self-signed", "weak"):
        _self_signed(chain, key, names, now, day, weak=defect == "weak")
        if defect == "weak":
            authority.write_bytes(chain.read_bytes())  # known, and still too weak
    else:
        paper = issuer.issue_cert(*names, **life)
        parts = paper.cert_chain_pems[:1] if defect == "chain-missing" else paper.cert_chain_pems
        chain.write_bytes(b"".join(part.bytes() for part in parts))
        key.write_bytes(paper.private_key_pem.bytes())
    for path in (chain, key, authority):
        path.chmod(0o644)
    return chain, key, authority


def _self_signed(chain: Path, key: Path, names: list[str], now: dt.datetime, day: dt.timedelta, *, weak: bool) -> None:
    """Write a certificate that its own key has signed, as an appliance makes one at its first start.

    A weak key is one of RSA with 1024 bits, as old appliances have them.
    """
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import NameOID

    bits = 1024  # what nobody should accept any more
    own = rsa.generate_private_key(65537, bits) if weak else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    others: list[x509.GeneralName] = []
    for one in names:
        try:
            others.append(x509.IPAddress(ipaddress.ip_address(one)))
        except ValueError:
            others.append(x509.DNSName(one))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 30 * day)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .sign(own, hashes.SHA256())
    )
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
