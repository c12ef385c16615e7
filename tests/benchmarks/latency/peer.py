"""The peer: a fraud service as a competent engineer writes it in an afternoon.

FastAPI under uvicorn, redis-py's asyncio client, five rules, thirty features of simple windows in
Redis, XGBoost and a torch network of the same sizes as the product's. It has none of the rest:
no exact windows or retries, no label delay, no journal of decisions, no deadlines, no fallback.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import os
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import redis.asyncio
import torch
import uvicorn
import xgboost
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

TOKEN_VARIABLE = "PEER_API_KEY"
FEATURES = (
    *("amount", "log_amount", "hour", "day_of_week", "is_weekend", "is_card", "has_place"),
    *("count_1h", "count_24h", "count_7d", "count_30d"),
    *("sum_1h", "sum_24h", "sum_7d", "mean_30d", "deviation_30d", "amount_zscore"),
    *("minutes_since_last", "is_new_merchant", "is_new_device", "is_new_method"),
    *("merchant_count_30d", "merchant_mean_30d", "merchant_fraud_rate"),
    *("device_users", "device_fraud_rate", "user_fraud_count"),
    *("distance_from_last_km", "velocity_kmh", "impossible_velocity"),
)
"""Thirty, in the order of the models' inputs."""
_HOUR, _DAY = 3600.0, 86_400.0
_MONTH = 30 * _DAY
_EARTH_RADIUS_KM, _IMPOSSIBLE_KMH = 6371.0, 800.0
_DECLINED, _REVIEWED = 0.9, 0.5
_TRAINED_ROWS, _FRAUD_SHARE, _TREES = 10_000, 0.05, 500
_BEARER = HTTPBearer()
Matrix = npt.NDArray[np.float32]


class Payment(BaseModel):
    """A payment to score."""

    transaction_id: str = Field(min_length=1, max_length=128)
    event_time: datetime
    user_id: str = Field(min_length=1, max_length=128)
    merchant_id: str = Field(min_length=1, max_length=128)
    device_id: str | None = None
    amount: float = Field(ge=0)
    currency: str = Field(pattern="^[A-Z]{3}$")
    payment_method: str
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class ScoreResponse(BaseModel):
    """The decision about a payment."""

    transaction_id: str
    decision: str
    fraud_score: float
    reason: str
    method: str
    rule_id: str | None
    latency_ms: float


class Rule(NamedTuple):
    """A rule that declines."""

    id: str
    applies: Callable[[dict[str, float]], bool]


RULES = (
    Rule("amount_zscore", lambda f: f["amount_zscore"] > 10 and f["count_30d"] >= 5),
    Rule("impossible_velocity", lambda f: f["impossible_velocity"] == 1),
    Rule("burst", lambda f: f["count_1h"] > 10),
    Rule("device_fraud", lambda f: f["device_fraud_rate"] > 0.5),
    Rule("merchant_fraud", lambda f: f["merchant_fraud_rate"] > 0.3),
)


