"""The image's start-up hook, with stand-ins for both frameworks, in the Python that is here. With the real ones it is in
deploy/image/ml/smoke/budget.py."""
import os
import subprocess
import sys
import textwrap
import unittest

from place import DEPLOY, folder

HOOK = DEPLOY / "image/ml/root/usr/local/lib/clusteria"
START = DEPLOY / "image/ml/root/etc/python3.11/sitecustomize.py"
GIB = 1 << 30

TORCH = """
    # torch.cuda as the hook knows it: what is queued is done when CUDA starts.
    queued, limits, initialized = [], [], False
    def _lazy_call(call): call() if initialized else queued.append(call)
    def device_count(): return 2
    def get_device_properties(device): return type("Properties", (), {"total_memory": [8 << 30, 1 << 30][device]})
    def set_per_process_memory_fraction(fraction, device): limits.append((fraction, device))
    def start():
        global initialized
        initialized = True
        for call in queued: call()
"""
CONTEXT = """
    # tensorflow.python.eager.context as the hook knows it.
    import collections
    LogicalDeviceConfiguration = collections.namedtuple("LogicalDeviceConfiguration", ["memory_limit"])
    class Context:
        def __init__(self): self._initialized, self.divided, self.started_with = False, {}, None
        def list_physical_devices(self, kind): assert kind == "GPU"; return ["gpu0", "gpu1"]
        def get_logical_device_configuration(self, device): return self.divided.get(device)
        def set_logical_device_configuration(self, device, parts): self.divided[device] = parts
        def ensure_initialized(self):
            if not self._initialized: self.started_with, self._initialized = dict(self.divided), True
"""


class GpuMemory(unittest.TestCase):
    def run_python(self, code, budget, torch=TORCH, context=CONTEXT):
        """What a new Python prints that starts with the hook, in which both frameworks are stand-ins."""
        with folder() as place:
            start = START.read_text().replace("/usr/local/lib/clusteria", str(HOOK))
            (place / "sitecustomize.py").write_text(start)
            for name, text in {"torch/__init__": "from . import cuda", "torch/cuda/__init__": torch, "tensorflow/__init__":
                               "from .python.eager import context", "tensorflow/python/__init__": "",
                               "tensorflow/python/eager/__init__": "", "tensorflow/python/eager/context": context}.items():
                path = place / f"{name}.py"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(textwrap.dedent(text))
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
            if budget is not None:
                environment["CLUSTERIA_GPU_MEMORY"] = budget
            done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.strip(), done.stderr.strip()

    def test_torch_is_limited_when_cuda_starts_and_not_before(self):
        said, _ = self.run_python("""
            import torch
            print(torch.cuda.limits, end=" ")
            torch.cuda.start()
            print(torch.cuda.limits)
        """, str(2 * GIB))
        self.assertEqual(said, "[] [(0.25, 0)]")

    def test_tensorflow_is_limited_when_it_takes_its_gpus(self):
        said, _ = self.run_python("""
            import tensorflow as tf
            context = tf.context.Context()
            print(context.divided, end=" ")
            context.ensure_initialized()
            print({gpu: parts[0].memory_limit for gpu, parts in context.started_with.items()})
        """, str(2 * GIB))
        self.assertEqual(said, "{} {'gpu0': 2048, 'gpu1': 2048}")

    def test_a_program_that_limits_itself_keeps_its_limit(self):
        said, _ = self.run_python("""
            import tensorflow as tf
            context = tf.context.Context()
            context.set_logical_device_configuration("gpu1", [tf.context.LogicalDeviceConfiguration(100)])
            context.ensure_initialized()
            print({gpu: parts[0].memory_limit for gpu, parts in context.started_with.items()})
        """, str(2 * GIB))
        self.assertEqual(said, "{'gpu1': 100, 'gpu0': 2048}")

    def test_without_a_budget_nothing_is_there(self):
        look = "import sys; print('clusteria_gpu_memory' in sys.modules, len(sys.meta_path))"
        without, _ = self.run_python(look, None)
        self.assertEqual(without.split()[0], "False")
        empty, _ = self.run_python(look, "")
        self.assertEqual(empty, without)

    def test_the_whole_cpp_library_is_there_before_tensorflow_and_not_without_it(self):
        said, _ = self.run_python("""
            def loaded(): return "libstdc++.so.6" in open("/proc/self/maps").read()
            import torch
            print(loaded(), end=" ")
            import tensorflow
            print(loaded())
        """, None)
        self.assertEqual(said, "False True")

    def test_once_both_are_loaded_nothing_is_left_of_it(self):
        said, _ = self.run_python("""
            import sys, tensorflow, torch
            print(any(type(finder).__module__ == "clusteria_gpu_memory" for finder in sys.meta_path))
            print(type(torch.cuda.__loader__).__name__, torch.cuda.__spec__.loader is torch.cuda.__loader__)
        """, str(GIB))
        self.assertEqual(said.split(), ["False", "SourceFileLoader", "True"])

    def test_nonsense_in_the_variable_stops_no_program(self):
        for budget in ("8GiB", "-1", "0", "1e9"):
            said, told = self.run_python("import torch; print('goes on')", budget)
            self.assertEqual(said, "goes on")
            self.assertIn("GPU memory is not limited", told)

    def test_another_versions_inside_stops_no_program(self):
        said, told = self.run_python("import torch, tensorflow; print('goes on')", str(GIB), torch="", context="")
        self.assertEqual(said, "goes on")
        self.assertIn("not limited in torch.cuda", told)
        self.assertIn("not limited in tensorflow.python.eager.context", told)

    def test_a_framework_that_is_not_there_is_missed_as_ever(self):
        said, _ = self.run_python("""
            import importlib.util, sys
            sys.path.remove(next(p for p in sys.path if "clusteria-deploy" in p))
            try: import torch.cuda
            except ModuleNotFoundError as error: print(error)
        """, str(GIB))
        self.assertIn("No module named 'torch'", said)


if __name__ == "__main__":
    unittest.main()
