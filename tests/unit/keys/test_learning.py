"""What is learned again while a process runs."""

import asyncio

from keyturn.keys.learning import Learner


async def test_one_read_at_a_time():
    """RE-04: a read that is slow to answer does not undo what a later one found."""
    seen, slow = [], asyncio.Event()

    async def read():
        seen.append("began")
        await slow.wait()
        seen.append("took in")

    learner = Learner(read, "lost")
    first = asyncio.create_task(learner.read())
    learner.learn()
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == ["began"]
    slow.set()
    await first
    await learner.read()
    assert seen == ["began", "took in"] * 3
    await learner.close()
