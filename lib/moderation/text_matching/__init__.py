"""Wording of a post: folded for matching, split into words, matched against lists."""
