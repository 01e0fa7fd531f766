#!/usr/bin/env python3
"""
What the public port serves, as a C header: each file once as it is and once compressed, with a hash of its bytes for a name.

usage: bundle.py --esbuild PROGRAM --depfile FILE --output HEADER NAME=SOURCE...

A script becomes one file with all that it imports, minified by esbuild. Others are taken as they are.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import subprocess
import tempfile

# The newest syntax that the client itself is written in.
ESBUILD = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none", "--log-level=warning",
           "--external:/tidegate.js")
TAG_DIGITS = 16


def bundle(esbuild, source):
    """(the bytes, the files that they come from)"""
    with tempfile.TemporaryDirectory() as folder:
        script, meta = pathlib.Path(folder, "script.js"), pathlib.Path(folder, "meta.json")
        subprocess.run([esbuild, *ESBUILD, f"--outfile={script}", f"--metafile={meta}", source], check=True)
        return script.read_bytes(), list(json.loads(meta.read_text(encoding="utf-8"))["inputs"])


def array(name, content):
    rows = [", ".join(map(str, content[at:at + 32])) for at in range(0, len(content), 32)]
    return f"static const unsigned char {name}[] = {{\n\t" + ",\n\t".join(rows) + ",\n};\n"


def main():
    arguments = argparse.ArgumentParser()
    for option in ("--esbuild", "--depfile", "--output"):
        arguments.add_argument(option, required=True)
    arguments.add_argument("files", nargs="+")
    given = arguments.parse_args()
    texts, inputs = ["/* Made by bundle.py. */\n"], []
    for name, source in (file.split("=", 1) for file in given.files):
        content, sources = bundle(given.esbuild, source) if source.endswith(".js") else (pathlib.Path(source).read_bytes(), [source])
        inputs += sources
        tag = hashlib.sha256(content).hexdigest()[:TAG_DIGITS]
        texts += [f'#define {name.upper()}_TAG "{tag}"\n', array(name, content),
                  array(f"{name}_gzip", gzip.compress(content, 9, mtime=0))]
    pathlib.Path(given.output).write_text("\n".join(texts), encoding="ascii")
    pathlib.Path(given.depfile).write_text(f"{given.output}: {' '.join(inputs)}\n", encoding="utf-8")


main()
