"""Keeps a process within its slot's budget of GPU memory, in Torch and in TensorFlow, without a word in its own code.

The gateway sets CLUSTERIA_GPU_MEMORY, in bytes, where the configuration gives the slot a `gpu_memory`; sitecustomize.py
calls `install`. That costs a few microseconds: the frameworks' own modules are waited for, and even then nothing
touches a GPU before the program itself does (a GPU that is touched too early cannot be used after a fork).

It is manners, not a wall: each process has the budget for itself, the CUDA context (a few hundred MB) is beside it, and
a program may undo it. Who is over the budget is seen by the gateway.
"""
import importlib.abc
import importlib.machinery
import importlib.util
import sys

MEBIBYTE = 1 << 20


def install(text):
    """Waits for the frameworks; `text` is the environment's."""
    budget = parse(text)
    sys.meta_path.insert(0, Waiting({
        "torch.cuda": lambda module: limit_torch(module, budget),
        "tensorflow.python.eager.context": lambda module: limit_tensorflow(module, budget),
    }))


def parse(text):
    budget = int(text)
    if budget < MEBIBYTE:
        raise ValueError(f"CLUSTERIA_GPU_MEMORY={text} is less than one MiB")
    return budget


class Waiting(importlib.abc.MetaPathFinder):
    """Finds the modules that are waited for as Python's path finder does, and has them prepared once they are there."""

    def __init__(self, waited_for):
        self.waited_for = waited_for

    def find_spec(self, name, path=None, target=None):
        prepare = self.waited_for.pop(name, None)
        if prepare is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Prepared(spec.loader, prepare)
        if not self.waited_for and self in sys.meta_path:
            sys.meta_path.remove(self)
        return spec


class Prepared(importlib.abc.Loader):
    """The module's own loader, and a step after it."""

    def __init__(self, loader, prepare):
        self.loader, self.prepare = loader, prepare

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        # From here on the module's loader is its own again, for whoever asks for its source or its files.
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        try:
            self.prepare(module)
        except Exception as error:  # Another version's inside: better no limit than no framework.
            tell(f"GPU memory is not limited in {module.__name__}: {error}")

    def __getattr__(self, name):
        return getattr(self.loader, name)


def limit_torch(cuda, budget):
    """Torch has a list of what to do once CUDA is up: every GPU that is seen gets its share of its own memory."""

    def apply():
        for device in range(cuda.device_count()):
            total = cuda.get_device_properties(device).total_memory
            if budget < total:
                cuda.set_per_process_memory_fraction(budget / total, device)

    cuda._lazy_call(apply)


def limit_tensorflow(context, budget):
    """Just before TensorFlow takes its GPUs, each one that the program has not divided itself becomes one logical GPU.

    Not at the import: after that TensorFlow refuses `set_memory_growth`, which people are taught to call.
    """
    original = context.Context.ensure_initialized

    def ensure_initialized(self):
        if not self._initialized:
            try:
                divide(self, context, budget)
            except Exception as error:  # As above.
                tell(f"GPU memory is not limited in TensorFlow: {error}")
        return original(self)

    context.Context.ensure_initialized = ensure_initialized


def divide(tensorflow, context, budget):
    for device in tensorflow.list_physical_devices("GPU"):
        if tensorflow.get_logical_device_configuration(device) is None:
            limit = context.LogicalDeviceConfiguration(memory_limit=budget // MEBIBYTE)
            tensorflow.set_logical_device_configuration(device, [limit])


def tell(text):
    print(f"clusteria: {text}", file=sys.stderr)
