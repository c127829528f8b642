"""An administrator for every test of this folder."""

import pytest

from admin.kit import administration


@pytest.fixture
async def admin():
    """Open a deployment and be its administrator."""
    async with administration() as opened:
        yield opened
