"""What attributes of posts are worth, in the report of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lib import report
from lib.evaluation import bootstrap_interval, roc_auc
from lib.moderation.model.attribute_layer import AttributeLayer
from lib.moderation.model.comparison import FittedModel, mean_precision, overall_precision

_LEAK_AUC, _LEAST_OF_A_KIND = 0.99, 10


def attribute_facts(fit: FittedModel, seed: int, repeats: int = 300) -> dict[str, Any]:
    """Figures of attributes on the test posts; {} of a model that reads none.

    Args:
        fit: a model and its test posts.
        seed: of draws of authors.
        repeats: number of draws.
    """
    layer, features = fit.model.fusion.layer, fit.features
    if layer is None or features is None:
        return {}
    fused, plain = fit.log_odds, fit.model.fusion.without_attributes(fit.answers, fit.presence)
    policies, targets = fit.model.policies, fit.targets

    def difference(draw: Any) -> float:
        own = overall_precision(fused[draw], targets[draw], policies)
        return own - overall_precision(plain[draw], targets[draw], policies)

    gain = bootstrap_interval(difference, fit.authors, seed, repeats)
    precisions = [mean_precision(scores, targets, policies) for scores in (plain, fused)]
    _, single = fit.model.fusion.attribute_contributions(fit.answers, fit.presence, features)
    return {
        "gain": {"value": gain.value, "low": gain.low, "high": gain.high},
        "policies": {
            name: {
                "is_read": own.is_read,
                "log_loss_without": own.without,
                "log_loss_with": own.fused,
                "standard_error": own.doubt,
                "average_precision_without": precisions[0][name],
                "average_precision_with": precisions[1][name],
            }
            for name, own in zip(policies, layer.gains, strict=True)
        },
        "read": _read(layer, features, single),
        "likely_leaks": _likely_leaks(fit, single),
    }


def _likely_leaks(fit: FittedModel, single: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes that alone tell a policy apart on the test posts, as what follows from it does."""
    leaks = []
    for name, adds in single.items():
        for p, policy in enumerate(fit.model.policies):
            is_known = ~np.isnan(fit.targets[:, p])
            flags = fit.targets[is_known, p] >= 0.5
            if min(flags.sum(), (~flags).sum()) < _LEAST_OF_A_KIND:
                continue
            auc = roc_auc(flags, adds[is_known, p])
            if auc >= _LEAK_AUC:
                leaks.append({"attribute": name, "policy": policy, "auc": auc})
    return leaks


def _read(
    layer: AttributeLayer, features: Any, single: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Of each attribute, how it is read, what it lacks, and how much it moves."""
    described = {}
    for at, each in enumerate(layer.attributes):
        values = features[:, at]
        is_category = each.type == "category"
        described[each.name] = {
            "type": each.type,
            "values": len(each.vocabulary) if is_category else None,
            "rated": each.encoding == "rate",
            "missing": float(np.isnan(values).mean()) if len(values) else 0.0,
            "unknown": float((values == 0.0).mean()) if is_category and len(values) else None,
            "moves": float(np.abs(single[each.name]).mean()) if len(values) else 0.0,
        }
    return described


def attribute_sections(facts: Mapping[str, Any]) -> list[report.Section]:
    """The section about them; none where the model reads none.

    Args:
        facts: see `attribute_facts`.
    """
    if not facts:
        return []
    policies = facts["policies"]
    used = [name for name, own in policies.items() if own["is_read"]]
    gain = facts["gain"]
    text = (
        f"Read of {', '.join(used)}. Mean average precision on the test posts changes by "
        f"{gain['value']:+.3f} (95% over authors: {gain['low']:+.3f} to {gain['high']:+.3f})."
        if used
        else "Attributes help with no policy beyond doubt on posts that fusion did not learn from. "
        "The model answers as if there were none."
    )
    rows = tuple(
        (
            *(name, "yes" if own["is_read"] else "no"),
            *(own["log_loss_without"], own["log_loss_with"], own["standard_error"]),
            _cell(own["average_precision_without"]),
            _cell(own["average_precision_with"]),
        )
        for name, own in policies.items()
    )
    header = (
        *("policy", "read", "log-loss without", "with", "standard error"),
        *("average precision without", "with"),
    )
    caption = (
        "Log-loss by cross-fitting on posts that teach, average precision on the test posts. "
        "Attributes are read for a policy whose log-loss falls by two standard errors over authors."
    )
    leaks = (
        report.Note(
            f"Likely leak: '{own['attribute']}' alone tells {own['policy']} apart (AUC "
            f"{own['auc']:.3f}). Leave it out if it is known only once people decided."
        )
        for own in facts["likely_leaks"]
    )
    return [
        report.Section(
            "Attributes of posts",
            (
                *leaks,
                report.Note(text),
                report.Table(header, rows, caption=caption),
                _attributes_table(facts["read"]),
            ),
        )
    ]


def _attributes_table(described: Mapping[str, Mapping[str, Any]]) -> report.Table:
    rows = tuple(
        (name, _kind(own), own["missing"], own["unknown"], own["moves"])
        for name, own in described.items()
    )
    caption = (
        "Shares of test posts; moves is the mean change of a policy's log-odds where the attribute "
        "is at its average instead."
    )
    header = ("attribute", "read as", "missing", "unknown value", "moves")
    return report.Table(header, rows, caption=caption)


def _kind(described: Mapping[str, Any]) -> str:
    if described["type"] != "category":
        return str(described["type"])
    what = "how often posts of each violate" if described["rated"] else "a code for each"
    return f"{described['values']} values, {what}"


def _cell(value: float) -> float | None:
    return value if np.isfinite(value) else None
