"""Settings of the test project; databases and Kafka come from the environment."""

from __future__ import annotations

import os
from pathlib import Path

import django

FOLDER = Path(os.environ["KRILL_PROJECT_FOLDER"])

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
USE_TZ = True
TIME_ZONE = "Europe/Madrid"
ROOT_URLCONF = "tests.krill_project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
MEDIA_ROOT = FOLDER / "media"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
    "producers.django",
    "tests.krill_project.isp",
]
if django.VERSION >= (5,):  # what the current django-oauth-toolkit needs
    INSTALLED_APPS.append("oauth2_provider")

MIDDLEWARE = [
    "producers.django.middleware.RequestLoggingMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

POSTGRES_PORT = os.environ.get("KRILL_PROJECT_POSTGRES_PORT")
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": f"krill_{alias}",
        "USER": "krill",
        "HOST": "127.0.0.1",
        "PORT": POSTGRES_PORT,
    }
    if POSTGRES_PORT
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / f"{alias}.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
    for alias in ("default", "other")
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
}
if "oauth2_provider" in INSTALLED_APPS:
    REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"].append(
        "oauth2_provider.contrib.rest_framework.OAuth2Authentication"
    )

KRILL_LOGGER = {
    "BOOTSTRAP": os.environ.get("KRILL_PROJECT_BOOTSTRAP", "127.0.0.1:1"),
    "MODELS": ["isp.Customer", "isp.Cpe", "isp.Ont", "auth.User"],
    "SOURCE": "krill/test",
    "SPOOL": FOLDER / "spool",
}
