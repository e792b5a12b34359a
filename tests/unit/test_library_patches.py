"""Private and replaced parts of libraries: all of them are in one module, and its table names their tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import engineio
import pytest
from flask import Flask, abort

from api import library_patches
from api.rest.request_spans import REST_PREFIX, trace_requests

ROOT = Path(__file__).parents[2]
LIBRARIES = ("eventlet", "gevent", "engineio", "socketio", "flask_socketio", "flask", "redis")
# Private names of other libraries: marshmallow documents its own.
ALLOWED = {"_deserialize", "_exit"}
ROW = re.compile(r"^\* ``(?P<part>[\w. ]+)``.*?Test: ``(?P<test>[^`]+)``\.$", re.MULTILINE | re.DOTALL)
ROWS = [match.groupdict() for match in ROW.finditer(library_patches.__doc__)]
REPLACED = {row["part"].rpartition(".")[2] for row in ROWS}


def modules():
    return [
        path
        for name in ("api", "cto_worker")
        for path in (ROOT / name).rglob("*.py")
        if path.name != "library_patches.py"
    ]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_uses(tree):
    """Yield the private names of other objects, modules and base classes that a module uses."""
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and of_self(node)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            called_of_base = (
                isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"
            )
            if not of_self(node) and (called_of_base or node.attr not in own):
                yield node.attr
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (part for name in names for part in name.split(".") if is_private(part))


def of_self(node):
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def overridden(tree):
    """Yield the private methods of a library's class that a class of the module overrides."""
    imported = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in LIBRARIES
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in imported for base in node.bases):
            names = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            yield from (name for name in names if is_private(name) and name in library_names())


def library_names():
    if not _names:
        folder = Path(engineio.__file__).parents[1]
        for library in LIBRARIES:
            for path in (folder / library).rglob("*.py"):
                _names.update(re.findall(r"def (_\w+)", path.read_text()))
    return _names


_names = set()


def replaced(tree):
    """Yield the names in the table that a module assigns to an attribute of another object."""
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else []:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute) and part.attr in REPLACED and not of_self(part):
                    yield part.attr


@pytest.mark.parametrize("find", [private_uses, overridden, replaced])
def test_no_other_module_uses_private_or_replaced_parts(find):
    found = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in modules()
        if (names := set(find(ast.parse(path.read_text()))) - ALLOWED)
    }
    assert found == {}


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (private_uses, "connection._sock.send(b'')"),
        (private_uses, "class A:\n    def _read(self):\n        return super()._read()"),
        (private_uses, "import redis._parsers.hiredis"),
        (private_uses, "from engineio.server import _private"),
        (overridden, "from eventlet.wsgi import Input\nclass A(Input):\n    def _chunked_read(self): ..."),
        (replaced, "app.full_dispatch_request = len"),
        (replaced, "Payload.max_decode_packets = 500"),
    ],
)
def test_such_a_use_is_found(find, source):
    assert list(find(ast.parse(source)))


def test_the_linter_is_told_to_ignore_private_uses_nowhere_else():
    assert [path.name for path in modules() if "SLF001" in path.read_text()] == []


def test_each_row_of_the_table_names_a_test():
    assert len(ROWS) == library_patches.__doc__.count("\n* ``")
    for row in ROWS:
        path, _, name = row["test"].partition("::")
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), row


def test_middleware_has_one_order_whatever_the_order_of_its_names():
    app = Flask("api")
    layers = {name: (lambda inner, name=name: (name, inner)) for name in sorted(library_patches.MIDDLEWARE)}
    stock = app.wsgi_app
    built = library_patches.install_middleware(app, layers)
    outermost_first = []
    inner = app.wsgi_app
    while inner != stock:
        name, inner = inner
        outermost_first.append(name)
    assert tuple(reversed(outermost_first)) == library_patches.MIDDLEWARE
    assert built["proxies"] == app.wsgi_app


class RecordedTraces:
    def __init__(self):
        self.requests = []

    def request(self, *request):
        self.requests.append(request)
        return self

    def __enter__(self):
        return self.requests.append

    def __exit__(self, *_): ...


def test_a_request_that_an_earlier_hook_refuses_is_traced():
    app, traces = Flask("api"), RecordedTraces()
    app.before_request(lambda: abort(401))
    app.add_url_rule(f"{REST_PREFIX}jobs", "all", lambda: "")
    trace_requests(app, traces)
    assert app.test_client().get("/api/cto/jobs").status_code == 401
    assert traces.requests == [("GET", "/api/cto/jobs", "/api/cto/jobs", ""), 401]


FAILING = """
import logging, os, time
from api.engines.selected import engine
logging.basicConfig()
engine.log_failures()
engine.spawn(lambda: 1 / 0)
{callback}
time.sleep(0.01)
"""
CALLBACKS = {
    "eventlet": """
from eventlet.hubs import get_hub
hub, (reader, writer) = get_hub(), os.pipe()
hub.add(hub.READ, reader, lambda _: 1 / 0, None, None)
os.write(writer, b"x")
""",
    "gevent": """
from gevent import get_hub
get_hub().loop.run_callback(lambda: 1 / 0)
""",
}


@pytest.mark.parametrize("engine", CALLBACKS)
def test_failures_of_callbacks_and_timers_are_logged(engine):
    finished = subprocess.run(
        [sys.executable, "-c", FAILING.format(callback=CALLBACKS[engine])],
        env=os.environ | {"CTO_ENGINE": engine},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert finished.stderr.count("unexpected error in a green thread") == 2
    assert "ZeroDivisionError" in finished.stderr


def test_ids_of_sessions_have_the_number_of_the_gateway():
    server = engineio.Server(async_mode="threading")
    library_patches.prefix_session_ids(server, "2.")
    assert re.fullmatch(r"2\.[\w-]{20}", server.generate_id())
