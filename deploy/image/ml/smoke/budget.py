"""The budget of GPU memory, with the real frameworks and no GPU: what is a stand-in is said at each step."""
import subprocess
import sys

GIB = 1 << 30


def tensorflow_side(own):
    """With the stand-in driver of one GPU: what TensorFlow's own context is about to ask of the GPU."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    gpu, = tf.config.list_physical_devices("GPU")
    if own == "growth":
        tf.config.experimental.set_memory_growth(gpu, True)
    if own == "limit":
        tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=512)])
    try:
        tf.constant(1) + 1
    except Exception as error:  # The stand-in has no memory to give: that is asked for last.
        print(type(error).__name__, str(error)[:60], file=sys.stderr)
    options = context.context().config.gpu_options.experimental
    print([list(device.memory_limit_mb) for device in options.virtual_devices])


def torch_side():
    """Without a driver: Torch's own start of CUDA is a stand-in, its list of what to do then and the limit are its own."""
    import torch

    limits = []
    torch._C._cuda_init = lambda: None
    torch._C._cuda_setMemoryFraction = lambda fraction, device: limits.append((round(fraction, 3), device))
    torch.cuda.device_count = lambda: 2
    torch.cuda.get_device_properties = lambda device: type("Gpu", (), {"total_memory": [8, 1][device] * GIB})
    torch.cuda._queued_calls[:2] = []  # Its own two, which ask the driver.
    assert not limits, "CUDA was touched at the import"
    torch.cuda._lazy_init()
    print(limits)


def main():
    if sys.argv[1:]:
        return torch_side() if sys.argv[1] == "torch" else tensorflow_side(sys.argv[1])
    # Two GPUs of 8 and 1 GiB under a budget of 2 GiB: a quarter of the first, the second is smaller anyway.
    # TensorFlow: the budget, also after `set_memory_growth`, but never over a limit that the program set itself.
    for which, wanted in [("torch", "[(0.25, 0)]"), ("none", "[[2048.0]]"), ("growth", "[[2048.0]]"), ("limit", "[[512.0]]")]:
        done = subprocess.run([sys.executable, __file__, which], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == wanted, (which, done.stdout, done.stderr[-2000:])
    print("Torch and TensorFlow ask their GPUs for no more than the budget")


if __name__ == "__main__":
    main()
