"""Every error that Twofold raises on purpose, in one tree.

::

    TwofoldError
    ├── DeclarationError        the program is wrong: raised while it is declared, or by what a declaration hid
    ├── SettingsError           the environment is wrong: raised when a service starts
    ├── Rejected                a decision said no: an ordinary outcome, subclassed by users
    ├── InvalidMessage          a command, query or event does not fit its type
    │   ├── UnknownMessage      there is no such command or query here
    │   └── Undecodable         what a broker has brought is no event; it is set aside as it came
    ├── Unrecoverable           an event handler says that trying again would not help: raised by users
    ├── RequestTimeout          the outcome of a command to another service did not come in time
    ├── UnrecordableEvent       a decision yields what the log could not give back as it is: mend the decision
    ├── ReceiptError            a receipt that cannot be waited for
    │   ├── InvalidReceipt      not a receipt at all, or of another service
    │   ├── FutureReceipt       it names a position that the log has not reached
    │   └── ReceiptTimeout      the view did not get there in time
    ├── ViewNotReady            a view is still being filled, and nothing else could answer
    ├── IdReused                an id was sent again with another command
    ├── TooManyConflicts        others kept changing what the command decides on
    ├── LogError                the log could not do what was asked
    │   ├── LogUnavailable      it cannot be reached or written now; trying again later may help
    │   │   └── BrokerUnavailable   so is what carries events between services
    │   │       └── EventsMissing   what comes next of a source has not come, and what follows it has
    │   ├── ValueRefused        a database does not take what it was given; the same again would not be taken either
    │   ├── LogCorrupted        what is stored breaks a rule of the log; stop and look
    │   └── LogDiverged         a copy of a log holds something else than the log
    ├── LeaseLost               another process follows this segment now
    ├── NotFound                an operator named a follower, a key or an event that is not there
    ├── NotNow                  what an operator asked for has to wait until something else is done
    ├── NotRunning              a service was used before its start or after its end
    └── WrongRole               this process leaves to others what was asked of it

Each message says what happened, where, and what the reader can do.
"""

from __future__ import annotations

import inspect


class TwofoldError(Exception):
    """The root of the tree: catching it catches everything that Twofold raises on purpose."""


class DeclarationError(TwofoldError):
    """What was declared cannot work; found when the class or service is declared, unless the code hides it until it runs."""


class SettingsError(TwofoldError):
    """A setting is missing or malformed; the message names the variable and shows a valid value."""


class Rejected(TwofoldError):
    """A decision refused the command: nothing was recorded, and sending it again unchanged will not help.

    Subclass it once per reason. The docstring is what people read, the arguments are what programs read:

    >>> class InsufficientFunds(Rejected):
    ...     "The balance does not cover the withdrawal."
    >>> str(InsufficientFunds(5))
    'The balance does not cover the withdrawal. (5)'
    """

    def __str__(self) -> str:
        reason = type(self).reason()
        details = ", ".join(str(argument) for argument in self.args)
        return f"{reason} ({details})" if details else reason

    @classmethod
    def reason(cls) -> str:
        """The first paragraph of the class's docstring, which explains the rejection to a person."""
        if cls.__doc__ is None:
            return cls.__name__
        return " ".join(inspect.cleandoc(cls.__doc__).split("\n\n")[0].split())


class InvalidMessage(TwofoldError):
    """A message that does not fit its type: a field is missing, has the wrong type or breaks a constraint."""


class UnknownMessage(InvalidMessage):
    """A name for which this service has no command or query."""


class Undecodable(InvalidMessage):
    """A message of a broker that is no event: it lacks an attribute, or has one that says nothing, or its data is no JSON.

    Adapters set it aside byte for byte where operators find it, and go on.
    """


class UnrecordableEvent(TwofoldError, TypeError):
    """An event that the log could not give back as it is: nothing was recorded. The program is wrong, not the command."""


class Unrecoverable(TwofoldError):
    """What went wrong is wrong in itself: the event is parked at once, as trying it again would not help.

    Raise it from an event handler, with what somebody has to know who looks at what is parked.
    """


class RequestTimeout(TwofoldError):
    """The outcome of a command to another service did not come in time; the command may still be decided."""


class ReceiptError(TwofoldError):
    """A receipt that cannot be waited for."""


class InvalidReceipt(ReceiptError):
    """Not a receipt, or a receipt of a service that this one hears nothing from."""


class FutureReceipt(ReceiptError):
    """A receipt that names a position which the log has not reached: it came from another log."""


class ReceiptTimeout(ReceiptError):
    """The followers did not reach the receipt's position in the time allowed."""


class ViewNotReady(TwofoldError):
    """A view is being filled from the first event, and has not once been where the log ended: it knows half of it."""


class TooManyConflicts(TwofoldError):
    """A command was decided again and again, and each time others had changed its states first."""


class IdReused(TwofoldError):
    """An id was sent again with another command: the first one was done, and this one was not."""


class LogError(TwofoldError):
    """The log could not do what was asked."""


class LogUnavailable(LogError):
    """The log cannot be reached or written at the moment."""


class BrokerUnavailable(LogUnavailable):
    """A broker cannot be reached, written or read at the moment. That has passed when it takes or brings something again."""


class EventsMissing(BrokerUnavailable):
    """Of what a source has published something has not come, and what follows it has. It has passed when more is recorded."""


class ValueRefused(LogError):
    """A database, of a log or of views, does not take what it was given, and would not take it again.

    A text that is too long for an index, a number beyond a column, a NUL character: nothing of it was stored. It is raised
    at once, and whatever is not like that goes on as before.
    """


class LogCorrupted(LogError):
    """What the log holds breaks one of its own rules, such as positions without gaps."""


class LogDiverged(LogError):
    """A copy holds something else than what it is a copy of: another log was there, or somebody has written to it."""


class LeaseLost(TwofoldError):
    """Another process has taken over the segment that this one was following."""


class NotFound(TwofoldError):
    """A follower, a parked key or a parked event that was asked for by name is not there."""


class NotNow(TwofoldError):
    """What was asked for cannot be done before something else is; the message says what."""


class NotRunning(TwofoldError):
    """The service has not been started, or has ended."""


class WrongRole(TwofoldError):
    """This process has other roles than the one that was asked of it; another process has it."""
