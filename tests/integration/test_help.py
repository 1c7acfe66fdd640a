"""The user guide in the dashboard: every chapter, in the reader's language, and a link to it from every page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from dashboard.views import guide as pages
from deploy import guide
from tests import site as sites
from tests.integration.test_access import PAGES
from tests.site import Site, post, text_of


@pytest.fixture(scope="module")
def site(clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    target = tmp_path_factory.mktemp("help") / "guide"
    guide.build(target=target)
    with pytest.MonkeyPatch.context() as patch, sites.site(clickhouse, tmp_path_factory.mktemp("site")) as made:
        patch.setattr(pages, "GUIDE", target)
        pages._index.cache_clear()
        yield made
    pages._index.cache_clear()


@pytest.fixture
def user(site: Site) -> FlaskClient:
    return site.user()


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_chapter_is_shown_with_its_contents_and_pictures(user: FlaskClient, language: str) -> None:
    post(user, "/language", {"language": language})
    chapters = guide.chapters()[language]
    for name, chapter in chapters.items():
        answer = user.get("/help/" if name == "index" else f"/help/{name}")
        assert answer.status_code == 200
        assert f"<h1>{chapter.title}</h1>" in answer.text
        for each in chapters.values():
            assert each.title in text_of(answer.text)
        for link in re.findall(r'(?:href|src)="(/help/[^"#]*)', answer.text):
            with user.get(link) as linked:
                assert linked.status_code == 200, link
        for identity in re.findall(r'href="#([^"]+)"', answer.text):
            assert f'id="{identity}"' in answer.text or identity == "content"
        assert not re.search(r"<script(?! src=)|<style| style=", answer.text)
    assert user.get("/help/nothing").status_code == 404
    assert user.get("/help/images/..%2f..%2fREADME.md").status_code == 404


@pytest.mark.parametrize("path", [*PAGES, "/views", "/nothing", "/help/exports"])
def test_every_page_links_to_a_chapter_that_is_there(user: FlaskClient, path: str) -> None:
    [link] = re.findall(r'class="help-link" href="([^"]+)"', user.get(path).text)
    assert user.get(link).status_code == 200
    expected = {"/api-requests?per_page=500": "/help/reports", "/views": "/help/views", "/nothing": "/help/"}
    assert expected.get(path, link) == link


def test_the_guide_is_for_users(site: Site) -> None:
    assert site.visitor().get("/help/").status_code == 302
    assert site.visitor().get("/help/images/guide-es-home.png").status_code == 302


def test_without_a_build_the_page_says_what_to_do(
    user: FlaskClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "GUIDE", site.settings.data / "nowhere")
    pages._index.cache_clear()
    answer = user.get("/help/")
    pages._index.cache_clear()
    assert answer.status_code == 404
    assert "make guide" in answer.text
    assert user.get("/views").status_code == 200
