"""Which policies are about how people are treated, by their ids."""

HATE_POLICIES = frozenset(
    {
        "hate",
        "hateful",
        "hate_speech",
        "hatespeech",
        "hate-speech",
        "identity_hate",
        "identity_attack",
        "identity_attacks",
        "group_hate",
        "discrimination",
    }
)
"""Names of policies that hateful contexts violate and all others do not."""
TREATMENT_POLICIES = HATE_POLICIES | frozenset(
    {
        "harassment",
        "offensive",
        "offensive_language",
        "toxic",
        "toxicity",
        "severe_toxic",
        "severe_toxicity",
        "insult",
        "insults",
        "abuse",
        "abusive",
        "threat",
        "threats",
        "bullying",
        "cyberbullying",
    }
)
"""Names of policies about how people are treated, which harmless contexts do not violate."""
