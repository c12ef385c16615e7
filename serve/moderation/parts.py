"""What a moderation application is made of, for whoever works with several of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from serve.gateway.archive import Archive
from serve.gateway.holder import Holder
from serve.gateway.rulings import Rulings
from serve.moderation.authors import Authors
from serve.moderation.books import Books
from serve.moderation.intake import Intake
from serve.moderation.members import Members
from serve.moderation.mind import Mind
from serve.moderation.review import ReviewDesk


@dataclass(frozen=True)
class Parts:
    """The parts.

    Attributes:
        intake: reads posts.
        authors: histories.
        books: policies and lists in force.
        rulings: rules in force.
        holder: the model in force.
        members: where modalities are answered.
        review: the queue.
        archive: where decisions go.
    """

    intake: Intake
    authors: Authors
    books: Books
    rulings: Rulings
    holder: Holder[Mind]
    members: Members
    review: ReviewDesk
    archive: Archive
