"""
What is JSON: our check (src/protocol/json.c) against Python's parser, over the corner cases that parsers are known to differ in, and
over thousands of texts that are made of these by chance.

The one difference: we take 128 open brackets and no more, however the text goes on; Python's parser recurses.
"""

import json
import random
import subprocess
import time

import pytest

from harness.gateway import BINARY
from harness.wait import PATIENCE_SECONDS, sized

VERDICT = BINARY.with_name("json-verdict")
DEPTH_MAX = 128
MUTATING_SECONDS = sized(2, 1)
BATCH = 2000

GOOD = [
    # arrays
    b"[]", b"[[] ]", b'[""]', b"[]\n", b" [1]", b"[1\n]", b"[1,null,null,null,2]", b"[2] ", b'[null, 1, "1", {}]', b"[[],[[]]]",
    # numbers
    b"[123e65]", b"[0e+1]", b"[0e1]", b"[ 4]", b"[-0.000000000000000000000000000000000000000000000000000001]", b"[20e1]", b"[-0]",
    b"[-123]", b"[-1]", b"[1E22]", b"[1E-2]", b"[1E+2]", b"[123e45]", b"[123.456e78]", b"[1e-2]", b"[1e+2]", b"[123]", b"[123.456789]",
    b"[0]", b"[0.5]", b"[-0.0]", b"[1e0005]", b"[0.0000]", b"[" + b"9" * 5000 + b"]", b"[1e99999]", b"[-1e99999]", b"[1e-99999]",
    # objects
    b"{}", b'{"":0}', b'{"a":"b"}', b'{"a":"b","a":"c"}', b'{"a":"b","a":"b"}', b'{"foo\\u0000bar": 42}', b'{"a":[]}', b'{"a":\n"b"\n}',
    b'{ "min": -1.0e+28, "max": 1.0e+28 }', b'{"x":[{"id": "xxx"}], "id": "xxx"}', b'{"\\u0061":1}', b'{"a":1,"\\u0061":2}',
    b'{"a":{"a":1}}', b'{"\xc3\xa9":1}', b'{"a" : null , "b":true}', b'{"aa":1,"a ":2}', b'{"a":"\\u0061\\/\\b\\f\\n\\r\\t\\"\\\\"}',
    # strings
    b'["\\u0060\\u012a\\u12AB"]', b'["\\uD801\\udc37"]', b'["\\ud83d\\ude39\\ud83d\\udc8d"]', b'["\\"\\\\\\/\\b\\f\\n\\r\\t"]', b'["\\\\u0000"]',
    b'["\\""]', b'["a/*b*/c/*d//e"]', b'["\\\\a"]', b'["\\\\n"]', b'["\\u0012"]', b'["\\uFFFF"]', b'["asd"]', b'[ "asd"]', b'["\\uDBFF\\uDFFF"]',
    b'["new\\u00A0line"]', "[\"\U0010ffff\"]".encode(), "[\"\uffff\"]".encode(), b'["\\u0000"]', b'["\\u002c"]', "[\"π\"]".encode(),
    b'["asd "]', b'" "', b'["\\uD834\\uDd1e"]', b'["\\u0821"]', b'["\\u0123"]', "[\"\u2028\"]".encode(), "[\"\u2029\"]".encode(), b'["\\u0061\\u30af\\u30EA\\u30b9"]',
    b'["new\\u000Aline"]', b'["\x7f"]', b'["\\uA66D"]', b'["\\u005C"]', "[\"⍂㈴⍂\"]".encode(), b'["\\u200B"]', b'["\\u2064"]', b'["\\uFDD0"]', b'["\\uFFFE"]', b'["\\u0022"]',
    b'["a\x7fa"]', "[\"€𝄞\"]".encode(), b'["\\uD888\\u1234"]', b'["\\uDADA"]', b'["\\uDd1ea"]', b'["\\uD800\\n"]', b'["\\ud800abc"]', b'["\\uDd1e\\uD834"]',
    b'["\\ud800"]', b'["\\udfff"]', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'{"a":"\\ud800\\ud800\\udc00"}', b'{"\\uDFAA":0}',
    # scalars alone, and space
    b"false", b"42", b"-0.1", b"null", b'"asd"', b"true", b'""', b" null ", b"\t\r\n 1\t\r\n ",
    b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, b'{"a":' * (DEPTH_MAX - 1) + b"[]" + b"}" * (DEPTH_MAX - 1),
]

