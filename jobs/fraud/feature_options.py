"""Which features are computed of payments: the options of jobs that compute them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.framework.attributes import attribute_fault, require_attributes
from jobs.framework.feature_files import read_feature_file
from jobs.framework.paths import InputPath, LocalInput
from jobs.fraud.sources import Sources
from jobs.model_source import model_directory
from lib.contract import Contract, ContractError
from lib.feature.attributes import AttributeFaultError, attributes_of
from lib.feature.feature_extension import FeatureExtension
from lib.feature.feature_file import FeatureFileError
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import TRANSACTIONS
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import verify_artifact


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(Sources):
    """Features on top of the packaged ones."""

    feature_file: LocalInput | None = None
    """YAML file of features over columns and attributes, on top of the packaged ones; reference:
    lib/feature/README.md"""
    features_of: InputPath | None = None
    """folder or URI of a model whose attributes, vocabularies and feature file are taken instead of
    those of the data: for rows that this model scores"""

    def check_features(self) -> None:
        """Refuse attributes and feature files that cannot work; reads no rows."""
        self.declared_features()

    def declared_features(self) -> PaymentFeatures:
        """The features as declared; attributes of a mapping file are not frozen yet.

        Raises:
            ContractError: a file cannot be meant, with its line, or the data lacks an attribute.
        """
        mapping = self.mapping(TRANSACTIONS)
        scale = AmountScale.of(mapping)
        if self.features_of is not None:
            return self._of_model(scale, mapping.contract)
        text, origin = "", "features.yaml"
        if self.feature_file is not None:
            text, origin = read_feature_file(self.feature_file)
        extension = FeatureExtension(attributes_of(mapping.contract), text, origin)
        try:
            return PaymentFeatures(scale, extension)
        except FeatureFileError as error:
            raise ContractError(str(error)) from error
        except AttributeFaultError as error:
            raise self.attribute_fault(error) from error

    def attribute_fault(self, fault: BaseException) -> ContractError:
        """The fault of an attribute with the line of the mapping file that declares it."""
        return attribute_fault(self.mapping_transactions, fault)

    def model_features(self) -> PaymentFeatures:
        """The features of the model that --features-of names."""
        with model_directory("fraud", str(self.features_of), None, "") as folder:
            return PaymentFeatures.of_artifact(verify_artifact(folder))

    def _of_model(self, scale: AmountScale, contract: Contract) -> PaymentFeatures:
        if self.feature_file is not None:
            raise ContractError("expected either --feature-file or --features-of, got both")
        features = replace(self.model_features(), scale=scale)
        require_attributes(features.attributes, contract)
        return features
