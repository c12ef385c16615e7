"""Which features are computed of customers: the options of jobs that compute them."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.churn.sources import Sources
from jobs.framework.feature_files import read_feature_file
from jobs.framework.paths import LocalInput
from lib.churn.contracts import CUSTOMERS
from lib.churn.features import added_features
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import ContractError
from lib.feature.attributes import attributes_of
from lib.feature.feature_file import FeatureFileError


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(Sources):
    """Features on top of the packaged ones."""

    feature_file: LocalInput | None = None
    """YAML file of features over events and attributes, on top of the packaged ones; reference:
    lib/feature/README.md, names: lib/churn/README.md"""

    def check(self) -> None:
        """See `JobOptions`."""
        super().check()
        self.check_feature_file()

    def check_feature_file(self) -> None:
        """Refuse a feature file that cannot work; reads no rows.

        Raises:
            ContractError: the first fault, with its line.
        """
        if self.feature_file is None:
            return
        text, origin = read_feature_file(self.feature_file)
        attributes = attributes_of(self.mapping(CUSTOMERS).contract)
        try:
            added_features(CustomerVocabulary(attributes=attributes, feature_file=text), origin)
        except FeatureFileError as error:
            raise ContractError(str(error)) from error

    def feature_text(self) -> str:
        """The feature file; empty without one."""
        return "" if self.feature_file is None else read_feature_file(self.feature_file)[0]
