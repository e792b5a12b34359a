"""Requests of HTTP/1.1, and the responses that RFC 9112 and RFC 9110 require."""

from __future__ import annotations

from dataclasses import dataclass

HOST = "Host: 127.0.0.1\r\n"
JOBS = "/api/cto/jobs"
BODY = "[1, 2]"  # JSON, but no object: a view that reads it whole answers `invalid_json`
READ = ("invalid_json", "the body is not a JSON object: send {…}")


@dataclass(frozen=True)
class Case:
    """Bytes to send; the response's status; whether the connection ends after it.

    ``error`` is the response's error code, or its code and message.
    """

    group: str
    name: str
    data: bytes
    status: int
    ends: bool = False
    error: str | tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


_CODES = {
    400: "bad_request",
    414: "uri_too_long",
    431: "request_header_fields_too_large",
    501: "not_implemented",
    505: "http_version_not_supported",
}


def _refused(group, name, text, status=400):
    return Case(group, name, text.encode("latin-1"), status, ends=True, error=_CODES[status])


def _served(group, name, text, status=200, *, ends=False, error=None):
    return Case(group, name, text.encode("latin-1"), status, ends, error)


def _get(head="", *, target="/healthz", host=HOST, version="HTTP/1.1", method="GET"):
    return f"{method} {target} {version}\r\n{host}{head}\r\n"


def _post(head, body="", *, target=JOBS, version="HTTP/1.1"):
    return f"POST {target} {version}\r\n{HOST}Content-Type: application/json\r\n{head}\r\n{body}"


# --- one good Content-Length -------------------------------------------------------------------------------


def _lengths():
    group = "Content-Length"
    for value in ("6", "06", "000000006", "6 \t", "\t 6"):
        yield _served(group, repr(value), _post(f"Content-Length: {value}\r\n", BODY), 400, error=READ)
    yield _served(group, "name in capitals", _post("CONTENT-LENGTH: 6\r\n", BODY), 400, error=READ)
    yield _served(group, "0", _get("Content-Length: 0\r\n"))
    yield _served(group, "body of a GET", _get("Content-Length: 6\r\n") + BODY)
    yield _served(group, "unread body", _post("Content-Length: 6\r\n", BODY, target="/healthz"), 405)
    yield _served(group, "absent", _post(""), 400, error="invalid_json")
    for value in (
        "+6", "-6", "-0", "6_0", "0x6", "6.0", "6e0", "1 6", "6,", ",6", "6, 6", "6, 7", "6;", '"6"', "six",
        "", "\x0b6", "\x0c6", "6\x0b", "\xa06", "\x856", "\xb2", "٦".encode().decode("latin-1"), "9" * 30,
        "1" * 5_000,
    ):  # fmt: skip
        yield _refused(group, repr(value[:12]), _post(f"Content-Length: {value}\r\n", BODY))
    for first, second in (("6", "6"), ("6", "0"), ("0", "6"), ("6", "7"), ("6", "06"), ("6", ""), ("", "6")):
        heads = f"Content-Length: {first}\r\nContent-Length: {second}\r\n"
        yield _refused(group, f"twice, {first!r} and {second!r}", _post(heads, BODY))
    yield _refused(
        group, "twice, elsewhere", _post("Content-Length: 6\r\nX: y\r\ncontent-length: 6\r\n", BODY)
    )


# --- chunked, and nothing else -----------------------------------------------------------------------------

CHUNKED = f"6\r\n{BODY}\r\n0\r\n\r\n"


