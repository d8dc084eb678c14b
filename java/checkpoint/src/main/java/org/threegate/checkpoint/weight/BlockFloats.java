package org.threegate.checkpoint.weight;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.ScaleGrid.Numbers;
import org.threegate.kernel.Context;
import org.threegate.kernel.QuantizedRows;

/**
 * Floats of four bits (E2M1), two to a byte, the first in the low half, with a scale for each group
 * of inputs: MXFP4 of gpt-oss ({@code _blocks} and {@code _scales}), and NVFP4 and MXFP4 of
 * ModelOpt and compressed-tensors.
 */
final class BlockFloats implements Layout {
  private static final String BLOCKS = "_blocks";
  private static final String PACKED = "_packed";
  private static final int BLOCK_BYTES = 16;
  private static final int GROUP = 2 * BLOCK_BYTES; // entries
  private static final float[] E2M1 = ByteCodes.e2m1();
  private static final float[] E8M0 = ByteCodes.of(TensorType.F8_E8M0);

  @Override
  public void take(Inventory inventory) {
    for (String name : inventory.names()) {
      Optional<Tensor> codes =
          inventory.find(name).filter(tensor -> tensor.type() == TensorType.U8);
      if (codes.isEmpty()) {
        continue;
      }
      if (name.endsWith(BLOCKS)) {
        takeBlocks(inventory, codes.get());
      } else if (name.endsWith(".weight" + PACKED) || name.endsWith(".weight")) {
        takePairs(inventory, codes.get());
      }
    }
  }

  /**
   * Takes the experts of gpt-oss. Their blocks are stored as outputs x inputs, and the model's
   * weight is inputs x outputs.
   */
  private static void takeBlocks(Inventory inventory, Tensor codes) {
    String name = codes.name().substring(0, codes.name().length() - BLOCKS.length());
    Optional<Tensor> scales = inventory.find(name + "_scales");
    if (scales.isEmpty()) {
      return;
    }
    Tensor exponents = scales.get();
    List<Long> shape = codes.shape();
    boolean fits =
        shape.size() == 4
            && shape.get(3) == BLOCK_BYTES
            && exponents.shape().equals(shape.subList(0, 3))
            && exponents.type().bits() == Byte.SIZE
            && codes.elements() > 0
            && shape.get(2) <= Integer.MAX_VALUE / (2 * BLOCK_BYTES);
    if (!fits) {
      String reason = "MXFP4 blocks of " + shape + " do not fit the scales of " + exponents.shape();
      inventory.refuse(List.of(codes, exponents), reason);
      return;
    }
    long experts = shape.get(0);
    long outputs = shape.get(1);
    long inputs = shape.get(2) * 2 * BLOCK_BYTES;
    inventory.add(
        new Weight(
            name,
            List.of(experts, inputs, outputs),
            "MXFP4",
            new Values.Computed(experts * inputs, outputs, new Blocks(codes, exponents)),
            List.of(codes, exponents)));
  }

  /** Decodes blocks into inputs x outputs. */
  private record Blocks(Tensor codes, Tensor exponents) implements RowDecoder {
    @Override
    public void decode(long first, int count, float[] out) {
      long outputs = codes.shape().get(1);
      long groups = codes.shape().get(2);
      long inputs = groups * 2 * BLOCK_BYTES;
      int width = Math.toIntExact(outputs);
      int done = 0;
      while (done < count) {
        // The rows of one expert.
        long expert = (first + done) / inputs;
        int input = (int) ((first + done) % inputs);
        int rows = (int) Math.min(count - done, inputs - input);
        int firstByte = input / 2;
        int bytes = (input + rows + 1) / 2 - firstByte;
        int firstGroup = input / (2 * BLOCK_BYTES);
        int ofGroups = (input + rows - 1) / (2 * BLOCK_BYTES) - firstGroup + 1;
        for (int output = 0; output < width; output++) {
          long row = expert * outputs + output;
          byte[] pairs =
              codes
                  .file()
                  .buffer()
                  .getBytes(codes.offset() + row * groups * BLOCK_BYTES + firstByte, bytes);
          byte[] powers =
              exponents
                  .file()
                  .buffer()
                  .getBytes(exponents.offset() + row * groups + firstGroup, ofGroups);
          for (int i = 0; i < rows; i++) {
            int at = input + i;
            int pair = pairs[at / 2 - firstByte];
            int code = (at % 2 == 0 ? pair : pair >> 4) & 0xF;
            float scale = E8M0[powers[at / (2 * BLOCK_BYTES) - firstGroup] & 0xFF];
            out[(done + i) * width + output] = E2M1[code] * scale;
          }
        }
        done += rows;
      }
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      long outputs = codes.shape().get(1);
      long groups = codes.shape().get(2);
      long inputs = groups * GROUP;
      long expert = first / inputs;
      if (count == 0 || (first + count - 1) / inputs != expert) { // a kernel knows one expert
        return Optional.empty();
      }
      long input = first % inputs;
      long group = input / GROUP;
      int ofGroups = Math.toIntExact((input + count - 1) / GROUP - group + 1);
      float[] scales = new float[Math.toIntExact(outputs * ofGroups)];
      for (int output = 0; output < outputs; output++) {
        long at = exponents.offset() + (expert * outputs + output) * groups + group;
        byte[] powers = exponents.file().buffer().getBytes(at, ofGroups);
        for (int i = 0; i < ofGroups; i++) {
          scales[output * ofGroups + i] = E8M0[powers[i] & 0xFF];
        }
      }
      return Optional.of(
          QuantizedRows.builder(
                  codes.file().buffer(),
                  codes.offset() + (expert * outputs * groups + group) * BLOCK_BYTES,
                  QuantizedRows.Order.ACROSS)
              .shape(count, outputs)
              .stride(groups * BLOCK_BYTES)
              .firstRow(input % GROUP)
              .table(E2M1)
              .scales(scales, ofGroups)
              .scaleRows(GROUP)
              .groups(outputs, 1)
              .build());
    }

