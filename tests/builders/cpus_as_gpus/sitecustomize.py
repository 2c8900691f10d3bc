"""Python imports this at its start: in a launched process accelerate then takes CPUs for GPUs.

PyTorch shards a model over CPUs as well; accelerate has FSDP for GPUs only, and asks for nothing else.
"""

import os

if "RANK" in os.environ:
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    initialise = PartialState.__init__

    def as_gpus(self, cpu=False, **options):
        initialise(self, cpu, **options)
        if self.distributed_type is DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = as_gpus
