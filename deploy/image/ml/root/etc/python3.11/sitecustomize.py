# Run by every python3 of this image at its start, also in virtual environments.
import os
import sys


class BeforeTensorflow:
    """TensorFlow brings half of an older C++ library along and shows it to everybody: Torch, imported after it, would take
    its random numbers from there and abort ("random_device could not be read", pytorch/pytorch#101152). The whole one is
    shown first."""

    shown = False

    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow" and not self.shown:
            self.shown = True
            import ctypes

            try:
                ctypes.CDLL("libstdc++.so.6", ctypes.RTLD_GLOBAL)
            except OSError:
                pass  # Not here: then Torch has none either.
        return None


sys.meta_path.insert(0, BeforeTensorflow())

# The slot's budget of GPU memory. Nothing is loaded where there is none.
if os.environ.get("CLUSTERIA_GPU_MEMORY"):
    sys.path.append("/usr/local/lib/clusteria")
    try:
        import clusteria_gpu_memory

        clusteria_gpu_memory.install(os.environ["CLUSTERIA_GPU_MEMORY"])
    except Exception as error:  # Nobody's program may fail for this.
        print(f"clusteria: GPU memory is not limited: {error}", file=sys.stderr)
    finally:
        sys.path.remove("/usr/local/lib/clusteria")
