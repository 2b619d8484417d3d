"""The asynchronous client, called as if it were the synchronous one, so that each test is one of both."""

import inspect
from contextlib import ExitStack

from anyio.from_thread import start_blocking_portal

import tsukiji
from tsukiji.client._async._runtime import Counted

END = object()


class BlockingClient:
    """Drives an `AsyncClient` in an event loop of its own, and wraps what comes back."""

    def __init__(self, *arguments, **options):
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._stack.callback(lambda: self._portal.call(self._made.close))
        self._made = self._portal.call(lambda: tsukiji.AsyncClient(*arguments, **options))
        self._shown = Driven(self._made, self._portal)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._stack.close()

    def __getattr__(self, name):
        return getattr(self._shown, name)


class Driven:
    """An object whose coroutines are run and whose asynchronous iterators are read in the other thread."""

    def __init__(self, target, portal, made=None):
        made = {} if made is None else made
        vars(self).update(_target=target, _portal=portal, _made=made)
        made[id(target)] = self  # `wait() is job` holds here too

    @property
    def __class__(self):
        return getattr(tsukiji, type(self._target).__name__.removeprefix("Async"), type(self._target))

    def __getattr__(self, name):
        return self._wrap(getattr(self._target, name))

    def __setattr__(self, name, value):
        setattr(self._target, name, value)

    def __call__(self, *arguments, **options):
        arguments, options = unwrapped(arguments), unwrapped(options)
        if callable(report := options.get("progress")):
            options["progress"] = lambda *told: report(*map(self._wrap, told))
        return self._wrap(self._portal.call(lambda: self._target(*arguments, **options)))

    def __iter__(self):
        found = self._portal.call(aiter, self._target)
        try:
            while (record := self._portal.call(anext, found, END)) is not END:
                yield self._wrap(record)
        finally:
            if hasattr(found, "aclose"):
                self._portal.call(found.aclose)

    def __next__(self):
        record = self._portal.call(anext, self._target, END)
        if record is END:
            raise StopIteration
        return self._wrap(record)

    def __getitem__(self, place):
        return self._wrap(self._portal.call(self._target.__getitem__, place))

    def __len__(self):
        if not isinstance(self._target, Counted):
            raise TypeError("it has no length")
        return self._portal.call(self._target.count)

    def __bool__(self):
        return not isinstance(self._target, Counted) or not self._portal.call(self._target.is_empty)

    def __eq__(self, other):
        return self._target == unwrapped(other)

    def __hash__(self):
        return hash(self._target)

    def __repr__(self):
        return repr(self._target).replace("Async", "")

    def _wrap(self, value):
        if inspect.iscoroutine(value):
            return self._wrap(self._portal.call(lambda: value))
        if isinstance(value, list):
            return [self._wrap(each) for each in value]
        ours = type(value).__module__.startswith("tsukiji.client._async") or inspect.isasyncgen(value)
        if not ours and not inspect.ismethod(value):
            return value
        return self._made[id(value)] if id(value) in self._made else Driven(value, self._portal, self._made)


def unwrapped(value):
    if type(value) is Driven:
        return value._target
    if isinstance(value, (list, tuple)):
        return type(value)(map(unwrapped, value))
    return {name: unwrapped(each) for name, each in value.items()} if type(value) is dict else value
