"""Which databases a demo takes, where one is named."""

import json
import uuid

import pytest

from harness import deployment
from keyturn.core.errors import ConfigError
from keyturn.demo import require_own_database


async def test_somebody_elses_database_is_refused(tmp_path):
    """AD-06: a demo gives nobody an administrator of a deployment that it did not make."""
    async with deployment() as here:
        with pytest.raises(ConfigError, match="no demo of this folder"):
            await require_own_database(here.local, tmp_path)
        shown = tmp_path / "demo.json"
        shown.write_text(json.dumps({"organisations": [{"uuid": str(uuid.uuid4())}]}))
        with pytest.raises(ConfigError, match="no demo of this folder"):
            await require_own_database(here.local, tmp_path)
        (own, *_) = await here.local.deployment.organisations()
        shown.write_text(json.dumps({"organisations": [{"uuid": own.id}]}))
        await require_own_database(here.local, tmp_path)
