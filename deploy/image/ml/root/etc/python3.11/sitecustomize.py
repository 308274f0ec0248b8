# Run by every python3 of this image at its start, also in virtual environments. Nothing is loaded where no budget is set.
import os
import sys

if os.environ.get("CLUSTERIA_GPU_MEMORY"):
    sys.path.append("/usr/local/lib/clusteria")
    try:
        import clusteria_gpu_memory

        clusteria_gpu_memory.install(os.environ["CLUSTERIA_GPU_MEMORY"])
    except Exception as error:  # Nobody's program may fail for this.
        print(f"clusteria: GPU memory is not limited: {error}", file=sys.stderr)
    finally:
        sys.path.remove("/usr/local/lib/clusteria")