def _codings():
    group = "Transfer-Encoding"
    for value in ("chunked", "Chunked", "CHUNKED", " \tchunked \t"):
        yield _served(group, repr(value), _post(f"Transfer-Encoding: {value}\r\n", CHUNKED), 400, error=READ)
    yield _served(group, "body of a GET", _get("Transfer-Encoding: chunked\r\n") + CHUNKED)
    for value in ("gzip, chunked", "deflate,chunked", "identity, chunked", "x, y, chunked"):
        yield _refused(group, repr(value), _post(f"Transfer-Encoding: {value}\r\n", CHUNKED), 501)
    for value in (
        "gzip", "identity", "chunked, gzip", "chunked, identity", "chunked, chunked",
        "gzip, chunked, chunked", "", "\x0bchunked", "chunked\x0b", "\x0cchunked", "\xa0chunked",
        '"chunked"', "'chunked'", "chunked;q=1", "chunked,", "xchunked", "chunkedx", "chun ked",
        "c\xe7hunked",
    ):  # fmt: skip
        yield _refused(group, repr(value), _post(f"Transfer-Encoding: {value}\r\n", CHUNKED))
    for first, second in (
        ("chunked", "chunked"),
        ("gzip", "chunked"),
        ("chunked", "identity"),
        ("", "chunked"),
    ):
        heads = f"Transfer-Encoding: {first}\r\nTransfer-Encoding: {second}\r\n"
        yield _refused(group, f"twice, {first!r} and {second!r}", _post(heads, CHUNKED))
    yield _refused(group, "HTTP/1.0", _post("Transfer-Encoding: chunked\r\n", CHUNKED, version="HTTP/1.0"))
    keeps = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
    yield _refused(group, "HTTP/1.0, kept alive", _post(keeps, CHUNKED, version="HTTP/1.0"))
    yield _refused(group, "space before the colon", _post("Transfer-Encoding : chunked\r\n", CHUNKED))
    yield _refused(group, "folded", _post("Transfer-Encoding:\r\n chunked\r\n", CHUNKED))
    group = "Content-Length and Transfer-Encoding"
    for length, body in (("6", CHUNKED), (str(len(CHUNKED)), CHUNKED), ("0", CHUNKED), ("4", BODY)):
        for heads in (
            f"Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n",
            f"Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n",
        ):
            yield _refused(group, repr(heads), _post(heads, body))
    heads = "Content-Length: 6\r\nTransfer-Encoding: identity\r\n"
    yield _refused(group, repr(heads), _post(heads, BODY))


# --- strict chunks -----------------------------------------------------------------------------------------

GOOD_CHUNKS = {
    "one": CHUNKED,
    "three": "1\r\n[\r\n2\r\n1,\r\n3\r\n 2]\r\n0\r\n\r\n",
    "leading zeros": f"00000006\r\n{BODY}\r\n0000\r\n\r\n",
    "upper case": f"A\r\n{BODY}    \r\n0\r\n\r\n",
    "lower case": f"a\r\n{BODY}    \r\n0\r\n\r\n",
    "extension": f"6;a\r\n{BODY}\r\n0;b=c\r\n\r\n",
    "quoted extension": f'6;a="b ; c"\r\n{BODY}\r\n0\r\n\r\n',
    "trailer": f"6\r\n{BODY}\r\n0\r\nX: y\r\nZ:\r\n\r\n",
    "trailer that would frame a head": f"6\r\n{BODY}\r\n0\r\nContent-Length: 99\r\n\r\n",
}
BAD_CHUNKS = {
    **{
        f"size {size!r}": f"{size}\r\n{BODY}\r\n0\r\n\r\n"
        for size in (
            "0x6", "+6", "-6", "-0", "0_6", " 6", "6 ", "\t6", "\x0b6", "6\x0b", "\xa06", "", "g", "6,",
            "6 6", "000000006", "f" * 16, "1" * 5_000, "6\0",
        )
    },
    "bare LF after a size": f"6\n{BODY}\r\n0\r\n\r\n",
    "bare CR after a size": f"6\r{BODY}\r\n0\r\n\r\n",
    "CR, CR, LF after a size": f"6\r\r\n{BODY}\r\n0\r\n\r\n",
    "bare LF in an extension": f"6;a\nb\r\n{BODY}\r\n0\r\n\r\n",
    "bare LF after an extension": f"6;a\n{BODY}\r\n0\r\n\r\n",
    "CR in an extension": f"6;a\rb\r\n{BODY}\r\n0\r\n\r\n",
    "NUL in an extension": f"6;a\0b\r\n{BODY}\r\n0\r\n\r\n",
    "endless extension": f"6;{'a' * 5_000}\r\n{BODY}\r\n0\r\n\r\n",
    "more than the size": f"5\r\n{BODY}\r\n0\r\n\r\n",
    "less than the size": f"7\r\n{BODY}\r\n0\r\n\r\n",
    "bare LF after data": f"6\r\n{BODY}\n0\r\n\r\n",
    "nothing after data": f"6\r\n{BODY}0\r\n\r\n",
    "two bytes after data": f"6\r\n{BODY}XX0\r\n\r\n",
    "bare LF after the last size": f"6\r\n{BODY}\r\n0\n\r\n",
    "trailer that is no field": f"6\r\n{BODY}\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
    "folded trailer": f"6\r\n{BODY}\r\n0\r\nX: y\r\n z\r\n\r\n",
    "CR in a trailer": f"6\r\n{BODY}\r\n0\r\nX: y\rZ: a\r\n\r\n",
    "endless trailer": f"6\r\n{BODY}\r\n0\r\nX: {'a' * 5_000}\r\n\r\n",
    "too many trailers": f"6\r\n{BODY}\r\n0\r\n" + "X: y\r\n" * 101 + "\r\n",
}  # fmt: skip


