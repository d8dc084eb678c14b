"""Writes small quantized checkpoints and the values that they stand for.

    python quantized.py ../resources/quantized     needs torch and safetensors

Each directory has model.safetensors and config.json in the layout of a library, and expected.safetensors with the
values in float32. Codes are drawn at random, packed one by one as the library's packer does, and the expected values
are computed from codes, zero points and scales.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

OUT = sys.argv[1]
GENERATOR = torch.Generator().manual_seed(3)
NAME = "model.layers.0.mlp.up_proj"


def write(name, tensors, expected, quantization, **config):
    directory = os.path.join(OUT, name)
    os.makedirs(directory, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, directory + "/model.safetensors")
    save_file({k: v.float().contiguous() for k, v in expected.items()}, directory + "/expected.safetensors")
    with open(directory + "/config.json", "w") as file:
        json.dump({"model_type": "llama", "quantization_config": quantization, **config}, file, indent=1)


def integers(low, high, *shape):
    return torch.randint(low, high, shape, generator=GENERATOR)


def scales(*shape, dtype=torch.float32):
    return (torch.rand(shape, generator=GENERATOR) * 0.02 + 0.001).to(dtype)


def blocks(values, rows, columns, block_rows, block_columns):
    """Repeats a value for each entry of its block."""
    wide = values.repeat_interleave(block_rows, 0).repeat_interleave(block_columns, 1)
    return wide[:rows, :columns]


def float8(rows, columns, dtype=torch.float8_e4m3fn):
    return (torch.randn(rows, columns, generator=GENERATOR) * 20).to(dtype)


def scaled_bytes():
    weight = NAME + ".weight"
    codes = float8(10, 14)
    for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)]:
        scale = scales(3, 3, dtype=dtype)
        write("fp8-block-" + name, {weight: codes, weight + "_scale_inv": scale},
              {weight: codes.float() * blocks(scale.float(), 10, 14, 4, 6)},
              {"quant_method": "fp8", "weight_block_size": [4, 6]})
    powers = torch.tensor([[118, 121, 0], [127, 125, 123], [120, 119, 117]], dtype=torch.uint8)
    write("fp8-block-e8m0", {weight: codes, NAME + ".scale": powers.view(torch.float8_e8m0fnu)},
          {weight: codes.float() * blocks(torch.exp2(powers.double() - 127).float(), 10, 14, 4, 6)},
          {"quant_method": "fp8", "weight_block_size": [4, 6]})
    for shape in [(1,), (), (1, 1)]:
        scale = scales(*shape)
        write("fp8-tensor-%d" % len(shape), {weight: codes, weight + "_scale": scale, NAME + ".input_scale": scales(1)},
              {weight: codes.float() * scale.reshape(-1)[0]},
              {"quant_method": "modelopt", "quant_algo": "FP8"})
    channel = scales(10, 1, dtype=torch.bfloat16)
    write("fp8-channel", {weight: codes, weight + "_scale": channel}, {weight: codes.float() * channel.float()},
          {"quant_method": "compressed-tensors", "format": "float-quantized",
           "config_groups": {"group_0": {"weights": {"num_bits": 8, "strategy": "channel", "type": "float"}}}})
    wide = float8(6, 16, torch.float8_e5m2)
    group = scales(6, 4)
    write("fp8-group", {weight: wide, weight + "_scale": group}, {weight: wide.float() * group.repeat_interleave(4, 1)},
          {"quant_method": "compressed-tensors", "format": "float-quantized",
           "config_groups": {"group_0": {"weights": {"num_bits": 8, "strategy": "group", "group_size": 4}}}})
    ints = integers(-128, 128, 8, 12).to(torch.int8)
    row = scales(8, 1)
    zero = integers(-20, 20, 8, 1).to(torch.int8)
    scheme = {"quant_method": "compressed-tensors", "format": "int-quantized",
              "config_groups": {"group_0": {"weights": {"num_bits": 8, "strategy": "channel"}}}}
    write("int8-channel", {weight: ints, weight + "_scale": row}, {weight: ints.float() * row}, scheme)
    write("int8-zero-point", {weight: ints, weight + "_scale": row, weight + "_zero_point": zero},
          {weight: (ints.float() - zero.float()) * row}, scheme)
    largest = scales(8) * 100
    write("bitsandbytes-int8", {weight: ints, NAME + ".SCB": largest, NAME + ".weight_format": torch.zeros((), dtype=torch.uint8)},
          {weight: ints.float() * largest[:, None] / 127}, {"quant_method": "bitsandbytes", "load_in_8bit": True})
    experts = "model.layers.0.mlp.experts.gate_up_proj"
    stacked = (torch.randn(3, 8, 12, generator=GENERATOR) * 20).to(torch.float8_e4m3fn)
    per_row = scales(3, 8, 1)
    write("fp8-experts", {experts: stacked, experts + "_scale": per_row}, {experts: stacked.float() * per_row},
          {"quant_method": "fbgemm_fp8"})
    ragged = scales(3, 2, 2)
    wide = torch.stack([blocks(ragged[e], 8, 12, 6, 8) for e in range(3)])
    write("fp8-experts-ragged", {experts: stacked, experts + "_scale_inv": ragged}, {experts: stacked.float() * wide},
          {"quant_method": "fp8", "weight_block_size": [6, 8]})


def packed_down(codes, bits):
    """Packs codes along the first dimension into words of 32 bits, as a stream of bits (GPTQ)."""
    rows, columns = codes.shape
    words = torch.zeros(rows * bits // 32, columns, dtype=torch.int64)
    for row in range(rows):
        for bit in range(bits):
            at = row * bits + bit
            words[at // 32] |= ((codes[row] >> bit) & 1) << (at % 32)
    return as_int32(words)


def as_int32(words):
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def gptq(name, bits, version, order):
    inputs, outputs, size = 64, 32, 16
    codes = integers(0, 2**bits, inputs, outputs)
    zeros = integers(0, 2**bits, inputs // size, outputs)
    scale = scales(inputs // size, outputs, dtype=torch.float16)
    group = torch.arange(inputs) // size
    if order:
        group = group[torch.randperm(inputs, generator=GENERATOR)]
    stored = zeros if version == "gptq_v2" else (zeros - 1) % 2**bits
    expected = (codes - zeros[group]).float() * scale[group].float()
    tensors = {NAME + ".qweight": packed_down(codes, bits), NAME + ".qzeros": packed_down(stored.t(), bits).t(),
               NAME + ".scales": scale, NAME + ".g_idx": group.to(torch.int32)}
    write(name, tensors, {NAME + ".weight": expected.t()},
          {"quant_method": "gptq", "bits": bits, "group_size": size, "checkpoint_format": version})


def awq(bits, order):
    inputs, outputs, size = 24, 32, 8
    codes = integers(0, 2**bits, inputs, outputs)
    zeros = integers(0, 2**bits, inputs // size, outputs)
    scale = scales(inputs // size, outputs, dtype=torch.float16)

    def packed(values):
        each = len(order)
        words = torch.zeros(values.shape[0], outputs // each, dtype=torch.int64)
        for word in range(outputs // each):
            for place, column in enumerate(order):
                words[:, word] |= values[:, word * each + column] << (bits * place)
        return as_int32(words)

    group = torch.arange(inputs) // size
    expected = (codes - zeros[group]).float() * scale[group].float()
    write("awq-%d" % bits, {NAME + ".qweight": packed(codes), NAME + ".qzeros": packed(zeros), NAME + ".scales": scale},
          {NAME + ".weight": expected.t()},
          {"quant_method": "awq", "bits": bits, "group_size": size, "version": "gemm", "zero_point": True})


def packed_across(codes, bits):
    """Packs codes along the last dimension, each word by itself (compressed-tensors)."""
    each = 32 // bits
    rows, columns = codes.shape
    words = torch.zeros(rows, -(-columns // each), dtype=torch.int64)
    for column in range(columns):
        words[:, column // each] |= codes[:, column] << (bits * (column % each))
    return as_int32(words)


def compressed(name, bits, zeros, order):
    rows, columns, size = 12, 24, 8
    half = 2 ** (bits - 1)
    values = integers(-half, half, rows, columns)
    scale = scales(rows, columns // size, dtype=torch.bfloat16)
    zero = integers(-half, half, rows, columns // size) if zeros else torch.zeros(rows, columns // size, dtype=torch.int64)
    group = torch.arange(columns) // size
    if order:
        group = group[torch.randperm(columns, generator=GENERATOR)]
    weight = NAME + ".weight"
    tensors = {weight + "_packed": packed_across(values + half, bits), weight + "_scale": scale,
               weight + "_shape": torch.tensor([rows, columns])}
    if zeros:
        tensors[weight + "_zero_point"] = packed_across((zero + half).t().contiguous(), bits).t()
    if order:
        tensors[weight + "_g_idx"] = group.to(torch.int32)
    write(name, tensors, {weight: (values - zero[:, group]).float() * scale[:, group].float()},
          {"quant_method": "compressed-tensors", "format": "pack-quantized",
           "config_groups": {"group_0": {"weights": {"num_bits": bits, "strategy": "group", "group_size": size}}}})


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def pairs(codes):
    return (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8)


def four_bit_floats():
    weight = NAME + ".weight"
    codes = integers(0, 16, 6, 64)
    scale = (torch.rand(6, 4, generator=GENERATOR) * 200).to(torch.float8_e4m3fn)
    factor = torch.tensor(0.0123)
    expected = E2M1[codes] * (scale.float() * factor).repeat_interleave(16, 1)
    write("nvfp4-modelopt", {weight: pairs(codes), weight + "_scale": scale, weight + "_scale_2": factor},
          {weight: expected}, {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16})
    divisor = torch.tensor([81.5])
    expected = E2M1[codes] * (scale.float() / divisor).repeat_interleave(16, 1)
    write("nvfp4-compressed", {weight + "_packed": pairs(codes), weight + "_scale": scale, weight + "_global_scale": divisor},
          {weight: expected}, {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"})
    blocks_ = integers(0, 16, 2, 6, 3, 32)
    powers = integers(110, 130, 2, 6, 3)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    values = E2M1[blocks_] * torch.exp2(powers.double() - 127).float()[..., None]
    write("mxfp4-experts", {name + "_blocks": pairs(blocks_), name + "_scales": powers.to(torch.uint8)},
          {name: values.reshape(2, 6, 96).transpose(1, 2)}, {"quant_method": "mxfp4"}, model_type="gpt_oss")


def bitsandbytes(name, kind, rows, columns, nested):
    weight = NAME + ".weight"
    block = 64
    entries = rows * columns
    codes = integers(0, 16, entries)
    table = torch.sort(torch.rand(16, generator=GENERATOR) * 2 - 1).values
    count = -(-entries // block)
    state = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": [rows, columns]}
    padded = torch.cat([codes, torch.zeros(entries % 2, dtype=torch.int64)])
    tensors = {weight: (padded[0::2] << 4 | padded[1::2]).to(torch.uint8)[:, None], weight + ".quant_map": table}
    if nested:
        outer = torch.sort(torch.rand(256, generator=GENERATOR) * 2 - 1).values
        quantized = integers(0, 256, count)
        magnitude = scales(-(-count // 4))
        offset = 0.25
        largest = outer[quantized] * magnitude.repeat_interleave(4)[:count] + offset
        state.update(nested_blocksize=4, nested_dtype="float32", nested_offset=offset)
        tensors.update({weight + ".absmax": quantized.to(torch.uint8), weight + ".nested_absmax": magnitude,
                        weight + ".nested_quant_map": outer})
    else:
        largest = scales(count)
        tensors[weight + ".absmax"] = largest
    tensors[weight + ".quant_state.bitsandbytes__" + kind] = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
    expected = table[codes] * largest.repeat_interleave(block)[:entries]
    write(name, tensors, {weight: expected.reshape(rows, columns)}, {"quant_method": "bitsandbytes", "load_in_4bit": True})


scaled_bytes()
for width in (2, 3, 4, 8):
    gptq("gptq-%d" % width, width, "gptq", False)
gptq("gptq-v2-order", 4, "gptq_v2", True)
awq(4, [0, 2, 4, 6, 1, 3, 5, 7])
awq(8, [0, 2, 1, 3])
compressed("packed-4", 4, False, False)
compressed("packed-8", 8, False, False)
compressed("packed-4-zero-point", 4, True, False)
compressed("packed-4-order", 4, False, True)
four_bit_floats()
bitsandbytes("bitsandbytes-nf4", "nf4", 9, 80, False)
bitsandbytes("bitsandbytes-nf4-nested", "nf4", 16, 64, True)
bitsandbytes("bitsandbytes-fp4-odd", "fp4", 5, 13, False)
