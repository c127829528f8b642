"""Work that is done in company: each caller hears of its own, and of nobody else's."""

import asyncio

import pytest

from keyturn.exchange.company import Company


async def test_what_a_turn_brings_is_done_in_its_order_once_all_have_asked() -> None:
    """Nothing is done while a turn still brings callers, and then each gets what its own work gave."""
    company, done = Company(), []

    def work(name: str, number: int) -> int:
        done.append(name)
        return number

    waiting = [company.do(work, "first", 1), company.do(work, "second", 2)]
    assert done == []

    assert await asyncio.gather(*waiting) == [1, 2]
    assert done == ["first", "second"]


async def test_work_that_fails_is_its_own_caller_s_alone() -> None:
    """Neighbours of work that fails have theirs."""
    company = Company()
    broken = company.do(int, "no number")
    neighbour = company.do(int, "7")

    with pytest.raises(ValueError, match="no number"):
        await broken
    assert await neighbour == 7


async def test_nothing_is_done_for_who_left() -> None:
    """Work for a caller that left is not begun, and the next turn works as ever."""
    company, done = Company(), []
    company.do(done.append, 1).cancel()
    await asyncio.sleep(0)
    assert done == []

    await company.do(done.append, 2)
    assert done == [2]


async def test_work_may_ask_for_more() -> None:
    """What is asked for during a turn's work is done in the next."""
    company = Company()

    outer = company.do(lambda: company.do(int, "8"))

    assert await (await outer) == 8