def _chunks():
    head = "Transfer-Encoding: chunked\r\n"
    for name, body in GOOD_CHUNKS.items():
        yield _served("chunks", name, _post(head, body), 400, error=READ)
        yield _served("unread chunks", name, _post(head, body, target="/healthz"), 405)
    for name, body in BAD_CHUNKS.items():
        yield _served("chunks", name, _post(head, body), 400, ends=True, error="bad_request")
        # The response is sent before the body is read.
        yield _served("unread chunks", name, _post(head, body, target="/healthz"), 405, ends=True)


# --- exactly one good Host ---------------------------------------------------------------------------------


def _hosts():
    group = "Host"
    for value in (
        "127.0.0.1",
        "127.0.0.1:3000",
        "127.0.0.1:",
        "localhost",
        "LocalHost",
        "[::1]",
        "[::1]:3000",
    ):
        yield _served(group, repr(value), _get(host=f"Host: {value}\r\n"))
    yield _served(group, "name in capitals", _get(host="HOST:127.0.0.1\r\n"))
    yield _served(
        group, "another host", _get(host="Host: a_b-c.example:80\r\n"), 403, error="host_not_allowed"
    )
    yield _served(group, "absent in HTTP/1.0", _get(host="", version="HTTP/1.0"), ends=True)
    yield _served(group, "one in HTTP/1.0", _get(version="HTTP/1.0"), ends=True)
    yield _refused(group, "absent", _get(host=""))
    for version in ("HTTP/1.1", "HTTP/1.0"):
        yield _refused(group, f"two, {version}", _get("Host: evil.example\r\n", version=version))
        yield _refused(group, f"two that are equal, {version}", _get(HOST, version=version))
        yield _refused(group, f"wrong, {version}", _get(host="Host: x@127.0.0.1\r\n", version=version))
    for value in (
        "", "x@127.0.0.1", "127.0.0.1/x", "127.0.0.1,evil", "127.0.0.1, evil", "127.0.0.1 evil",
        "127.0.0.1?x", "127.0.0.1#x", "127.0.0.1\\x", "http://127.0.0.1", "127.0.0.1:x", "127.0.0.1:80:80",
        "127.0.0.1:-1", ":80", "[::1", "::1", "[::1]x", "[127.0.0.1", "[fe80::1%25lo]", "127.0.0.1\x0b",
        "127.0.0.1\0", "loc\xe4lhost", "<localhost>", '"localhost"', "local host", "127.0.0.1:\x0b80",
    ):  # fmt: skip
        yield _refused(group, repr(value), _get(host=f"Host: {value}\r\n"))


# --- request line ------------------------------------------------------------------------------------------


