"""
Authority: one that signs certificates, good for a day, with keys that are made in a moment.
"""

import subprocess
from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")


def _make(certificate, key, name, *more):
    subprocess.run(["openssl", "req", "-x509", *KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *more],
                   check=True, capture_output=True)


class Authority:
    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.certificate = str(self.directory / f"{name}.pem")
        self.key = str(self.directory / f"{name}.key")
        _make(self.certificate, self.key, name)

    def issue(self, name, *names):
        """Paths of a certificate and its key; names such as IP:127.0.0.1 or DNS:redis.example."""
        certificate, key = str(self.directory / f"{name}.pem"), str(self.directory / f"{name}.key")
        more = ("-addext", "subjectAltName=" + ",".join(names)) if names else ()
        _make(certificate, key, name, "-CA", self.certificate, "-CAkey", self.key,
              "-addext", "basicConstraints=critical,CA:false", *more)
        return certificate, key
