"""The setting KRILL_LOGGER is checked by Django's own check framework."""

from __future__ import annotations

import pytest

from tests.krill_project import running

running.set_up()

from django.core.checks import run_checks  # noqa: E402
from django.test.utils import override_settings  # noqa: E402

from producers.django.conf import Conf, conf  # noqa: E402


def ours() -> list:
    return [message for message in run_checks() if message.id.startswith("krill_logger.")]


def test_the_projects_own_setting_is_fine():
    assert ours() == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"MODLES": []}, "unknown key 'MODLES'"),
        ({"MODELS": ["isp.Nothing"]}, "'isp.Nothing', which does not exist"),
        ({"MODELS": ["nonsense"]}, "'nonsense', which does not exist"),
        ({"MODELS": "isp.Cpe"}, "KRILL_LOGGER['MODELS'] is a str"),
        ({"MODELS": [1]}, "expected a list of text"),
        ({"TRUSTED_PROXIES": -1}, "a number of proxies, 0 or more"),
        ({"TRUSTED_PROXIES": True}, "a number of proxies, 0 or more"),
        ({"MAX_BODY_BYTES": 10}, "1024 or more"),
        ({"BOOTSTRAP": None}, "expected text"),
        ({"KAFKA": "secret-words"}, "a dict of librdkafka properties"),
        (["BOOTSTRAP"], "must be a dict"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_still_works(given, text):
    with override_settings(KRILL_LOGGER=given):
        (message,) = ours()
        assert text in str(message)
        assert "secret-words" not in str(message)
        assert isinstance(conf(), Conf)
        assert conf().MAX_BODY_BYTES == Conf.MAX_BODY_BYTES
