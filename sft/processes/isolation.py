"""Variables that a child process of this program does not get, because they would decide what it computes.

A launcher, a notebook, a debugger or an experiment of last week may have left them. They would not be in any key, so a
stage would give other numbers under the same one, wait for processes that nobody started, or crash. The lists are
taken from the sources of torch, accelerate, transformers, trl, peft, datasets, and from launchers; what only tells
places, devices, access, proxies, verbosity or where to report stays, and so does `OPENBLAS_CORETYPE`, which an
administrator sets where OpenBLAS mistakes the processor.
"""

from collections.abc import Mapping

LAUNCHERS = (
    # torchrun, accelerate launch, and the ranks that accelerate takes from MPI, PMI and SageMaker
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "NPROC", "NNODES", "FORK_LAUNCHED"),
    *("GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_*", "MASTER_*", "TORCHELASTIC_*", "TORCHCOMM_*", "SMDATAPARALLEL_*"),
    *("PMI_*", "PMIX_*", "OMPI_*", "MPI_*", "MPIR_*", "MPIEXEC_*", "MV2_*", "I_MPI_*", "HYDI_*", "PALS_*", "PRTE_*"),
    *("JSM_NAMESPACE_*", "FLUX_TASK_*", "HOROVOD_*", "SM_*", "KUBEFLOW_*"),
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS*", "SLURM_NPROCS", "SLURM_TASKS_PER_NODE"),
    *("SLURM_STEP_*", "SLURM_TASK_PID", "SLURM_GTIDS", "SLURM_MPI_TYPE"),
    # how they bind threads: of two jobs side by side, both would be bound to the same CPUs
    *("OMP_*", "KMP_*", "GOMP_*"),
)
NUMBERS = (
    *("ACCELERATE_*", "FSDP_*", "DEEPSPEED_*", "MEGATRON_LM_*", "PARALLELISM_CONFIG_*", "XLA_*", "PJRT_*", "TPU_*"),
    *("TRANSFORMERS_*", "TRL_*", "PEFT_*", "USE_TF", "USE_TORCH", "USE_JAX", "USE_FLAX", "USE_TORCH_XLA"),
    *("USE_HUB_KERNELS", "TRUST_REMOTE_CODE", "HF_DATASETS_TRUST_REMOTE_CODE", "NCCL_GRAPH_MIXING_SUPPORT"),
    *("TORCH_*", "PYTORCH_*", "TORCHDYNAMO_*", "TORCHINDUCTOR_*", "TRITON_INTERPRET", "FLASH_ATTENTION_*"),
    *("ATEN_CPU_CAPABILITY", "MKL_*", "DNNL_*", "ONEDNN_*", "NVIDIA_TF32_OVERRIDE"),
    *("CUBLAS_WORKSPACE_CONFIG", "CUDNN_DETERMINISTIC"),
)
INTERPRETERS = (
    # warnings turned into errors, asserts left out, a prompt at the end; charts drawn into a notebook
    *("PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONDEVMODE"),
    *("MPLBACKEND", "JPY_*", "PYDEVD_*"),
)
KEPT = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"),
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),  # scikit-learn sets them where it is imported
    *("MKL_NUM_THREADS", "MKL_THREADING_LAYER", "MKL_SERVICE_FORCE_INTEL"),
    *("TRANSFORMERS_CACHE", "TRANSFORMERS_OFFLINE", "TRANSFORMERS_VERBOSITY", "TRANSFORMERS_NO_ADVISORY_WARNINGS"),
    *("TORCH_HOME", "TORCH_EXTENSIONS_DIR", "TORCH_CUDA_ARCH_LIST", "TORCH_LOGS", "TORCH_SHOW_CPP_STACKTRACES"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_KERNEL_CACHE_PATH", "PYTORCH_NVML_BASED_CUDA_CHECK"),
    *("PYTORCH_NO_CUDA_MEMORY_CACHING", "TORCHINDUCTOR_CACHE_DIR"),
)
"""What one of the patterns covers, and that changes no number; threads are decided by the lease in any case."""


def isolated(base: Mapping[str, str]) -> dict[str, str]:
    """The variables of `base` that a child process may have."""
    return {name: value for name, value in base.items() if not _is_left_out(name)}


def left_out(base: Mapping[str, str]) -> list[str]:
    """The names of those that it does not get, sorted."""
    return sorted(name for name in base if _is_left_out(name))


def _is_left_out(name: str) -> bool:
    return name not in KEPT and (name in _NAMES or name.startswith(_BEGINNINGS))


_ALL = (*LAUNCHERS, *NUMBERS, *INTERPRETERS)
_NAMES = frozenset(name for name in _ALL if not name.endswith("*"))
_BEGINNINGS = tuple(name.removesuffix("*") for name in _ALL if name.endswith("*"))
