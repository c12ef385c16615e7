"""Where in an image the offending part is: one map for the ResNet, one for the ViT."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.moderation.explanation.text import place_of
from lib.moderation.model.image import ImageModel, vit_of
from lib.moderation.model.outputs import Floats, Pixels
from lib.moderation.model.pixels import normalised, square
from lib.moderation.model.serialization import config_of


def explain_image(model: ImageModel, image: Pixels, policy: str) -> Floats:
    """How much each pixel that the model sees speaks for a violation (S, S), within 0 and 1.

    The mean of Grad-CAM of the ResNet and of gradient-weighted attention rollout of the ViT,
    weighted by how much each encoder adds to the log-odds.

    Args:
        model: of images.
        image: RGB (H, W, 3), which the model sees squeezed to a square.
        policy: one of the model's.

    Raises:
        ModelError: the model has no such policy, or the image is of another form.
    """
    policy_index = place_of(model.policies, policy)
    inputs = normalised(square(image, model.size.side)[None], model.runtime.device)
    of_resnet, weight_resnet = grad_cam(model, inputs, policy_index)
    of_vit, weight_vit = attention_rollout(model, inputs, policy_index)
    resnet = _scaled(_resized(of_resnet, model.size.side))
    vit = _scaled(_resized(of_vit, model.size.side))
    total = max(weight_resnet, 0.0) + max(weight_vit, 0.0)
    share = max(weight_resnet, 0.0) / total if total > 0 else 0.5
    return _scaled(share * resnet + (1.0 - share) * vit)


def grad_cam(model: ImageModel, inputs: Tensor, policy_index: int) -> tuple[Tensor, float]:
    """Map (1, 1, h, w) of the ResNet's last features, and what the ResNet adds to the log-odds.

    Selvaraju et al., Grad-CAM (2017).
    """
    net = model.net.eval()
    channels = int(net.norm.num_features)
    weights = net.head.weight[policy_index, :channels]
    with torch.enable_grad():
        features = net.resnet(inputs)
        features.retain_grad()
        added = (net.norm(features.mean(dim=(2, 3))) @ weights).sum()
        (gradient,) = torch.autograd.grad(added, features)
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True)
    return heat.clamp(min=0).detach(), float(added.detach())


def attention_rollout(model: ImageModel, inputs: Tensor, policy_index: int) -> tuple[Tensor, float]:
    """Map (1, 1, h, w) of patches that the ViT's answer comes from, and what the ViT adds.

    Attention weighted by its gradient, averaged over heads and rolled out over layers: Chefer, Gur
    and Wolf, Generic attention-model explainability (2021).
    """
    net = model.net.eval()
    vit = _eager(net.vit)
    weights = net.head.weight[policy_index, int(net.norm.num_features) :]
    with torch.enable_grad():
        output = vit(pixel_values=inputs, output_attentions=True)
        added = (output.last_hidden_state[:, 0] @ weights).sum()
        gradients = torch.autograd.grad(added, output.attentions)
    count = output.attentions[0].shape[-1]
    rolled = torch.eye(count, device=inputs.device)
    for attention, gradient in zip(output.attentions, gradients, strict=True):
        relevant = (attention * gradient).clamp(min=0).mean(dim=1)[0]
        rolled = rolled + relevant @ rolled
    patches = rolled[0, 1:].detach()
    rows = round(len(patches) ** 0.5)
    return patches.reshape(1, 1, rows, rows), float(added.detach())


def _eager(vit: nn.Module) -> nn.Module:
    """A copy whose attention can be looked into; the fast kernel answers none."""
    copy = vit_of(config_of(vit), attention="eager")
    copy.load_state_dict(vit.state_dict())
    device = next(vit.parameters()).device
    return copy.to(device).eval()


def _resized(values: Tensor, side: int) -> Floats:
    wide = nn.functional.interpolate(
        values.double(), size=(side, side), mode="bilinear", align_corners=False
    )
    return np.asarray(wide[0, 0].cpu().numpy())


def _scaled(values: Floats) -> Floats:
    """Within 0 and 1; all zeros stay so."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-12:
        return np.zeros_like(values)
    return np.asarray((values - low) / (high - low))