class History:
    """Profiles in Redis, one pipeline for each payment.

    A user's payments of 30 days are a sorted set by time, a merchant's are counted by day, and
    what is rare (frauds by label) in hashes.

    Args:
        client: of redis-py.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def features(self, payment: Payment) -> dict[str, float]:
        """Features of a payment, which counts from then on."""
        now = payment.event_time.timestamp()
        user, merchant = f"user:{payment.user_id}", f"merchant:{payment.merchant_id}"
        device = f"device:{payment.device_id}"
        day = int(now // _DAY)
        pipe = self._client.pipeline(transaction=False)
        pipe.zrangebyscore(f"{user}:payments", now - _MONTH, now, withscores=True)
        pipe.hgetall(f"{user}:last")
        pipe.hget(f"{user}:labels", "fraud")
        pipe.sadd(f"{user}:merchants", payment.merchant_id)
        pipe.sadd(f"{user}:devices", payment.device_id or "")
        pipe.sadd(f"{user}:methods", payment.payment_method)
        pipe.hgetall(f"{merchant}:days")
        pipe.hgetall(f"{merchant}:labels")
        pipe.scard(f"{device}:users")
        pipe.hgetall(f"{device}:labels")
        pipe.zadd(f"{user}:payments", {f"{payment.transaction_id}|{payment.amount}": now})
        pipe.zremrangebyscore(f"{user}:payments", 0, now - _MONTH)
        pipe.expire(f"{user}:payments", int(_MONTH))
        last: dict[Any, Any] = {
            "time": now,
            "lat": payment.latitude or "",
            "lon": payment.longitude or "",
        }
        pipe.hset(f"{user}:last", mapping=last)
        pipe.hincrby(f"{merchant}:days", f"n{day}", 1)
        pipe.hincrbyfloat(f"{merchant}:days", f"a{day}", payment.amount)
        pipe.sadd(f"{device}:users", payment.user_id)
        read = (await pipe.execute())[:10]
        return _features(payment, now, read)


def _features(payment: Payment, now: float, read: list[Any]) -> dict[str, float]:
    paid, last, frauds, new_merchant, new_device, new_method, days, shop, users, device = read
    weekday = payment.event_time.weekday()
    rows = [(now - at, float(member.rpartition("|")[2])) for member, at in paid]
    amounts = [amount for _, amount in rows]
    mean = sum(amounts) / len(amounts) if amounts else 0.0
    squares = sum((amount - mean) ** 2 for amount in amounts)
    deviation = math.sqrt(squares / len(amounts)) if amounts else 0.0
    minutes = (now - float(last["time"])) / 60 if last else -1.0
    kilometres = _kilometres(payment, last)
    velocity = kilometres / max(minutes / 60, 1 / 12) if last else 0.0
    first_day = int(now // _DAY) - 30
    count, total = (_since(days, kind, first_day) for kind in "na")
    values = (
        *(payment.amount, math.log1p(payment.amount), payment.event_time.hour, weekday),
        *(weekday >= 5, payment.payment_method == "card", payment.latitude is not None),
        *(sum(age <= span for age, _ in rows) for span in (_HOUR, _DAY, 7 * _DAY, _MONTH)),
        *(sum(amount for age, amount in rows if age <= s) for s in (_HOUR, _DAY, 7 * _DAY)),
        *(mean, deviation, (payment.amount - mean) / max(deviation, 1.0) if amounts else 0.0),
        *(minutes, new_merchant, new_device, new_method),
        *(count, total / count if count else 0.0, _rate(shop)),
        *(users, _rate(device), float(frauds or 0)),
        *(kilometres, velocity, velocity > _IMPOSSIBLE_KMH),
    )
    return dict(zip(FEATURES, map(float, values), strict=True))


def _since(days: dict[str, str], kind: str, first: int) -> float:
    """A merchant's sum over the days from `first` on."""
    return sum(
        float(number) for name, number in days.items() if name[0] == kind and int(name[1:]) >= first
    )


def _rate(labels: dict[str, str]) -> float:
    """The smoothed share of frauds."""
    return (float(labels.get("fraud", 0)) + 1) / (float(labels.get("count", 0)) + 100)


def _kilometres(payment: Payment, last: dict[str, str]) -> float:
    """The way from the last payment, by haversine; 0 where a place is missing."""
    if payment.latitude is None or payment.longitude is None or not last or not last["lat"]:
        return 0.0
    places = (payment.latitude, payment.longitude, float(last["lat"]), float(last["lon"]))
    lat, lon, last_lat, last_lon = map(math.radians, places)
    half = math.sin((lat - last_lat) / 2) ** 2
    half += math.cos(lat) * math.cos(last_lat) * math.sin((lon - last_lon) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(half))


