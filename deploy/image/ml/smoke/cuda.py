"""Each framework finds its CUDA libraries, the way it looks for them itself; no GPU is needed.

Torch's are what its own libraries were linked with: they are loaded when it is imported, and what is mapped then is what
it uses. TensorFlow opens its own by name when it first looks for a GPU: the same names are opened here from the same
place, so that the same RUNPATH and the same loader's cache decide. Both must end at the same files.
"""
import ctypes
import os
import re
import subprocess
import sys

# What TensorFlow 2.14 opens (its dso_loader: TensorRT is optional, libcuda.so.1 is the driver's).
TENSORFLOW = {
    "libcudart.so.11.0": "runtime", "libcublas.so.11": "BLAS", "libcublasLt.so.11": "BLAS", "libcufft.so.10": "FFT",
    "libcurand.so.10": "random", "libcusolver.so.11": "solver", "libcusparse.so.11": "sparse", "libcudnn.so.8": "cuDNN",
    "libcupti.so.11.8": "profiler", "libnccl.so.2": "several GPUs",
}
TORCH = ["libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11", "libcufft.so.10", "libcurand.so.10",
         "libcusparse.so.11", "libcudnn.so.8", "libnccl.so.2", "libnvToolsExt.so.1", "libcupti.so.11.7"]
# cuDNN opens its parts itself, and Torch these two when they are first needed.
LATER = ["libcudnn_ops_infer.so.8", "libcudnn_ops_train.so.8", "libcudnn_cnn_infer.so.8", "libcudnn_cnn_train.so.8",
         "libcudnn_adv_infer.so.8", "libcudnn_adv_train.so.8", "libcusolver.so.11", "libnvrtc.so.11.2"]


def mapped(name):
    with open("/proc/self/maps") as maps:
        return sorted({line.split()[-1] for line in maps if line.rstrip().endswith("/" + name)})


def torch_side():
    import torch

    found = {}
    for name in TORCH:
        found[name] = mapped(name)
        assert found[name], f"Torch is imported and {name} is not there"
    for name in LATER:
        ctypes.CDLL(name)
        found[name] = mapped(name)
    assert torch.version.cuda.startswith("11.") and torch.backends.cudnn.version() == 8700
    # With its own linear algebra for the GPU, which is loaded late and wants cuSOLVER.
    linear = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cuda_linalg.so")
    ctypes.CDLL(linear)
    return found


def tensorflow_side():
    """From a library that has the RUNPATH of TensorFlow's own, which is what dlopen goes by."""
    import importlib.util

    folder = importlib.util.find_spec("tensorflow").submodule_search_locations[0]
    framework = os.path.join(folder, "libtensorflow_framework.so.2")
    ctypes.CDLL(framework, ctypes.RTLD_GLOBAL)
    runpath = re.search(r"RUNPATH.*\[(.*)\]", subprocess.run(
        ["readelf", "-d", framework], capture_output=True, text=True, check=True).stdout).group(1)
    places = [place.replace("$ORIGIN", folder) for place in runpath.split(":")]
    found = {}
    for name in TENSORFLOW:
        first = next((p for p in (os.path.join(place, name) for place in places) if os.path.exists(p)), name)
        ctypes.CDLL(first)
        found[name] = mapped(name)
        assert found[name], f"TensorFlow would not find {name}"
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    assert build["is_cuda_build"] and build["cuda_version"] == "11.8", build
    return found


def main():
    if sys.argv[1:]:
        found = {"torch": torch_side, "tensorflow": tensorflow_side}[sys.argv[1]]()
        print("\n".join(f"{name} {os.path.realpath(paths[0])}" for name, paths in found.items()))
        return
    sides = {}
    for side in ("torch", "tensorflow"):
        done = subprocess.run([sys.executable, __file__, side], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        sides[side] = dict(line.split() for line in done.stdout.splitlines())
    both = sides["torch"].keys() & sides["tensorflow"].keys()
    for name in both:
        assert sides["torch"][name] == sides["tensorflow"][name], (name, sides)
    print(f"Torch found {len(sides['torch'])} CUDA libraries, TensorFlow {len(sides['tensorflow'])}; "
          f"the {len(both)} that both use are the same files")
    # Every library of NVIDIA's packages has all that it needs itself, but for the driver's.
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    cuda = sorted({line.split("=> ")[1] for line in listing.splitlines() if "/nvidia/" in line})
    missing = set()
    for path in cuda:
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        missing |= {line.split()[0] for line in said.splitlines() if "not found" in line}
    assert missing <= {"libcuda.so.1", "libnvidia-ml.so.1"}, missing
    print(f"{len(cuda)} libraries in the loader's cache need nothing more than {', '.join(sorted(missing)) or 'nothing'}")
    assert os.access("/usr/local/cuda-11.8/nvvm/libdevice/libdevice.10.bc", os.R_OK)
    assert "release 11.8" in subprocess.run(["ptxas", "--version"], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
