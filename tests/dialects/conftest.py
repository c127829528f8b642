"""What every dialect's test gets: a deployment with that dialect in it."""

import pytest


@pytest.fixture
async def here(request):
    """Open a deployment that serves the dialect of the test's class, or those of the house."""
    from harness import deployment

    dialect = getattr(request.cls, "dialect", None)
    async with deployment(*([dialect] if dialect else [])) as opened:
        yield opened
