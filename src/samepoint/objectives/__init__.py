"""What the methods minimise. An objective takes descriptors and returns named numbers; it knows no model,
no data and no logger. Under the name `loss` is what is minimised; the other entries are for the log."""

from samepoint.objectives.contrastive import NonMatches, pixelwise_contrastive
from samepoint.objectives.distributional import expectation_error, gaussian_divergence

__all__ = ["NonMatches", "expectation_error", "gaussian_divergence", "pixelwise_contrastive"]