class Model:
    """500 trees of depth 6 and a 256-128-64 network, averaged.

    They are fitted on drawn rows: what a score costs depends on the sizes alone.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        rows = random.lognormal(size=(_TRAINED_ROWS, len(FEATURES))).astype(np.float32)
        weights = random.normal(size=len(FEATURES))
        odds = np.log(rows) @ weights + random.normal(size=len(rows))
        labels = (odds > np.quantile(odds, 1 - _FRAUD_SHARE)).astype(np.float32)
        settings = {"max_depth": 6, "eta": 0.05, "subsample": 0.8, "colsample_bytree": 0.8}
        options = {"objective": "binary:logistic", "nthread": 1, "tree_method": "hist"}
        data = xgboost.DMatrix(rows, labels)
        self._trees = xgboost.train({**settings, **options}, data, num_boost_round=_TREES)
        sizes, layers = (len(FEATURES), 256, 128, 64), list[torch.nn.Module]()
        for width, out in pairwise(sizes):
            norm = torch.nn.BatchNorm1d(out)
            layers += [torch.nn.Linear(width, out), norm, torch.nn.ReLU(), torch.nn.Dropout(0.3)]
        self._network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 1))
        self._fit(torch.from_numpy(rows), torch.from_numpy(labels))

    def score(self, features: dict[str, float]) -> float:
        """The probability of fraud."""
        row: Matrix = np.array([[*features.values()]], dtype=np.float32)
        trees = float(self._trees.inplace_predict(row)[0])
        with torch.inference_mode():
            network = float(torch.sigmoid(self._network(torch.from_numpy(row).log1p()))[0, 0])
        return (trees + network) / 2

    def _fit(self, rows: torch.Tensor, labels: torch.Tensor) -> None:
        optimiser = torch.optim.Adam(self._network.parameters(), lr=1e-3)
        loss_of = torch.nn.BCEWithLogitsLoss()
        for batch in torch.arange(len(rows)).split(256):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            loss_of(self._network(rows[batch].log1p())[:, 0], labels[batch]).backward()
            optimiser.step()
        self._network.eval()


def new_peer(store: str, log: Path) -> FastAPI:
    """The application.

    Args:
        store: redis://...
        log: file that gets one line for each payment.
    """
    app = FastAPI(title="peer")
    client = redis.asyncio.Redis.from_url(store, decode_responses=True)
    history, model, logger = History(client), Model(), _logger(log)
    token = os.environ[TOKEN_VARIABLE]

    async def authenticate(key: Annotated[HTTPAuthorizationCredentials, Depends(_BEARER)]) -> None:
        if not hmac.compare_digest(key.credentials, token):
            raise HTTPException(401, "invalid API key")

    async def record(answer: ScoreResponse, features: dict[str, float]) -> None:
        entry: dict[Any, Any] = {
            "answer": answer.model_dump_json(),
            "features": json.dumps(features),
        }
        await client.xadd("decisions", entry, maxlen=100_000)

    @app.get("/fraud/readyz")
    async def readyz() -> dict[str, str]:
        await client.ping()
        return {"status": "ready"}

    @app.post("/fraud/score_transaction", dependencies=[Depends(authenticate)])
    async def score_transaction(payment: Payment, after: BackgroundTasks) -> ScoreResponse:
        start = time.perf_counter()
        features = await history.features(payment)
        rule = next((rule.id for rule in RULES if rule.applies(features)), None)
        score = model.score(features)
        answer = _answer(payment, rule, score, start)
        logger.info("%s", json.dumps({"decision": answer.decision, "by": answer.method}))
        after.add_task(record, answer, features)
        return answer

    return app


def _answer(payment: Payment, rule: str | None, score: float, start: float) -> ScoreResponse:
    decision = "APPROVE"
    if rule is not None or score >= _DECLINED:
        decision = "DECLINE"
    elif score >= _REVIEWED:
        decision = "REVIEW"
    return ScoreResponse(
        transaction_id=payment.transaction_id,
        decision=decision,
        fraud_score=score,
        reason=rule or "score of the models",
        method="model" if rule is None else "rule",
        rule_id=rule,
        latency_ms=(time.perf_counter() - start) * 1000,
    )


def _logger(file: Path) -> logging.Logger:
    logger = logging.getLogger("peer")
    logger.addHandler(logging.FileHandler(file))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


def new_server(store: str, log: Path, port: int) -> uvicorn.Server:
    """The application under uvicorn, without a log of accesses."""
    app = new_peer(store, log)
    return uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False))
