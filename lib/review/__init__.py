"""The rules of the review queue, whatever is reviewed, over `lib.records.review.ReviewStore`.

Order, second opinions, golden items, agreement of reviewers. What goes to people, and what their
decisions become, is in the systems.
"""
