"""The pages that the bar at the top leads to, and who sees which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from serve.console.session import Visit


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of the bar.

    Attributes:
        path: of the page, below that of the console.
        page: its name, as the page gives it.
        text: what stands there.
        key: a capital letter; small ones belong to what a page does.
        role: a scope SYSTEM:role opens it; "" opens it for everybody.
        systems: whose scope does; none means that of any system.
    """

    path: str
    page: str
    text: str
    key: str
    role: str = ""
    systems: tuple[str, ...] = ()


TABS = (
    Tab("/", "home", "Home", "H"),
    Tab("/queue", "queue", "Queue", "Q", "review"),
    Tab("/payments", "payments", "Payments", "P", "read", ("fraud",)),
    Tab("/fleet", "fleet", "Fleet", "F", "read", ("maintenance",)),
    Tab("/schedule", "schedule", "Schedule", "S", "read", ("maintenance",)),
    Tab("/customers", "customers", "Customers", "C", "read", ("churn",)),
    Tab("/posts", "posts", "Posts", "O", "read", ("moderation",)),
    Tab("/models", "models", "Models", "M", "read"),
    Tab("/rules", "rules", "Rules", "R", "read"),
    Tab("/experiments", "experiments", "Experiments", "X", "read"),
    Tab("/business", "business", "Business", "B", "read"),
    Tab("/audit", "audit", "Audit", "U", "read"),
)


SYSTEM_PAGES: Mapping[str, str] = {
    "fraud": "/payments",
    "maintenance": "/fleet",
    "churn": "/customers",
    "moderation": "/posts",
}
"""The page of each system, below that of the console, which its card on home leads to."""


def linked_pages(paths: Collection[str]) -> dict[str, str]:
    """Of `SYSTEM_PAGES` those that there are.

    Args:
        paths: of all pages.
    """
    return {system: path for system, path in SYSTEM_PAGES.items() if path in paths}


def tabs_of(visit: Visit | None, shown: tuple[str, ...]) -> tuple[Tab, ...]:
    """The pages that a visitor may open.

    Args:
        visit: whose; None where nobody is signed in, or has said no name.
        shown: systems that the console shows.
    """
    if visit is None or not visit.name:
        return ()
    return tuple(
        tab
        for tab in TABS
        if not tab.role
        or visit.systems(tab.role, tuple(name for name in shown if name in (tab.systems or shown)))
    )