BAD = [
    # arrays
    b"[1 true]", b"[a\xe5]", b'["": 1]', b'[""],', b"[,1]", b"[1,,2]", b'["x",,]', b'["x"]]', b'["",]', b'["x"', b"[x", b"[3[4]]", b"[\xff]", b"[1:2]", b"[,]", b"[-]",
    b'[   , ""]', b'["a",\n4\n,1,', b"[1,]", b'["a"', b"[*]", b'["\x0b"]', b'["\x0ba"\\f]', b"[1,\n1\n,1", b"[{}", b"[", b"]", b"[}", b"[1}", b"[[]", b"[1]1",
    # words
    b"[fals]", b"[nul]", b"[tru]", b"[True]", b"[NULL]", b"nulll", b"nul", b"tr", b"truefalse", b"[nullx]", b"{true:1}", b"undefined", b"[truetrue]",
    # numbers
    b"[++1234]", b"[+1]", b"[+Inf]", b"[-01]", b"[-1.0.]", b"[-2.]", b"[-NaN]", b"[.-1]", b"[.2e-3]", b"[0.1.2]", b"[0.3e+]", b"[0.3e]", b"[0.e1]", b"[0E+]", b"[0E]",
    b"[0e+]", b"[0e]", b"[1.0e+]", b"[1.0e-]", b"[1.0e]", b"[1 000.0]", b"[1eE2]", b"[2.e+3]", b"[2.e-3]", b"[2.e3]", b"[9.e+]", b"[Inf]", b"[NaN]", b"[Infinity]", b"[-Infinity]",
    "[１]".encode(), b"[1+2]", b"[0x1]", b"[0x42]", b"[0e+-1]", b"[-foo]", b"[- 1]", b"[-012]", b"[-.123]", b"[-1x]", b"[1ea]", b"[1e\xe5]", b"[1.]", b"[.123]", b"[1.2a-3]",
    b"[1.8011670033376514H-308]", b"[012]", b"-", b"00", b"1.", b"01", b"[1_000]", b"[1e1.5]", b"1 2", b"[-\xe2\x88\x9e]", "[٣]".encode(),
    # objects
    b'["x", truth]', b'{[: "x"}', b'{"x", null}', b'{"x"::"b"}', "{🇨🇭}".encode(), b'{"a":"a" 123}', b"{key: 'value'}", b'{"\xb9":"0",}', b'{"a" b}', b'{:"b"}', b'{"a" "b"}', b'{"a":', b'{"a"',
    b"{1:1}", b"{9999E9999:1}", b"{null:null,null:null}", b'{"id":0,,,,,}', b"{'a':0}", b'{"id":0,}', b'{"a":"b"}/**/', b'{"a":"b"}/**//', b'{"a":"b"}//', b'{"a":"b"}/', b'{"a":"b",,"c":"d"}',
    b"{a: \"b\"}", b'{"a":"a', b'{ "foo" : "bar", "a" }', b'{"a":"b"}#', b"{", b"}", b"{,}", b"{]", b'{"a":}', b'{"a":1,}', b'{"a",}', b'{"a":1 "b":2}', b'{"a":1;"b":2}', b"{{}}", b'{"a":1]',
    b"{[]:1}", b'{"a"=1}',
    # what a tokenizer takes that is no validator
    b'{ "a": }', b'{ "a"}', b'{"a" :::::: "b"}', b'{"a" : [1 "b"]}', b'{"a"""}', b'{"a":1""}', b'{"a":1"b":1}', b"{}{}", b":{}", b",{}", b":::{},", b"::,:,::{}:::,,,,:", b'{"one", true}',
    b'{"a":"b":"c"}', b'{"a":"b", {"c": "d"}}', b'"}{"a":1, "b',
    # strings
    b'["\\uD800\\"]', b'["\\uD800\\u"]', b'["\\uD800\\u1"]', b'["\\uD800\\u1x"]', "[é]".encode(), b'["\\\x00"]', b'["\\x00"]', b'["\\\\\\"]', b'["\\\t"]', "[\"\\🌀\"]".encode(), b'["\\"]', b'["\\u00A"]',
    b'["\\uD834\\uDd"]', b'["\\uD800\\uD800\\x"]', b'["\\a"]', b'["\\uqqqq"]', b'["\\\xe5"]', b'["\\u\xe5"]', b"[\\u0020\"asd\"]", b"[\\n]", b'"', b"['single quote']", b"abc", b'["\\', b'["a\x00a"]',
    b'["new\nline"]', b'["\t"]', b'"\\UA66D"', b'""x', b'["\x1f"]', b'"\\u12 4"', b'"\\u+123"', b'"\\u0x12"', b'"\\u-123"', b'"\\u 123"', b'"\\u1_23"', b'"a', b"'a'", b"`a`", b'["a\ra"]',
    # bytes that are not UTF-8
    b'["\xff"]', b'["\xe9"]', b'["\xed\xa0\x80"]', b'["\xed\xaf\xbf\xed\xbf\xbf"]', b'["\xf4\xbf\xbf\xbf"]', b'["\xfc\x83\xbf\xbf\xbf\xbf"]', b'["\xc0\xaf"]', b'["\xe0\xff"]', b'["\x81"]', b'["\xc3"]', b'["\xf0\x80\x80\xaf"]',
    b'["\xe6\x97\xa5\xd1\x88\xfa"]', b'["\xc3\xa9\xa9"]', b"\xff", b"[\xc3\xa9]", b'{"\xff":1}', b"\xe5", b'["\xf4\x90\x80\x80"]', b'["\xe2\x82"]',
    # all else
    b"", b" ", b"<.>", b"[<null>]", b"[1]x", b"asd", b"\xc3\xa5", b"{\"a\":true} \"x\"", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", b"\xef\xbb", b"[\x0c]", b"\x0c[]", "[\u2060]".encode(), "\u2060".encode(), "[\u00a0]".encode(),
    b'{"":', b'["x', b"[\\x]", b"/**/1", b"//x\n1", b"# x\n1", b"[1,/**/2]", b"1,", b",", b":", b"\\", b"\x00", b"1\x00", b"[]\x00", "[“a”]".encode(), b"[1]\x85", "\u20281".encode(), b"\xfe\xff\x00[\x00]", b"[\x00]\x00",
    b"\xff\xfe[\x00]\x00", b"&", b"[\"a\"\x00]", b'{"a":1}{"a":2}', b"[1][2]", b"1\n2",
]

