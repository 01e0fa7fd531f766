"""
What sources and documents refer to is there: documents, their headings, the rules and faults that have a name, and functions.

A source cites `docs/FILE.md`, and if it means one place `docs/FILE.md R4` (a rule, an invariant, a fault: what stands there as a heading,
or first in a row of a table) or `docs/FILE.md, Heading` (a heading, or a paragraph that begins in bold). A document may leave the folder
out. `name()` in a comment is a function that somebody defines or calls.
"""

import posixpath
import re
import subprocess
from pathlib import Path

NAMED = r"[RIF]\d{1,2}[a-z]?"
HOMES = {"R": "docs/recovery-protocol.md", "I": "docs/recovery-protocol.md", "F": "docs/testing.md"}  # of names that stand alone
CITATION = re.compile(r"(?<![\w/.-])((?:\.\./|[\w-]+/)*[\w-]+\.md)\b`?(?: (" + NAMED + r")\b|, ([A-Z][\w ,'-]*))?")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENTS = {
    "c": re.compile(r"/\*.*?\*/", re.DOTALL),
    "h": re.compile(r"/\*.*?\*/", re.DOTALL),
    "def": re.compile(r"/\*.*?\*/", re.DOTALL),
    "lua": re.compile(r"--.*"),
}
HASH = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
SCRIPTS = ("py", "sh", "build", "txt", "yaml", "yml")
SKIPPED = ("deploy/patches/libwebsockets/0", "tests/fuzz/corpus/", "tests/lint/references.py", "tests/integration/test_lint.py",
           "CHANGELOG.md")
# Foreign functions that comments speak of and nobody here calls.
FOREIGN = {"sd_notify", "bufferevent_socket_connect_hostname", "evbuffer_write", "lws_adopt_socket_vhost_readbuf", "strftime"}


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "-z", "--", *patterns], capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path and Path(path).is_file()]


def kind(path):
    return path.rpartition(".")[2]


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def plain(text):
    """A comment's words in one line: without the marks at the beginnings of its lines."""
    return re.sub(r"\s*\n\s*(?:\*(?!/)|#|--)?\s*", " ", text)


def comments(path, text):
    """(line, words) of each comment; a document is one after the other paragraph of it."""
    if kind(path) == "md":
        for found in re.finditer(r"(?:.+\n?)+", BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)):
            yield line_of(text, found.start()), plain(found[0])
        return
    pattern = COMMENTS.get(kind(path))
    if not pattern:
        pattern = re.compile(r"(?:^[ \t]*#.*\n?)+|(?<=\s)#.*|\"\"\".*?\"\"\"", re.MULTILINE | re.DOTALL) if kind(path) == "py" \
            else re.compile(r"(?:^[ \t]*#.*\n?)+|(?<=\s)#.*", re.MULTILINE)
    for found in pattern.finditer(text):
        yield line_of(text, found.start()), plain(found[0])


class Document:
    def __init__(self, text):
        prose = BLOCK.sub("", text)
        headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
        self.headings = headings + re.findall(r"^(?:- )?\*\*(.+?)[.:]?\*\*", prose, re.MULTILINE)
        self.anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        self.names = {name for heading in headings for name in re.findall(rf"^{NAMED}\b", heading)}
        for cell in re.findall(r"^\| ([^|]+) \|", prose, re.MULTILINE):
            if re.fullmatch(rf"{NAMED}(?:, {NAMED})*", cell):
                self.names.update(cell.split(", "))

    def has(self, words):
        """Does the document have what these words begin with? A sentence may go on behind a heading."""
        return any(re.match(re.escape(heading) + r"(?!\w)", words) for heading in self.headings)


def documents():
    return {path: Document(read(path)) for path in tracked("*.md")}


def where(path, cited, known):
    """The document that is meant: from the root, or beside who cites it."""
    for candidate in (posixpath.normpath(cited), posixpath.normpath(posixpath.join(posixpath.dirname(path), cited)),
                      f"docs/{cited}" if path.endswith(".md") else ""):
        if candidate in known:
            return known[candidate]
    return None


def wrong_citations(path, words, known):
    for cited, name, heading in CITATION.findall(words):
        document = where(path, cited, known)
        if not document:
            yield f"there is no document {cited}"
        elif name and name not in document.names:
            yield f"{cited} has no {name}"
        elif heading and not document.has(heading):
            yield f"{cited} has no heading that begins '{heading[:40]}'"
    if not path.startswith("docs/decisions"):
        for name in re.findall(rf"(?<![\w.'\"-]){NAMED}\b(?![\w'\"])", words):
            home = HOMES[name[0]]
            if name not in known[home].names and not any(name in known[one].names for one in known):
                yield f"{name} is not in {home}"
        for _ in re.findall(r"(?<!RFC \d{4} )\b[Ss]ection \d", words):
            yield "a section of which document? Name it and its heading"
        for _ in re.findall(r"\bthe design\b", words):
            yield "'the design' is no document here"


def wrong_links(path, text, known):
    """Of documents: [words](file#heading)."""
    for target, anchor in LINK.findall(BLOCK.sub("", text)):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
        if not Path(there).exists():
            yield f"a link to {target}, which is not there"
        elif anchor and there in known and anchor not in known[there].anchors:
            yield f"a link to {target}#{anchor}, which is no heading there"


def wrong_paths(words, files, folders):
    """`bus/history` and `src/bus/history.c` in a document: a file, with or without its ending, or a folder."""
    for path in re.findall(r"[\w./-]+", " ".join(re.findall(r"`([^`]+)`", words))):
        path = path.rstrip("./")
        if path.split("/")[0] in folders and "/" in path and "NAME" not in path and not any(f"{root}{path}" in files for root in ("", "src/", "include/")):
            yield f"there is no {path}"


def code_words(paths):
    """All names that code defines, calls or is handed."""
    words = set()
    for path in paths:
        text = read(path)
        pattern = COMMENTS.get(kind(path), HASH)
        words.update(re.findall(r"\w+", pattern.sub("", text)))
    return words


def wrong_functions(words, code):
    for name in re.findall(r"(?<![\w.…$])([a-zA-Z_]\w{2,})\(\)", words):
        if name not in code and name not in FOREIGN:
            yield f"nobody defines or calls {name}()"


def findings():
    known = documents()
    sources = [path for path in tracked("src", "include", "tests", "deploy", "docker", "docs", "meson*", "*.md")
               if (kind(path) in (*COMMENTS, *SCRIPTS, "md") or "." not in posixpath.basename(path)) and not path.startswith(SKIPPED)]
    files = {part for path in tracked() for part in (path, path.rpartition(".")[0], *map(str, Path(path).parents))}
    folders = {Path(path).name for path in (*Path("src").iterdir(), *Path("include").iterdir())} | {"src", "include", "tests", "docs", "deploy"}
    code = code_words(tracked("*.c", "*.h", "*.def", "*.lua", "*.py", "*.sh", "*.js", "*.html", "*.build", "*.patch", "*.in"))
    for path in sources:
        text = read(path)
        for line, words in comments(path, text):
            for finding in (*wrong_citations(path, words, known), *wrong_functions(words, code)):
                yield f"{path}:{line}: {finding}"
        if kind(path) == "md":
            for finding in (*wrong_links(path, text, known), *wrong_paths(BLOCK.sub("", text), files, folders)):
                yield f"{path}: {finding}"
