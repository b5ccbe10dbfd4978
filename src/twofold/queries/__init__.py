"""Asking: how fresh an answer has to be, what it may read, how it is found, cached and watched."""

from twofold.queries.answers import Answers, EncodedAnswer, Result
from twofold.queries.broadcast import Subscription
from twofold.queries.cache import AnswerCache
from twofold.queries.freshness import AT_ONCE, After, Freshness, Receipts
from twofold.queries.handler import QueryHandler
from twofold.queries.live import LiveQueries
from twofold.queries.updates import QueryFailure, ResumeToken, Update, parse_resume_token
from twofold.queries.versions import ViewVersions
from twofold.queries.views import Answer, Page, Views, answer, answer_of, answer_type

__all__ = [
    "AT_ONCE",
    "After",
    "Answer",
    "AnswerCache",
    "Answers",
    "EncodedAnswer",
    "Freshness",
    "LiveQueries",
    "Page",
    "QueryFailure",
    "QueryHandler",
    "Receipts",
    "Result",
    "ResumeToken",
    "Subscription",
    "Update",
    "ViewVersions",
    "Views",
    "answer",
    "answer_of",
    "answer_type",
    "parse_resume_token",
]
