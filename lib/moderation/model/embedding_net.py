"""What the networks of all modalities share: embeddings, and a linear head over them."""

from collections.abc import Callable

from torch import Tensor, nn


class EmbeddingNet(nn.Module):
    """Embeds its inputs; a linear head that starts at zero answers from the embeddings."""

    embed: Callable[..., Tensor]

    def add_head(self, width: int, policies: int, dropout: float) -> None:
        """Add the last layers, of embeddings of `width` numbers."""
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, policies)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Log-odds (n, policies)."""
        logits: Tensor = self.head(self.dropout(self.embed(*inputs)))
        return logits
