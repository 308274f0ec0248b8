"""Qualia: a small convolutional network of qualia-core becomes C by qualia-codegen-core, gcc compiles it, and the
compiled program says the same as Torch.

What Qualia-CodeGen insists on: a model with `input_shape` (channels last; qualia-core's models have it), no softmax at
the end, and a Quantization for every node of the graph before it is converted.
"""
import math
import subprocess
import sys
from pathlib import Path

import torch
from qualia_codegen_core.graph import Quantization
from qualia_codegen_core.graph.RoundMode import RoundMode
from qualia_core.learningmodel.pytorch.CNN import CNN
from qualia_core.postprocessing.QualiaCodeGen import QualiaCodeGen

SAMPLES, CHANNELS, CLASSES = 16, 2, 3

MAIN = """
#include <stdio.h>
#include "full_model.h"
int main(void) {
    static input_t in; static output_t out;
    for (int i = 0; i < MODEL_INPUT_DIM_0; i++)
        for (int j = 0; j < MODEL_INPUT_DIM_1; j++)
            if (scanf("%f", &in[i][j]) != 1) return 1;
    cnn(in, out);
    for (int i = 0; i < MODEL_OUTPUT_SAMPLES; i++) printf("%.6f\\n", (double)out[i]);
    return 0;
}
"""


def generate(model, folder):
    """One C file that holds the whole network, in 32-bit floats."""
    converter = QualiaCodeGen(quantize="float32", outdir=str(folder))
    graph = converter.convert_model_to_modelgraph(model)
    assert graph is not None, "no graph of the model"
    for node in graph.nodes:
        node.q = Quantization(
            number_type=float, width=32, long_width=32, weights_width=32, bias_width=32, output_width=32,
            weights_scale_factor=0, bias_scale_factor=None, output_scale_factor=0,
            weights_round_mode=RoundMode.NONE, output_round_mode=RoundMode.NONE,
        )
    code = converter.convert_modelgraph_to_c(graph, output_path=folder)
    assert isinstance(code, str) and code, "Qualia-CodeGen refused the model"
    (folder / "full_model.h").write_text(code)
    return code


def main(folder):
    folder = Path(folder)
    torch.manual_seed(1)
    model = CNN(
        input_shape=(SAMPLES, CHANNELS), output_shape=(CLASSES,), filters=[4, 6], kernel_sizes=[3, 3], paddings=[1, 1],
        strides=[1, 1], dropouts=0, pool_sizes=[2, 2], fc_units=[8], dims=1,
    ).eval()
    code = generate(model, folder)
    (folder / "main.c").write_text(MAIN)
    program = folder / "cnn"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-I", folder, "-o", program, folder / "main.c", "-lm"], check=True)

    one = torch.rand(1, CHANNELS, SAMPLES)
    wanted = model(one)[0].tolist()
    # Channels first in Torch, last in C.
    numbers = "\n".join(f"{x:.9f}" for x in one[0].T.reshape(-1).tolist())
    answer = subprocess.run([program], input=numbers, capture_output=True, text=True, check=True, timeout=30).stdout
    got = [float(line) for line in answer.split()]
    assert len(got) == CLASSES and all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(got, wanted)), (got, wanted)
    print(f"{len(code.splitlines())} lines of C; compiled, it says {got}, Torch says {[round(x, 6) for x in wanted]}")


if __name__ == "__main__":
    main(sys.argv[1])
