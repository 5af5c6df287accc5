"""What is said about one step of a training?"""

from provq_protein.runs.loop import Event
from provq_vision.training.config import ImageTrainingConfig
from provq_vision.training.step import ImageGradients


def step_event(
    config: ImageTrainingConfig,
    found: ImageGradients,
    *,
    step: int,
    rate: float,
    utilization: float | None,
) -> Event:
    """
    Return the numbers of a step.

    Parameters
    ----------
    config : ImageTrainingConfig
        The run.
    found : ImageGradients
        Of the batch.
    step : int
        Optimizer steps done before.
    rate : float
        Learning rate.
    utilization : float, optional
        Share of the codes that the batch used.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "step": step,
        "kind": "train",
        "stage": config.schedule.stage(step),
        "alpha": found.quantized.alpha,
        "omega": found.quantized.omega,
        "learning_rate": rate,
        "loss": found.loss,
        **{f"loss_{name}": value for name, value in found.terms.items()},
        "codebook_loss": found.codebook_loss,
        "commitment_loss": found.commitment_loss,
        "discriminator_loss": found.judgment,
        "gradient_norm": found.norm,
        "discriminator_norm": found.judgment_norm,
        "latent_norm": found.latent_norm,
        "batch_utilization": utilization,
        "images": config.data.batch_size,
    }
