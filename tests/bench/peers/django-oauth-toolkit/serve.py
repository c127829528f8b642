"""django-oauth-toolkit as a peer of ``make bench``: an opaque token and a row in SQLite each time.

Usage: serve.py PORT, with the client and the database in the environment.
"""

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from gunicorn.app.base import BaseApplication

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    # It is what says how long an answer is; without it gunicorn sends it in chunks.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    OAUTH2_PROVIDER={"SCOPES": {"read": "read", "write": "write"}, "ACCESS_TOKEN_EXPIRE_SECONDS": 600},
    ROOT_URLCONF=__name__,
    SECRET_KEY="no secret of anybody's",
    USE_TZ=True,
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def prepare():
    """Make the tables and the client."""
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    applications = get_application_model()
    applications.objects.create(
        name="bench",
        client_id=os.environ["BENCH_CLIENT_ID"],
        client_secret=os.environ["BENCH_CLIENT_SECRET"],
        hash_client_secret=False,
        client_type=applications.CLIENT_CONFIDENTIAL,
        authorization_grant_type=applications.GRANT_CLIENT_CREDENTIALS,
    )


class Gunicorn(BaseApplication):
    """Gunicorn without its command line."""

    def load_config(self):
        for name, value in {
            "bind": f"127.0.0.1:{sys.argv[1]}",
            "worker_class": "gthread",
            "threads": 1,
            "keepalive": 60,
            "control_socket_disable": True,
        }.items():
            self.cfg.set(name, value)

    def load(self):
        return get_wsgi_application()


if __name__ == "__main__":
    prepare()
    Gunicorn().run()
