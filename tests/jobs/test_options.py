"""Options of jobs that a YAML file gives in part."""

from jobs.framework.options import declared_options
from jobs.maintenance.training_config import TrainConfig
from lib.maintenance.model.settings import ModelSettings


def test_what_a_file_leaves_out_of_nested_options_has_the_job_s_own_default() -> None:
    text = "output: model\nmodel: {network: {epochs: 3}}\n"
    network, usual = declared_options(TrainConfig, text, "--config").model.network, ModelSettings()
    assert network.epochs == 3
    assert (network.intervals, network.members) == (usual.network.intervals, usual.network.members)
    assert network.intervals != type(network)().intervals
