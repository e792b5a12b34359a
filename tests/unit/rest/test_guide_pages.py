from __future__ import annotations

import pytest
from flask import Flask

from api.rest import responses
from api.rest.guide_pages import blueprint


@pytest.fixture
def client(tmp_path):
    app = Flask("test")
    responses.register(app)
    app.register_blueprint(blueprint(tmp_path / "guide"))
    return app.test_client()


def test_the_guide_says_how_to_build_it_while_it_is_not_built(client):
    answer = client.get("/guide")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
    assert "run `make docs`" in answer.get_json()["error"]["message"]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    with client.get("/guide", headers=browser) as page:
        assert (page.status_code, page.mimetype) == (404, "text/html")
        assert "Run <code>make docs</code>" in page.text


def test_the_guide_leads_to_the_first_page_without_a_redirect(client, tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.html").write_text("<h1>Documentation</h1>")
    with client.get("/guide") as answer:
        assert answer.status_code == 200
        assert 'content="0; url=/guide/index.html"' in answer.text
    with client.get("/guide/index.html") as answer:
        assert answer.text == "<h1>Documentation</h1>"
    assert client.get("/guide/../flask_app.py").status_code == 404
    assert client.get("/guide/no-such-page.html").status_code == 404
