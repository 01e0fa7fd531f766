"""
Authority: one that signs certificates, good for a day, with keys that are made in a moment.
"""

import ssl
import subprocess
from pathlib import Path

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("-newkey", "rsa:2048")


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def _make(certificate, key, name, *more, kind=P256, days=1):
    _openssl("req", "-x509", *kind, "-nodes", "-days", str(days), "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *more)


class Authority:
    def __init__(self, directory, name="authority", signed_by=None):
        self.directory = Path(directory)
        self.certificate = str(self.directory / f"{name}.pem")
        self.key = str(self.directory / f"{name}.key")
        _make(self.certificate, self.key, name, *(signed_by.signs() if signed_by else ()))

    def signs(self):
        return "-CA", self.certificate, "-CAkey", self.key

    def issue(self, name, *names, usage=None, **kind):
        """Paths of a certificate and its key; names such as IP:127.0.0.1 or DNS:redis.example. usage="clientAuth", kind=RSA,
        days=7"""
        certificate, key = str(self.directory / f"{name}.pem"), str(self.directory / f"{name}.key")
        more = ("-addext", "subjectAltName=" + ",".join(names)) if names else ()
        more += ("-addext", f"extendedKeyUsage={usage}") if usage else ()
        _make(certificate, key, name, *self.signs(),
              "-addext", "basicConstraints=critical,CA:false", *more, **kind)
        return certificate, key

    def issue_expired(self, name, *names):
        """The same, good until yesterday."""
        certificate, key = str(self.directory / f"{name}.pem"), str(self.directory / f"{name}.key")
        more = ("-addext", "subjectAltName=" + ",".join(names)) if names else ()
        _openssl("req", "-new", *P256, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate + ".request", *more)
        _openssl("x509", "-req", "-in", certificate + ".request", *self.signs(), "-days", "-1", "-copy_extensions", "copyall",
                 "-out", certificate)
        return certificate, key

    def client(self, certificate=None, key=None):
        """A context of ssl that believes this authority alone, and shows a certificate if it is asked for one."""
        context = ssl.create_default_context(cafile=self.certificate)
        if certificate:
            context.load_cert_chain(certificate, key)
        return context
