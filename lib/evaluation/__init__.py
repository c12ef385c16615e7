"""Measures of ranking and of operation, with intervals over entities."""

from lib.evaluation.bootstrap import Interval, bootstrap_interval
from lib.evaluation.card_precision import CardPrecision, card_precision_at_k
from lib.evaluation.operating_point import recall_at_fpr, threshold_at_fpr
from lib.evaluation.ranking import average_precision, precision_at_k, roc_auc

__all__ = [
    "CardPrecision",
    "Interval",
    "average_precision",
    "bootstrap_interval",
    "card_precision_at_k",
    "precision_at_k",
    "recall_at_fpr",
    "roc_auc",
    "threshold_at_fpr",
]
