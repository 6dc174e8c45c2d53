"""The answers' JSON as types: they are the manual at /openapi.json and the check of what we send."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class PhotoVerdict(_Document):
    """The answer to one photo."""

    photo: str = Field(description="Its name.")
    photo_hash: str = Field(description="SHA-256 of its bytes.")
    serial: str | None = Field(description="Serial number of the part.")
    verdict: str | None = Field(
        description='"pass", "reject", "review", a class name, "refused" for a photo that cannot be used; null for '
        "a regression. Whatever is not a pass is not a pass."
    )
    label: str | None = Field(description="The class that the rule chooses.")
    probs: dict[str, float] = Field(description="Probability by class.")
    score: float | None = Field(description="Probability of the positive class, or the predicted number.")
    novelty: float | None = Field(default=None, description="How unlike the training photos, 1 being usual.")
    conditions: dict[str, float] = Field(default={}, description="Light, blur, size and scale of the photo.")
    warnings: list[str] = Field(default=[], description="Which of them lie outside the model's envelope.")
    reasons: list[str] = Field(description="Why the verdict is not the plain arg-max, or why it was refused.")
    decode_ms: float = Field(description="Decoding, in a process of its own.")
    predict_ms: float = Field(description="Preparing and computing.")


class HeatMap(_Document):
    """Which places of a photo the answer rests on, on the picture that the network sees: prepared and framed."""

    method: str = Field(description="How it was made.")
    of: str = Field(description="What the places speak for: the class that is rejected, else the class of the answer.")
    unit: str = Field(description="Of the values.")
    passes: int = Field(description="How often the network was asked.")
    values: list[list[float]] = Field(description="What covering each of 7 x 7 places takes away, row by row.")
    png: str = Field(description="The picture with red where it speaks for it, PNG in base64.")


class Verdicts(_Document):
    """The answer to one request: all photos by one model."""

    schema_: int = Field(default=1, alias="schema")
    request_id: str = Field(description="Also in the header X-Request-Id, the log and the journal.")
    model: str = Field(description="Its name.")
    model_hash: str = Field(description="SHA-256 of the network that judged every photo of this answer.")
    photos: list[PhotoVerdict]
    total_ms: float = Field(description="From the body received to the verdicts in the journal.")
    heat_map: HeatMap | None = Field(default=None, description="Where `heat_map=true` asked for it.")
    heat_map_note: str | None = Field(default=None, description="Why there is none although it was asked for.")


class ErrorSentence(_Document):
    """What happened, and what to do."""

    type: str
    message: str
    hint: str


class Problem(_Document):
    """The answer to a request without verdict."""

    schema_: int = Field(default=1, alias="schema")
    error: ErrorSentence
    request_id: str


class Health(_Document):
    """The process answers."""

    alive: bool


class Readiness(_Document):
    """Whether verdicts can be given."""

    ready: bool
    problems: list[str]


class ModelFacts(_Document):
    """One bundle that is served."""

    name: str
    default: bool = Field(description="Asked when a request names none.")
    model_hash: str
    bundle_hash: str
    task: str
    classes: list[str]
    threshold: float | None
    engine: str = Field(description="What computes.")
    photos_per_call: int = Field(description="How many photos that wait go through the network together at most.")
    since: str = Field(description="When it was opened.")


class ModelList(_Document):
    """Every bundle that is served."""

    schema_: int = Field(default=1, alias="schema")
    models: list[ModelFacts]