    @Override
    public void decode(Context context, long first, int count, Target out) {
      long inputs = codes.shape().get(2) * GROUP;
      int done = 0;
      while (done < count) {
        long input = (first + done) % inputs;
        int rows = (int) Math.min(count - done, inputs - input); // of one expert
        long position = out.position() + done * out.columns() * Float.BYTES;
        RowDecoder.super.decode(
            context, first + done, rows, new Target(out.buffer(), position, out.columns()));
        done += rows;
      }
    }
  }

  /** Takes a weight of ModelOpt or compressed-tensors. */
  private static void takePairs(Inventory inventory, Tensor codes) {
    boolean packed = codes.name().endsWith(PACKED);
    String name =
        packed ? codes.name().substring(0, codes.name().length() - PACKED.length()) : codes.name();
    Optional<Tensor> scale = inventory.find(name + "_scale");
    // ModelOpt stores a factor, compressed-tensors a divisor.
    Optional<Tensor> factor = inventory.find(name + "_scale_2");
    Optional<Tensor> divisor = inventory.find(name + "_global_scale");
    if (scale.isEmpty() || codes.shape().size() != 2 || codes.elements() == 0) {
      return;
    }
    Tensor scales = scale.get();
    long rows = codes.shape().get(0);
    long columns = codes.shape().get(1) * 2;
    List<Tensor> sources = new ArrayList<>(List.of(codes, scales));
    factor.ifPresent(sources::add);
    divisor.ifPresent(sources::add);
    boolean four =
        packed
            || factor.isPresent()
            || scales.type() == TensorType.F8_E8M0
            || inventory.quantization().label().contains("fp4");
    if (!four) {
      return;
    }
    boolean global =
        sources.stream()
            .skip(2)
            .allMatch(one -> one.type() == TensorType.F32 && one.elements() == 1);
    boolean fits =
        scales.shape().size() == 2
            && scales.shape().get(0) == rows
            && scales.shape().get(1) > 0
            && columns % scales.shape().get(1) == 0
            && columns <= Integer.MAX_VALUE
            && scales.type().bits() == Byte.SIZE
            && global
            && sources.size() <= 3;
    if (!fits) {
      inventory.refuse(
          sources,
          "four-bit floats of " + codes.shape() + " do not fit the scales of " + scales.shape());
      return;
    }
    TensorType type = scales.type() == TensorType.U8 ? TensorType.F8_E8M0 : scales.type();
    float times = factor.map(one -> Numbers.floats(one, 0, 1)[0]).orElse(1f);
    float over = divisor.map(one -> Numbers.floats(one, 0, 1)[0]).orElse(1f);
    inventory.add(
        new Weight(
            name,
            List.of(rows, columns),
            type == TensorType.F8_E8M0 ? "MXFP4" : "NVFP4",
            new Values.Computed(
                rows, columns, new Pairs(codes, scales, ByteCodes.of(type), times, over)),
            sources));
  }

  /** Decodes rows of pairs. The scale of a group comes first, as the libraries have it. */
  private record Pairs(Tensor codes, Tensor scales, float[] table, float times, float over)
      implements RowDecoder {
    @Override
    public void decode(long first, int count, float[] out) {
      int bytes = Math.toIntExact(codes.shape().get(1));
      int groups = Math.toIntExact(scales.shape().get(1));
      int width = 2 * bytes;
      int size = width / groups;
      NativeBuffer buffer = codes.file().buffer();
      for (int i = 0; i < count; i++) {
        byte[] pairs = buffer.getBytes(codes.offset() + (first + i) * bytes, bytes);
        byte[] own =
            scales.file().buffer().getBytes(scales.offset() + (first + i) * groups, groups);
        for (int j = 0; j < width; j++) {
          int code = (j % 2 == 0 ? pairs[j / 2] : pairs[j / 2] >> 4) & 0xF;
          float scale = table[own[j / size] & 0xFF] * times / over;
          out[i * width + j] = E2M1[code] * scale;
        }
      }
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      long groups = scales.shape().get(1);
      long bytes = codes.shape().get(1);
      long columns = 2 * bytes;
      byte[] own =
          scales.file().buffer().getBytes(scales.offset() + first * groups, count * groups);
      float[] values = new float[own.length];
      for (int i = 0; i < own.length; i++) {
        values[i] = table[own[i] & 0xFF] * times / over;
      }
      return Optional.of(
          QuantizedRows.builder(
                  codes.file().buffer(),
                  codes.offset() + first * bytes,
                  QuantizedRows.Order.LOW_FIRST)
              .stride(bytes)
              .table(E2M1)
              .scales(values, groups)
              .shape(count, columns)
              .groups(groups, columns / groups)
              .build());
    }
  }
}
