"""What the rules mean that simulations hold a system to, and where to look when one is broken."""

from __future__ import annotations

_PURE = (
    "A decision gets all that it may depend on: the command, the states that are its parameters, and time and new ids from a "
    "parameter `context: Context`. "
)
_TWOFOLD = (
    "If your code writes nothing but what its declarations say, this is a fault of Twofold: please report the history."
)

_EXPLAINED = {
    "A decision is made on what the log holds before it.": (
        "A command was decided a second time, on the same states, at the same time and with the same ids, and came to "
        f"something else. {_PURE}Look for one that reads the clock, chance, a global or a file, or that goes through a set; "
        "and for an @evolve that does, or that changes a value in place: a state is folded again from the log whenever it is "
        "not in memory."
    ),
    "A rejection is borne out by the log.": (
        "A command was refused, and at no moment between sending it and the answer does the log hold states on which the "
        f"decision refuses it like that. {_PURE}Look for one that depends on something else, or for an @evolve that does, or "
        "that changes a value in place."
    ),
    "Nothing is parked.": (
        "A view, a projection or a process could not handle an event, so that the event's key waits. Look at the step for "
        "that event: it has to take every event that decisions can yield, in whatever order. A projection cannot reach "
        "anything but its transaction here: files, sockets and threads are not simulated. If it is an event handler, its "
        "policy has given up: what stands for its resources has failed each time that it was tried."
    ),
    "A view is a fold of what it has handled.": (
        "A view's row is not what its @evolve steps make of the log, from the first event on. Look for a step that reads the "
        "clock, chance or a global, or changes a value in place instead of returning another one; and, where code is "
        "deployed, for a step that means something else now: give the view a higher `version=`."
    ),
    "A projection writes the same rows again.": (
        "A projection that was run once more on the whole log has written other rows. Look for one that reads the clock, "
        "chance or a global, or that counts on events of several keys being handled in the order of the log."
    ),
    "A query is answered.": (
        "The function that answers a query has raised an error. It gets every query that its type allows, at any moment, also "
        "before there is anything. It cannot reach anything but its views here: files, sockets and threads are not simulated."
    ),
    "A command is decided, or it is said why not.": (
        "A decision has raised an error that is no `Rejected`, or yielded what the log does not take; or an @evolve of a "
        "state that it is made on has raised one, which it may for no event that is in the log. A decision gets every command "
        "that its type allows: refuse by raising a Rejected of your own, or say in the type what is allowed (`Meta(gt=0)`)."
    ),
    "A scenario comes to its end.": (
        "A function with @scenario has raised an error that is no `Rejected`, or has not ended within ten minutes of virtual "
        "time (TimeoutError). If it is an assertion, what the function says is not so: between any two of its steps, others "
        "do what they do. If not, look for what it takes for granted: it runs at any moment, also before there is anything."
    ),
    "A process starts.": (
        "A process could not start on what is there. During a deployment the new code starts on what the old code has stored, "
        "and after it was taken back the old code starts on what the new one has. The error says what does not fit."
    ),
    "A decision sees every event of its states.": (
        "While something is deployed, processes with the old code decide beside those with the new one. What the old code "
        "does not know it does not fold, and what it decides is decided on less. Deploy a new event in two steps: first "
        "everywhere the code that reads it, then the code that decides it. If it is the new code that does not know it, keep "
        "the event under its old name (`name=`)."
    ),
    "A process ends when it is asked to.": "A process of the system could not go on. " + _TWOFOLD,
    "What fails, somebody looks at.": (
        "A task or a callback has raised an error, and nobody has asked what became of it: asyncio writes that to its log "
        "when memory is freed, if it ever does. Look for an asyncio.create_task(…) that nobody awaits. " + _TWOFOLD
    ),
    "Something goes on.": (
        "Nothing is left to do, or time stands still, and somebody still waits for an answer. Look for an answer that waits "
        f"for what never comes. {_TWOFOLD}"
    ),
    "A command takes effect once.": f"The same id of a command was recorded twice. {_TWOFOLD}",
    "A command that is sent is carried out.": (
        "A command was sent through the log, and when all was caught up nothing said what has become of it. Look whether its "
        f"decision raises an error. {_TWOFOLD}"
    ),
    "Commands of one order are carried out in that order.": (
        f"Two commands about one identity were decided in another order than that in which they were sent. {_TWOFOLD}"
    ),
    "A process that has ended sends nothing more.": f"An instance has sent something after its end. {_TWOFOLD}",
    "A step of a process follows from what it is told.": (
        "A process was told the same once more, in the state that it had then, and what it sends is something else. Steps and "
        "reactions get all that they may depend on: the state, what has happened, and time and new ids from a parameter "
        "`context: Context`. Look for one that reads the clock, chance, a global or a file, or that goes through a set."
    ),
    "An instance is what its steps have made of it.": (
        "What is kept of an instance is not what its @evolve steps make of all that it was told. Look for a step that reads "
        "the clock, chance or a global, or changes a value in place instead of returning another one."
    ),
    "What a process sends is in the log.": f"A step of a process was passed by, and what it sends is not sent. {_TWOFOLD}",
    "What a process sends follows from a step.": f"A process has sent what follows from nothing that it was told. {_TWOFOLD}",
    "What was done last is undone first.": f"The steps of a process were undone in another order. {_TWOFOLD}",
    "A timer comes due once, as it was set.": f"A timer came due that was not pending, or was set otherwise. {_TWOFOLD}",
    "A timer is not early.": f"A timer came due before its time, by the clock of the process that had it do so. {_TWOFOLD}",
    "A delayed command is sent when its timer is due.": f"Its timer came due, and the command was not sent. {_TWOFOLD}",
    "A schedule sends its commands once for a tick.": (
        "What a schedule yields for a tick was sent again, or never, or is something else when it is asked once more. It gets "
        "all that it may depend on: the tick. Look for one that reads the clock, chance, a global or a file."
    ),
    "A handler is called for what is in the log.": f"An event handler was called for an event that is none of its. {_TWOFOLD}",
    "A handler is called for events of one key in order.": (
        f"An event handler was called for an event while one before it, of the same key, was still to be handled. {_TWOFOLD}"
    ),
    "What a handler sends is what it has returned.": (
        f"The commands that an event handler has returned were not sent, or others were. {_TWOFOLD}"
    ),
    "A handler succeeds for every event.": f"An event was passed by, and no call of its handler has returned. {_TWOFOLD}",
    "What is in the log was sent.": f"An event belongs to no command that was sent. {_TWOFOLD}",
    "An id is refused only where it was that of another command.": (
        f"A command that was sent again under its id was taken for another one. {_TWOFOLD}"
    ),
    "A receipt says where a command's effect ends.": f"A receipt names another position than that of its events. {_TWOFOLD}",
    "What is acknowledged is in the log.": f"A receipt was given for what was never recorded. {_TWOFOLD}",
    "A receipt's effect is in the log.": f"A receipt names a position that its log has not reached. {_TWOFOLD}",
    "A receipt's effect is visible to whoever asks after it.": (
        f"A query was answered from a view that had not seen what its receipt stands for. {_TWOFOLD}"
    ),
    "Positions have no gap.": f"A log has a hole, so that followers would miss something. {_TWOFOLD}",
    "What is heard was published, and is heard once.": f"A service has recorded what nobody told it, or twice. {_TWOFOLD}",
    "What is published is heard.": f"A published event has not come to a service that subscribes to it. {_TWOFOLD}",
    "What comes behind a parked event of its key waits.": f"An event was handled before an earlier one of its key. {_TWOFOLD}",
    "A view does not go back.": f"A query was answered from a view as it was before what the reader had seen. {_TWOFOLD}",
    "Within a key, what is heard is in order.": f"Events of one key came to another service in another order. {_TWOFOLD}",
    "When nothing goes wrong any more, all is caught up.": (
        "Two minutes after the last fault a view, a projection or an inbox is still not where the log ends. Look for one that "
        f"cannot handle an event. {_TWOFOLD}"
    ),
}  # fmt: skip

_INVARIANT = (
    "This is a rule of your own. The event that is named is the last one before it was broken: look at the decision that has "
    "yielded it. It is made on the states that are its parameters, and on nothing else: where another command may change what "
    "it counts on, that has to be among them."
)


def explanation(rule: str) -> str:
    """Return what a rule means, and where to look; a rule that is not among those of Twofold is an invariant of the user."""
    return _EXPLAINED.get(rule, _INVARIANT)


def explained() -> list[str]:
    """Return the rules that Twofold holds every system to."""
    return [*_EXPLAINED]
