"""Signals that end a check early: it stops, writes what is known by then, and ends with their status."""

from __future__ import annotations

import signal

from troubleshoot.cli import interrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from types import FrameType

#: What a CI system, a service manager or a closed terminal sends, beside Ctrl-C.
_OTHERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ending:
    """The first such signal; ``number`` is ``None`` while there was none. A second one ends the program as ever."""

    def __init__(self) -> None:
        self.number: int | None = None

    def hold(self) -> None:
        """Only take note of signals from here on, for no longer than nothing waits; what is ignored stays so."""
        if interrupt.take(self._note):
            self.number = signal.SIGINT
        for each in _OTHERS:
            if signal.getsignal(each) is signal.SIG_DFL:
                signal.signal(each, self._note)

    def let(self) -> None:
        """Let signals end the program from here on."""
        if signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in _OTHERS:
            if signal.getsignal(each) == self._note:
                signal.signal(each, signal.SIG_DFL)

    def stops(self, stop: asyncio.Event) -> None:
        """Have the first signal set ``stop`` in the running loop; one that was held does so at once."""
        import asyncio  # noqa: PLC0415 - heavy
        from contextlib import suppress  # noqa: PLC0415

        from probes.system import loop  # noqa: PLC0415

        running = asyncio.get_running_loop()

        def heard(number: int) -> None:
            self.number = self.number or number
            stop.set()
            if number != signal.SIGINT:
                running.remove_signal_handler(number)

        loop.on_first_interrupt(lambda: heard(signal.SIGINT))
        for each in _OTHERS:
            if signal.getsignal(each) == self._note:
                with suppress(NotImplementedError, ValueError, RuntimeError):
                    running.add_signal_handler(each, heard, each)
        if self.number is not None:
            stop.set()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
