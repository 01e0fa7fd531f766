"""
Tokens: JSON web tokens as an issuer makes them, and as nobody should.

An Issuer has a key of one algorithm, its public half as PEM and as a JWK, and signs whatever header and payload it is told
to. What a library would refuse to make is put together from parts by the tests.
"""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SECRET = "a secret of the tests, of 32 bytes and more".replace(" ", "-")
SHA = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": (ec.SECP256R1, "P-256", 32), "ES384": (ec.SECP384R1, "P-384", 48)}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def claims(**more):
    """What every token has, unless the test says otherwise: a claim that is None is left out."""
    payload = {"sub": "42", "exp": int(time.time()) + 600, **more}
    return {name: value for name, value in payload.items() if value is not None}


class Issuer:
    """Who signs tokens: HS256 by a secret, else by a key that it draws."""

    def __init__(self, algorithm="HS256", secret=SECRET, kid=None, bits=2048):
        self.algorithm, self.secret, self.kid = algorithm, secret, kid
        if algorithm in CURVES:
            self.key = ec.generate_private_key(CURVES[algorithm][0]())
        elif algorithm == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
        elif algorithm.startswith(("RS", "PS")):
            self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)

    def public(self):
        """The public key, in PEM."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def jwk(self, **more):
        numbers = None if self.algorithm == "EdDSA" else self.key.public_key().public_numbers()
        if self.algorithm == "EdDSA":
            raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        elif self.algorithm in CURVES:
            _, name, size = CURVES[self.algorithm]
            jwk = {"kty": "EC", "crv": name, "x": number(numbers.x, size), "y": number(numbers.y, size)}
        else:
            jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        return {**jwk, **({"kid": self.kid} if self.kid else {}), **more}

    def sign(self, data, algorithm=None):
        algorithm = algorithm or self.algorithm
        if algorithm.startswith("HS"):
            return hmac.new(self.secret.encode(), data, getattr(hashlib, "sha" + algorithm[2:])).digest()
        if algorithm == "EdDSA":
            return self.key.sign(data)
        sha = SHA[algorithm[2:]]()
        if algorithm.startswith("RS"):
            return self.key.sign(data, padding.PKCS1v15(), sha)
        if algorithm.startswith("PS"):
            return self.key.sign(data, padding.PSS(padding.MGF1(sha), sha.digest_size), sha)
        size = CURVES[algorithm][2]
        return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(self.key.sign(data, ec.ECDSA(sha))))

    def token(self, header=None, payload=None, **more):
        """header, payload: whole texts in place of what it would write; more: claims."""
        if header is None:
            header = {"typ": "JWT", "alg": self.algorithm, **({"kid": self.kid} if self.kid else {})}
        texts = [text if isinstance(text, (bytes, str)) else json.dumps(text)
                 for text in (header, claims(**more) if payload is None else payload)]
        signed = ".".join(b64(text.encode() if isinstance(text, str) else text) for text in texts)
        return f"{signed}.{b64(self.sign(signed.encode()))}"


def jwks(*issuers):
    return json.dumps({"keys": [issuer.jwk() for issuer in issuers]})
