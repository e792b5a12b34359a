"""A server of static files, on an origin of its own."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager


class _FileHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the folders of a site with a Content-Security-Policy as strict as the gateway's."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def translate_path(self, path):
        _, name, *rest = path.split("/", 2)
        self.directory = str(self.server.folders[name])
        return super().translate_path("/" + "".join(rest))

    def end_headers(self):
        # react-native-web writes its styles into the page, and Next.js its data.
        styles = "'self' 'unsafe-inline'" if "/react-native/" in self.path else "'self'"
        loose = "/foreign" in self.path or self.path.startswith(("/plain/", "/next/"))
        scripts = "* 'unsafe-inline'" if loose else "'self'"
        policy = (
            f"default-src 'self'; connect-src *; img-src 'self' data:; "
            f"style-src {styles}; script-src {scripts}"
        )
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def log_message(self, *_):
        pass


class FileSite:
    """A site at ``url``. ``folders`` maps the first part of a path to a folder."""

    def __init__(self, server):
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}"

    def mount(self, name, folder):
        """Serve a folder below ``/name/``. Return its address."""
        self._server.folders[name] = folder
        return f"{self.url}/{name}"


@contextmanager
def serve_files():
    """Serve files until the context ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _FileHandler)
    server.folders = {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield FileSite(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
