"""Callbacks share green threads."""

from __future__ import annotations

from types import SimpleNamespace

from greenlet import getcurrent, greenlet

from api.engines.callback_threads import CallbackThreads


def test_callbacks_run_one_after_another_in_the_same_thread_unless_one_blocks():
    main, threads, blocked = getcurrent(), [], []
    runner = CallbackThreads(SimpleNamespace(switch=main.switch), greenlet, getcurrent)

    def block():
        threads.append(getcurrent())
        blocked.append(getcurrent())
        main.switch()

    for callback in (lambda: threads.append(getcurrent()), block, lambda: threads.append(getcurrent())):
        runner.run(callback)
    assert threads[0] is threads[1], "an idle thread runs the next callback"
    assert threads[2] is not threads[1], "a blocked thread does not"
    blocked[0].switch()
    runner.run(lambda: threads.append(getcurrent()))
    assert threads[3] is threads[1], "the blocked one ended last, so it runs the next"