def _targets():
    group = "target"
    yield _served(group, "path and query", _get(target="/healthz?a=b"))
    yield _served(group, "absolute-form", _get(target="http://127.0.0.1/healthz"))
    yield _served(group, "absolute-form with port and query", _get(target="http://localhost:3000/healthz?a"))
    yield _served(group, "absolute-form, scheme in capitals", _get(target="HTTP://127.0.0.1/healthz"))
    yield _served(group, "absolute-form of https", _get(target="https://127.0.0.1/healthz"))
    yield _served(group, "absolute-form without a path", _get(target="http://127.0.0.1"))
    yield _served(group, "absolute-form, query without a path", _get(target="http://127.0.0.1?a=b"))
    ours, foreign = "http://127.0.0.1/healthz", "http://evil.example/healthz"
    yield _served(group, "absolute-form's host counts", _get(target=ours, host="Host: evil.example\r\n"))
    yield _served(group, "and not the field", _get(target=foreign), 403, error="host_not_allowed")
    yield _served(
        group, "absolute-form in HTTP/1.0", _get(target=ours, host="", version="HTTP/1.0"), ends=True
    )
    yield _refused(group, "absolute-form without Host", _get(target=ours, host=""))
    yield _refused(group, "absolute-form with a wrong Host", _get(target=ours, host="Host: a b\r\n"))
    yield _served(group, "many slashes", _get(target="//healthz"))
    yield _served(group, "many slashes in absolute-form", _get(target="http://127.0.0.1//healthz"))
    yield _served(group, "* of OPTIONS", _get(target="*", method="OPTIONS"), 404, error="not_found")
    for target in (
        "*", "healthz", "healthz/", "127.0.0.1:80", "?a", "#a", "/healthz#a", "http:/healthz",
        "http:///healthz", "http://x@127.0.0.1/healthz", "http://127.0.0.1:x/healthz", "http://a,b/healthz",
        "ftp://127.0.0.1/healthz", "file:///etc/passwd", "http:", "mailto:x", "\\healthz", "/health\tz",
        "/health\x0bz", "/health\0z", "/health\x7fz",
    ):  # fmt: skip
        yield _refused(group, repr(target), _get(target=target))
    for target in ("healthz", "/x", "*"):
        yield _refused(group, f"{target} of CONNECT", _get(target=target, method="CONNECT"), 501)
    yield _refused(group, "authority-form", _get(target="127.0.0.1:80", method="CONNECT"), 501)


