"""JSON, slightly broken: its tree, its words, its bytes. The same `Random`, the same text."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.mangle import number

__all__ = ["Raw", "mangled_tree", "strange", "written"]


class Raw(bytes):
    """Stands for itself in the text, JSON or not."""


WORDS = (
    *("", "\x00", "FP32", "BYTES", "UINT8", "INT64", "BF16", "fp32", "base64", "images", "answer.scores"),
    *("a" * 300, "\ud800", "\udfff\ud800", "\U0001f600", "é" * 130, "../../etc/passwd", "%00", "NaN", "null"),
)
RAWS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"-0", b"0x10", b"01", b"1.", b".5"),
    *(
        b'"\\ud800"',
        b'"\\u0000"',
        b'"\xff\xfe"',
        b"'a'",
        b"undefined",
        b"tru",
        b"\xef\xbb\xbf1",
        b"/**/1",
        b"",
    ),
    *(b"1" + b"0" * 400, b"-" + b"9" * 60, b"0." + b"0" * 400 + b"1", b"123456789012345678901234567890"),
)
DEPTHS = (2, 9, 200, 1100, 20_000)


def strange(chance: Random) -> Any:
    """A value where it does not belong."""
    kind = chance.randrange(12)
    if kind < 3:
        return number(chance)
    if kind < 5:
        return chance.choice(WORDS)
    if kind < 7:
        return Raw(chance.choice(RAWS))
    if kind == 7:
        return chance.choice((0.5, -0.0, 1e308, 1e-320, 3.4e38, 65504.0, 70000.0))
    if kind == 8:
        return _deep(chance)
    return chance.choice((None, True, False, [], {}, [None], [[]], [1, [2]], [{}], {"a": {"b": []}}))


def _deep(chance: Random) -> Raw:
    depth = chance.choice(DEPTHS)
    opens, closes = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return Raw(opens * depth + b"1" + closes * (depth if chance.random() < 0.7 else 0))


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value below the root; long lists of numbers by a few of theirs."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    for node in waiting:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(min(len(node), 4)))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found


def mangled_tree(tree: Any, chance: Random, most: int = 3) -> Any:
    """The tree after one to `most` changes; what was given is changed too. Its root is an object."""
    for _ in range(chance.randint(1, most)):
        nodes = _nodes(tree)
        if not nodes:
            break
        container, key = chance.choice(nodes)
        chance.choice(CHANGES)(container, key, chance)
    return Raw(written(strange(chance), chance)) if chance.random() < 0.01 else tree


def _replace(container: Any, key: Any, chance: Random) -> None:
    container[key] = strange(chance)


def _number(container: Any, key: Any, chance: Random) -> None:
    container[key] = number(chance)


def _drop(container: Any, key: Any, chance: Random) -> None:
    del container[key]


def _rename(container: Any, key: Any, chance: Random) -> None:
    if isinstance(container, dict):
        container[chance.choice(WORDS)] = container.pop(key)


def _add(container: Any, key: Any, chance: Random) -> None:
    """Something that nobody asked for."""
    if isinstance(container, dict):
        container[chance.choice(("parameters", "data", "inputs", "outputs", "shape", *WORDS))] = strange(
            chance
        )
    else:
        container.insert(key, strange(chance))


def _wrap(container: Any, key: Any, chance: Random) -> None:
    container[key] = [container[key]] if chance.random() < 0.7 else {"a": container[key]}


def _again(container: Any, key: Any, chance: Random) -> None:
    """A value twice, a key twice."""
    if isinstance(container, list):
        container.insert(key, container[key])
    else:
        other = container[key] if chance.random() < 0.5 else strange(chance)
        container[key] = Raw(
            b"%b,%b:%b" % tuple(written(v, chance) for v in (container[key], str(key), other))
        )


def _longer(container: Any, key: Any, chance: Random) -> None:
    value = container[key]
    if isinstance(value, list | str) and len(value) < 2000:
        container[key] = value * chance.choice((2, 3, 65))


CHANGES: tuple[Callable[[Any, Any, Random], None], ...] = (
    _replace, _replace, _replace, _number, _number, _drop, _rename, _add, _wrap, _again, _longer,
)  # fmt: skip


def written(value: Any, chance: Random) -> bytes:
    """The text; lone surrogates come as escapes or as bytes that are no UTF-8."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, dict):
        return _object(list(value.items()), chance)
    if isinstance(value, list):
        if len(value) > 32 and all(type(v) in (int, float) for v in value):
            return json.dumps(value).encode()
        return b"[%b]" % b",".join(written(v, chance) for v in value)
    if isinstance(value, str) and chance.random() < 0.2:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return json.dumps(value).encode()


def _object(pairs: list[tuple[str, Any]], chance: Random) -> bytes:
    if chance.random() < 0.05:
        chance.shuffle(pairs)
    return b"{%b}" % b",".join(b"%b:%b" % (written(k, chance), written(v, chance)) for k, v in pairs)
