"""Asking: what answers may read, how they are found, cached and watched."""

from twofold.queries.answers import AnswerCache, Answers, EncodedAnswer, Result
from twofold.queries.live import LiveQueries, QueryFailure, ResumeToken, Subscription, Update, parse_resume_token
from twofold.queries.views import Answer, Page, Views, answer, answer_of, answer_type

__all__ = [
    "Answer",
    "AnswerCache",
    "Answers",
    "EncodedAnswer",
    "LiveQueries",
    "Page",
    "QueryFailure",
    "Result",
    "ResumeToken",
    "Subscription",
    "Update",
    "Views",
    "answer",
    "answer_of",
    "answer_type",
    "parse_resume_token",
]
