"""Each framework finds its CUDA libraries, the way it looks for them itself; no GPU is needed.

Torch's are what its own libraries were linked with: they are loaded when it is imported. TensorFlow opens its own by name
when it first looks for a GPU: it does, since a stand-in for the driver (standin_cuda.c, in LD_LIBRARY_PATH) shows it one. What
is mapped then is what each uses, and must be the same files. What is opened later only is opened here by the same name.
"""
import ctypes
import os
import subprocess
import sys

TENSORFLOW = ["libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11", "libcufft.so.10", "libcusolver.so.11",
              "libcusparse.so.11", "libcudnn.so.8"]
# Once random numbers, several GPUs or the profiler are asked for.
TENSORFLOW_LATER = ["libcurand.so.10", "libnccl.so.2", "libcupti.so.11.8"]
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
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    assert build["is_cuda_build"] and build["cuda_version"] == "11.8" and build["cudnn_version"] == "8", build
    assert len(tf.config.list_physical_devices("GPU")) == 1, "TensorFlow does not see the stand-in"
    found = {}
    for name in TENSORFLOW:
        found[name] = mapped(name)
        assert found[name], f"TensorFlow has looked for its libraries, and {name} is not there"
    for name in TENSORFLOW_LATER:
        ctypes.CDLL(name)
        found[name] = mapped(name)
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
    print(f"all {len(cuda)} libraries of NVIDIA's packages have what they were linked with")
    assert os.access("/usr/local/cuda-11.8/nvvm/libdevice/libdevice.10.bc", os.R_OK)
    assert "release 11.8" in subprocess.run(["ptxas", "--version"], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