def _request_lines():
    group = "request line"
    for method in ("get", "Get", "pOST", "options"):
        yield _refused(group, f"method {method}", _get(method=method), 501)
    yield _served(group, "unknown method", _get(method="BREW"), 405, error="method_not_allowed")
    for method in ("G(T", "GET\t", "G\0T", "G\xcbT", '"GET"', "GET,", ""):
        yield _refused(group, f"method {method!r}", _get(method=method))
    for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"):
        yield _refused(group, version, _get(version=version), 505)
    for version in (
        "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTP/+1.1", "http/1.1",
        "Http/1.1", "HTTP 1.1", "HTTP/1,1", "HTTP/x.y", "HTTPS/1.1", "XTTP/1.1", "1.1", "HTTP/1.1 ",
        "HTTP/1.1\t", "HTTP/1.1 x",
    ):  # fmt: skip
        yield _refused(group, repr(version), _get(version=version))
    yield _served(group, "HTTP/1.2 is served as 1.1", _get(version="HTTP/1.2"))
    for line in (
        "GET /healthz", "GET", "GET  /healthz HTTP/1.1", "GET /healthz  HTTP/1.1", " GET /healthz HTTP/1.1",
        "GET\t/healthz\tHTTP/1.1", "GET /health z HTTP/1.1", "GET /healthz\rHTTP/1.1",
        "GET /healthz HTTP/1.1\r", "\x16\x03\x01\x02\x00\x01", "SSH-2.0-x", "nonsense",
    ):  # fmt: skip
        yield _refused(group, repr(line), f"{line}\r\n{HOST}\r\n")
    yield _refused(group, "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)


# --- the other header fields -------------------------------------------------------------------------------


def _fields():
    group = "field"
    for line in ("X:", "X: y", "X:y", "X:\ty\t", "!#$%&'*+-.^_`|~: y", "X: \xe4", "X: a\tb", "X: a: b"):
        yield _served(group, repr(line), _get(f"{line}\r\n"))
    for line in (
        "X", ": y", "X : y", "X\t: y", " X: y", "X y: z", "X(: y", "X\0: y", "X\xe4: y", "X: y\0",
        "X: y\rZ: a", "\rX: y", "X: y\r", "X: y\x0bz", "X: \x1b[31m", "X: \x7f", "X: y\r\n folded",
        "X: y\r\n\tfolded", "X\r\n: y", "GET / HTTP/1.1",
    ):  # fmt: skip
        yield _refused(group, repr(line), _get(f"{line}\r\n"))
    yield _refused(group, "folded before any", _get(host=f" X: y\r\n{HOST}"))
    group = "sizes"
    yield _served(group, "100 fields", _get("X: y\r\n" * 99))
    yield _refused(group, "101 fields", _get("X: y\r\n" * 100), 431)
    yield _served(group, "a field of 8,000 bytes", _get(f"X: {'y' * 8_000}\r\n"))
    yield _refused(group, "a field of 9,000 bytes", _get(f"X: {'y' * 9_000}\r\n"), 431)
    yield _refused(group, "fields of 70,000 bytes", _get(f"X: {'y' * 7_000}\r\n" * 10), 431)
    yield _served(group, "a target of 32,000 bytes", _get(target=f"/healthz?{'y' * 32_000}"))
    yield _refused(group, "a target of 40,000 bytes", _get(target=f"/healthz?{'y' * 40_000}"), 414)


# --- when the connection ends ------------------------------------------------------------------------------


def _connections():
    group = "Connection"
    for value in ("keep-alive", "TE", "", ",", "closed", "x-close", "Keep-Alive, TE", "upgrade"):
        yield _served(group, repr(value), _get(f"Connection: {value}\r\n"))
    for value in (
        "close",
        "Close",
        "close, TE",
        "TE, close",
        "TE,close",
        "keep-alive, close",
        ",close",
        "close\t,",
    ):
        yield _served(group, repr(value), _get(f"Connection: {value}\r\n"), ends=True)
    for first, second in (("close", "TE"), ("TE", "close"), ("close", "close"), ("keep-alive", "close")):
        heads = f"Connection: {first}\r\nX: y\r\nconnection: {second}\r\n"
        yield _served(group, f"twice, {first} and {second}", _get(heads), ends=True)
    yield _served(group, "twice without close", _get("Connection: TE\r\nConnection: keep-alive\r\n"))
    yield _served(group, "the value of another field", _get("X-Connection: close\r\nKeep-Alive: close\r\n"))
    group = "Connection in HTTP/1.0"
    for value in ("keep-alive", "Keep-Alive", "TE, keep-alive", "keep-alive,TE"):
        yield _served(group, repr(value), _get(f"Connection: {value}\r\n", version="HTTP/1.0"))
    for value in ("", "close", "TE", "close, keep-alive", "keep-alive, close", "keep-alives"):
        yield _served(group, repr(value), _get(f"Connection: {value}\r\n", version="HTTP/1.0"), ends=True)
    yield _served(
        group,
        "keep-alive in a second field",
        _get("Connection: TE\r\nConnection: keep-alive\r\n", version="HTTP/1.0"),
    )


# --- one request inside another ----------------------------------------------------------------------------

INNER = f"GET /healthz?inner HTTP/1.1\r\n{HOST}\r\n"
LENGTH = f"Content-Length: {len(INNER)}\r\n"
SIZE = f"{len(INNER):x}"
CODING = "Transfer-Encoding: chunked\r\n"


def _smuggled():
    group = "smuggling"
    yield _served(group, "in a body", _post(LENGTH, INNER), 400, error="invalid_json")
    yield _served(group, "in an unread body", _post(LENGTH, INNER, target="/healthz"), 405)
    chunk = f"{SIZE}\r\n{INNER}\r\n0\r\n\r\n"
    yield _served(group, "in a chunk", _post(CODING, chunk), 400, error="invalid_json")
    yield _served(group, "in an unread chunk", _post(CODING, chunk, target="/healthz"), 405)
    end = f"0\r\n\r\n{INNER}"
    for name, heads, body in (
        ("CL.CL", f"Content-Length: 0\r\n{LENGTH}", INNER),
        ("CL.CL, the other way round", f"{LENGTH}Content-Length: 0\r\n", INNER),
        ("CL of a list", f"Content-Length: 0, {len(INNER)}\r\n", INNER),
        ("CL with a sign", "Content-Length: +0\r\n", INNER),
        ("CL.TE", f"Content-Length: {len(end)}\r\n{CODING}", end),
        ("TE.CL", f"{CODING}Content-Length: 0\r\n", chunk),
        ("CL.0", "Content-Length: \r\n", INNER),
        ("TE.TE", f"{CODING}Transfer-Encoding: identity\r\n", end),
        ("TE that is not known", "Transfer-Encoding: xchunked\r\n", end),
        ("TE with VT", "Transfer-Encoding: \x0bchunked\r\n", end),
        ("TE with a space before the colon", "Transfer-Encoding : chunked\r\n", end),
        ("TE in a second line", "X: y\r\n Transfer-Encoding: chunked\r\n", end),
        ("TE after a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", end),
        ("a head in a field", f"X: y\r\r\n{INNER}", ""),
    ):
        for target in (JOBS, "/healthz"):
            yield _refused(f"{group}, {target}", name, _post(heads, body, target=target))
    yield _refused(group, "TE of HTTP/1.0", _post(CODING, end, version="HTTP/1.0"))
    for name, body in (
        ("TERM.EXT", f"{SIZE};\n{INNER}\r\n0\r\n\r\n"),
        ("EXT.TERM", f"2;\nxx\r\n{SIZE}\r\n0\r\n\r\n{INNER}"),
        ("TERM.SPILL", f"5\r\nhello\n{SIZE}\r\n{INNER}\r\n0\r\n\r\n"),
        ("SPILL.TERM", f"5\r\nhelloXX2\r\n45\r\n0\r\n\r\n{INNER}"),
        ("size of more than 32 bits", f"100000000\r\n{INNER}"),
        ("size with 0x", f"0x{SIZE}\r\n{INNER}\r\n0\r\n\r\n"),
        ("in a trailer", f"0\r\nX: y\r\n z\r\n{INNER}\r\n"),
    ):
        yield _served(group, name, _post(CODING, body), 400, ends=True, error="bad_request")


def _others():
    group = "before a request"
    yield _served(group, "CRLF", "\r\n" + _get())
    yield _served(group, "CRLF after a body", _post("Content-Length: 6\r\n", f"{BODY}\r\n"), 400, error=READ)
    yield _refused(group, "space", " " + _get())
    yield _refused(group, "bare CR", "\r" + _get())
    yield _refused(group, "CRLF and space", "\r\n " + _get())
    group = "other"
    yield _served(group, "bare LF ends lines of a head", _get().replace("\r\n", "\n"))
    yield _served(group, "HEAD", _get(method="HEAD"))
    yield _served(group, "TRACE", _get(method="TRACE"), 405, error="method_not_allowed")
    yield _refused(group, "refused HEAD", _get(method="HEAD", host=""))
    expects = "Expect: 100-continue\r\nContent-Length: 6\r\n"
    yield _served(group, "100-continue in HTTP/1.0", _post(expects, BODY, version="HTTP/1.0"), 400, ends=True)


CASES = [
    *_lengths(), *_codings(), *_chunks(), *_hosts(), *_targets(), *_request_lines(), *_fields(),
    *_connections(), *_smuggled(), *_others(),
]  # fmt: skip

HALF_CLOSED = [
    _served("half-close", "after a request", _get()),
    _served("half-close", "after a body", _post("Content-Length: 6\r\n", BODY), 400, error=READ),
    _refused("half-close", "within the request line", "GET /healthz HT"),
    _refused("half-close", "after the request line", "GET /healthz HTTP/1.1\r\n"),
    _refused("half-close", "within the head", f"GET /healthz HTTP/1.1\r\n{HOST}"),
    _refused("half-close", "within a field", f"GET /healthz HTTP/1.1\r\n{HOST}X: y"),
    *(
        _served("half-close", f"within {name}", _post(head, body), 400, error="bad_request")
        for name, head, body in (
            ("a body", "Content-Length: 9\r\n", BODY),
            ("a size", CODING, "6"),
            ("a chunk", CODING, "6\r\n[1"),
            ("a chunk that has ended", CODING, f"6\r\n{BODY}\r\n"),
            ("the last chunk", CODING, f"6\r\n{BODY}\r\n0\r\n"),
            ("a trailer", CODING, f"6\r\n{BODY}\r\n0\r\nX: y\r\n"),
        )
    ),
]