PIECES = (b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"\\u0061", b'"a"', b'"a":', b"0", b"1", b"-", b"+", b".", b"e", b"E", b"true", b"false", b"null", b" ", b"\n", b"\t", b"\r",
          b"\x0b", b"\x00", b"\x1f", b"\x7f", b"\x80", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b"\xff", b"NaN", b"Infinity", b"/", b"'")


def verdicts(texts):
    """A line of json-verdict for each."""
    told = b"".join(text.hex().encode() + b"\n" for text in texts)
    said = subprocess.run([VERDICT], input=told, stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=True).stdout
    lines = said.decode().splitlines()
    assert len(lines) == len(texts)
    return lines


def refuse(word):
    raise ValueError(f"{word} is no JSON")


def pairs_of(pairs):
    """An object as the list of its members, so that none is lost."""
    return ("object", pairs)


def python_says(text):
    """(is it JSON, its value)."""
    try:
        return True, json.loads(text.decode("utf-8"), parse_constant=refuse, parse_int=str, parse_float=str,
                                object_pairs_hook=pairs_of)
    except (ValueError, RecursionError):
        return False, None


def check_member(text, words, value):
    """The last member "a" of the outermost object: how often, and the same value."""
    of_a = [member for name, member in value[1] if name == "a"] if isinstance(value, tuple) else []
    if not of_a:
        assert words == [], text
        return
    n, at, length = map(int, words[:3])
    assert n == len(of_a), text
    assert python_says(text[at:at + length]) == (True, of_a[-1]), text
    if isinstance(of_a[-1], str) and text[at:at + 1] == b'"':
        assert bytes.fromhex("".join(words[3:])).decode("utf-8", "surrogatepass") == of_a[-1], text


def check(texts):
    for text, line in zip(texts, verdicts(texts)):
        said, *words = line.split(" ")
        if said == "deep":
            assert text.count(b"[") + text.count(b"{") > DEPTH_MAX, text
            continue
        good, value = python_says(text)
        assert (said == "good") == good, (text, said)
        if good:
            check_member(text, words, value)


def test_each_known_corner_is_judged_as_the_standard_and_python_judge_it():
    assert [text for text in GOOD if not python_says(text)[0]] == []
    assert [text for text in BAD if python_says(text)[0]] == []
    check(GOOD + BAD)


@pytest.mark.parametrize("text", [b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1),
                                  b"[" * 100_000, b'{"":' * 100_000, b'[{"":' * 50_000],
                         ids=len)
def test_more_than_128_brackets_are_too_deep_however_many(text):
    assert verdicts([text]) == ["deep"]


def mutated(chance, texts):
    """A text with some bytes out, in, another, or twice; or the one half of it and the other of another."""
    text = bytearray(chance.choice(texts))
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        kind = chance.randrange(5)
        if kind == 0:
            del text[at:at + chance.randint(1, 4)]
        elif kind == 1:
            text[at:at] = chance.choice(PIECES)
        elif kind == 2 and text:
            text[at % len(text)] = chance.randrange(256)
        elif kind == 3:
            text[at:at] = text[at:at + chance.randint(1, 8)]
        else:
            text[at:] = chance.choice(texts)[chance.randint(0, 8):]
    return bytes(text[:2000])


def test_texts_that_chance_makes_are_judged_as_python_judges_them(figure):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    texts = [text for text in GOOD + BAD if len(text) < 1000]
    n, n_good, until = 0, 0, time.monotonic() + MUTATING_SECONDS
    while time.monotonic() < until:
        batch = [mutated(chance, texts) for _ in range(BATCH)]
        try:
            check(batch)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, text {n} and following") from error
        n += len(batch)
        n_good += sum(python_says(text)[0] for text in batch)
    assert n_good > n / 100
    figure("JSON texts held against Python's parser", f"{n}, {n_good} of them JSON (seed {seed})")
