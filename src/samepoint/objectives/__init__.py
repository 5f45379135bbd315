"""What the methods minimise. An objective takes descriptors and returns named numbers; it knows no model,
no data and no logger. Under the name `loss` is what is minimised; the other entries are for the log."""

from samepoint.objectives.contrastive import NonMatches, pixelwise_contrastive
from samepoint.objectives.cycle import CycleWeights, cycle_correspondence
from samepoint.objectives.distributional import expectation_error, gaussian_divergence
from samepoint.objectives.sampled import nt_xent, triplet
from samepoint.objectives.warp_consistency import probabilistic_warp_composition, warp_composition

__all__ = [
    "CycleWeights",
    "NonMatches",
    "cycle_correspondence",
    "expectation_error",
    "gaussian_divergence",
    "nt_xent",
    "pixelwise_contrastive",
    "probabilistic_warp_composition",
    "triplet",
    "warp_composition",
]
