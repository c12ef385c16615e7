"""The churn application as one object: everything behind its HTTP face."""

import math
from pathlib import Path

import numpy as np

from lib.churn.features import churn_features
from lib.churn.health import HealthReference
from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.interventions.daily import Economics
from lib.churn.model import SYSTEM
from lib.churn.model.model import ChurnModel, base_in, load_model
from lib.churn.review import CustomerReview
from lib.churn.rules import ACTIONS, RULES_FILE, rule_fields
from lib.churn.target import Target
from lib.churn.vocabulary import CustomerVocabulary, parse_vocabulary
from lib.feature.attribute_codes import attribute_texts
from lib.registry import ArtifactError, Registry
from serve.churn.active_playbooks import ActivePlaybooks
from serve.churn.candidates import CandidateSource
from serve.churn.decision import CustomerScorer
from serve.churn.health_history import HealthHistory
from serve.churn.ingestion import EventIngestor
from serve.churn.interventions import InterventionService
from serve.churn.planner import solve_plan
from serve.churn.profiles import ProfileRepository
from serve.churn.settings import ChurnSettings, ChurnUserConfig
from serve.framework.model_slot import ModelSlot, RestartRequiredError
from serve.framework.offload import LocalSolver, Solver
from serve.framework.reloadable import ActiveRules
from serve.framework.service import RiskService, ServiceStart
from serve.framework.settings import UserConfig
from serve.framework.trial import ChallengerKind

_DAY_SECONDS = 86_400


class ChurnService(RiskService):
    """Profiles, rules, model, health, interventions, records.

    Args:
        start: see `RiskService`.
        solver: where days are solved; None solves them here.

    Raises:
        ChurnError, RegistryError, ArtifactError: no base is named, and no model says which.
    """

    profiles: ProfileRepository
    model_slot: ModelSlot[ChurnModel]

    def __init__(self, start: ServiceStart[ChurnSettings], solver: Solver | None = None) -> None:
        self.args = args = start.args
        self.base = _base(args)
        names = churn_features(self.base).names
        texts = tuple(attribute_texts(self.base.attributes, {}))
        fields = rule_fields(names, texts)
        active_rules = ActiveRules(fields, RULES_FILE, ACTIONS, {"customer_id"})
        super().__init__(SYSTEM, start, active_rules)
        self.active_playbooks = ActivePlaybooks(names)
        self.model_slot = ModelSlot(SYSTEM, args.registry, args.models, self._load)
        timeout = args.store_timeout_ms / 1000.0
        store = self.new_profile_store(args.profile_store, timeout)
        self.profiles = ProfileRepository(
            self.base, store, timeout, args.receipt_days * _DAY_SECONDS
        )
        self.interventions = InterventionService(
            self.parts,
            self.active_playbooks,
            solver or LocalSolver(solve_plan),
            InterventionRepository(args.records),
            vars(Economics(args.margin, args.months)),
            args.holdout_name,
            self._window_days,
            self._reference,
        )
        repository, plans = HealthRepository(args.records), self.interventions.repository
        self.health = HealthHistory(self.parts, repository, plans)
        self.decider = CustomerScorer(self.parts, self.profiles, self.model_slot, self.health)
        self.considered = CandidateSource(self.decider, args.scores, self.parts.clock.now)
        self.ingestor = EventIngestor(self.parts, self.profiles, self.interventions.outcomes)
        self.rescorer = self.new_rescorer(self.decider.rescore)
        self.review = self.new_review(CustomerReview(economics=Economics(args.margin, args.months)))
        self.readiness.add("playbooks", self.active_playbooks.check)

    def challenger_kind(self) -> ChallengerKind:
        """See `RiskService`; nobody is blocked, and who is contacted takes the team's hours."""
        options = {"base": self.base.to_yaml()}
        reviewing = ("CONTACT", "ACT_NOW")
        return ChallengerKind("lib.churn.model.challenger:load", options, (), reviewing)

    async def close(self) -> None:
        """See `RiskService`."""
        self.health.repository.close()
        self.interventions.close()
        await super().close()

    async def apply_user_config(self, live: UserConfig) -> None:
        """See `RiskService`."""
        if isinstance(live, ChurnUserConfig):
            loaded = self.active_playbooks.load(live.playbooks, live.interventions)
            self.record_reload("playbooks", loaded, self.active_playbooks.error)

    def _window_days(self) -> int:
        target = Target() if self.model_slot.current is None else self.model_slot.current.target
        return target.lead_days + target.window_days

    def _reference(self) -> HealthReference | None:
        return None if self.model_slot.current is None else self.model_slot.current.reference

    def _load(self, directory: Path) -> ChurnModel:
        """A model of this base that can answer, tried out."""
        if differs := base_in(directory).extension_difference(self.base):
            # a base that is named stays the same, however often the service starts
            fault = RestartRequiredError if self.args.base is None else ArtifactError
            raise fault(
                f"{directory.name} reads other attributes of customers, or another feature file, "
                f"than the model that this service started with: {differs}; start the service "
                "again with it, then send the rows of customers again"
            )
        model = load_model(directory, self.base)
        width = len(model.names)
        for row in (np.zeros((1, width)), np.full((1, width), np.nan)):
            probability = float(model.probabilities(row)[0])
            if not (math.isfinite(probability) and 0.0 <= probability <= 1.0):
                raise ValueError(f"the model answers {probability}; expected a probability")
            model.contributions(row)
        return model


def _base(args: ChurnSettings) -> CustomerVocabulary:
    """The base that is named, or that of the model that the application starts with."""
    if args.base is not None:
        return parse_vocabulary(args.base.read_text(encoding="utf-8"), str(args.base))
    registry = Registry(args.registry)
    version = registry.resolve(SYSTEM, args.model)
    return base_in(registry.fetch(SYSTEM, version, args.models))
