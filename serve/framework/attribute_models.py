"""Attributes in requests: columns of a data set that a model was trained with, typed."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, Strict, StrictBool, create_model

from lib.contract.declaration import LONGEST_ID_BYTES
from lib.contract.fields import identifier_of
from lib.feature.attributes import Attribute
from serve.framework import response_fields as fields

Body = TypeVar("Body", bound=BaseModel)


def attributes_model(name: str, subject: str, attributes: Sequence[Attribute]) -> type[BaseModel]:
    """The model of attributes, each optional.

    Args:
        name: of the model.
        subject: whose attributes they are.
        attributes: that the model in this service reads, or that rules may read.
    """
    attribute_fields: dict[str, Any] = {each.name: _attribute_field(each) for each in attributes}
    model: type[BaseModel] = create_model(
        name,
        __base__=fields.RequestBody,
        __doc__=f"Attributes of the {subject} that the model was trained with.",
        **attribute_fields,
    )
    return model


def with_attributes(
    base: type[Body], subject: str, attributes: Sequence[Attribute], description: str
) -> type[Body]:
    """A model of a body that has `attributes`, under the name of the one without.

    Args:
        base: the body without attributes.
        subject: whose attributes they are, e.g. `machine`.
        attributes: none leave the body as it is.
        description: of the field.
    """
    if not attributes:
        return base
    kind = attributes_model(f"{subject.capitalize()}Attributes", subject, attributes) | None
    field: dict[str, Any] = {"attributes": (kind, Field(default=None, description=description))}
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **field)


def _attribute_field(attribute: Attribute) -> tuple[Any, Any]:
    kind: Any = StrictBool
    if attribute.type == "category":
        kind = identifier_of(LONGEST_ID_BYTES)
    elif attribute.type == "number":
        bounds = Field(ge=attribute.low, le=attribute.high)
        kind = Annotated[FiniteFloat, Strict(), bounds]
    unit = f"; {attribute.unit}" if attribute.unit else ""
    words = attribute.words or attribute.name.replace("_", " ")
    description = f"{words[:1].upper()}{words[1:]}{unit}; null if unknown."
    return kind | None, Field(default=None, description=description)
