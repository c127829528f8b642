"""Which databases a demo takes, where one is named."""

import pytest

from harness import deployment
from keyturn.core.errors import ConfigError
from keyturn.demo import require_own_database


async def test_somebody_elses_database_is_refused(tmp_path):
    """AD-06: a demo gives nobody an administrator of a deployment that it did not make."""
    async with deployment() as here:
        with pytest.raises(ConfigError, match="no demo of this folder"):
            await require_own_database(here.local, tmp_path)
        (tmp_path / "demo.json").write_text('{"base_url": "http://127.0.0.1:8480"}')
        await require_own_database(here.local, tmp_path)
