"""Timers, as users declare them: what a process is to be told at a time."""

from __future__ import annotations

from twofold.messages import Message


class Timer(Message):
    """What a process asks to be told later, with what it will want to know then.

    >>> class PaymentDeadline(Timer):
    ...     order: str
    >>> PaymentDeadline(order="7")
    PaymentDeadline(order='7')
    """
