package org.threegate.checkpoint.weight;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.ScaleGrid.Numbers;
import org.threegate.kernel.QuantizedRows;

/**
 * Integers of a few bits, packed in words of 32 bits, with a scale and a zero point for each group
 * of inputs: GPTQ and AWQ ({@code qweight}), and compressed-tensors ({@code weight_packed}).
 */
final class PackedIntegers implements Layout {
  private static final int WORD = 32;
  private static final String CODES = ".qweight";
  private static final String PACKED = ".weight_packed";

  /** Position in a word of the output with a number, in AWQ's order. */
  private static final int[] AWQ_4 = {0, 4, 1, 5, 2, 6, 3, 7};

  private static final int[] AWQ_8 = {0, 2, 1, 3};

  @Override
  public void take(Inventory inventory) {
    for (String name : inventory.names()) {
      if (name.endsWith(CODES)) {
        inventory.find(name).ifPresent(codes -> takeGroups(inventory, codes));
      } else if (name.endsWith(PACKED)) {
        inventory
            .find(name)
            .filter(codes -> codes.type() == TensorType.I32)
            .ifPresent(codes -> takePacked(inventory, codes));
      }
    }
  }

  /** Takes a weight of GPTQ or AWQ. */
  private static void takeGroups(Inventory inventory, Tensor codes) {
    String stem = codes.name().substring(0, codes.name().length() - CODES.length());
    Optional<Tensor> scales = inventory.find(stem + ".scales");
    Optional<Tensor> zeros = inventory.find(stem + ".qzeros");
    Optional<Tensor> order = inventory.find(stem + ".g_idx");
    String method = inventory.quantization().method();
    boolean awq = method.equals("awq");
    String reason = "";
    Optional<Groups> groups = Optional.empty();
    if (!awq && !method.equals("gptq")) {
      reason = "packed codes, and the configuration names neither gptq nor awq";
    } else if (scales.isEmpty() || zeros.isEmpty()) {
      reason = "packed codes without " + (scales.isEmpty() ? "scales" : "qzeros") + " beside them";
    } else {
      groups = Groups.of(inventory, codes, scales.get(), zeros.get(), order, awq);
      reason =
          inventory.quantization().label()
              + " in a layout that does not fit: codes "
              + codes.shape()
              + ", scales "
              + scales.get().shape()
              + ", zeros "
              + zeros.get().shape();
    }
    List<Tensor> sources = new ArrayList<>(List.of(codes));
    scales.ifPresent(sources::add);
    zeros.ifPresent(sources::add);
    order.ifPresent(sources::add);
    if (groups.isEmpty()) {
      inventory.refuse(sources, reason);
      return;
    }
    Groups own = groups.get();
    inventory.add(
        new Weight(
            stem + ".weight",
            List.of(own.outputs, own.inputs),
            (awq ? "AWQ" : "GPTQ") + " of " + own.bits + " bits",
            new Values.Computed(own.outputs, own.inputs, own),
            sources));
  }

  /** Decodes codes that are stored input by input, so that a row of the file has all outputs. */
  private static final class Groups implements RowDecoder {
    private final NativeBuffer buffer;
    private final long offset;
    private final long outputs;
    private final long inputs;
    private final int bits;
    private final boolean awq;
    private final boolean oneLess;
    private final int[] groupOf;
    private final Tensor scales;
    private final Tensor zeros;
    private final int groups;

    private Groups(
        Tensor codes,
        long inputs,
        int bits,
        boolean awq,
        boolean oneLess,
        int[] groupOf,
        Tensor scales,
        Tensor zeros) {
      this.buffer = codes.file().buffer();
      this.offset = codes.offset();
      this.outputs = scales.shape().get(1);
      this.inputs = inputs;
      this.bits = bits;
      this.awq = awq;
      this.oneLess = oneLess;
      this.groupOf = groupOf;
      this.scales = scales;
      this.zeros = zeros;
      this.groups = Math.toIntExact(scales.shape().get(0));
    }

    /** Returns the decoder; empty if the shapes do not fit each other. */
    static Optional<Groups> of(
        Inventory inventory,
        Tensor codes,
        Tensor scales,
        Tensor zeros,
        Optional<Tensor> order,
        boolean awq) {
      int bits = inventory.quantization().bits().orElse(4);
      String version = inventory.quantization().version();
      boolean known =
          awq
              ? (bits == 4 || bits == 8) && (version.isEmpty() || version.equals("gemm"))
              : List.of(2, 3, 4, 8).contains(bits)
                  && List.of("", "gptq", "gptq_v2").contains(version);
      boolean matrices =
          codes.shape().size() == 2 && scales.shape().size() == 2 && zeros.shape().size() == 2;
      boolean words = codes.type() == TensorType.I32 && zeros.type() == TensorType.I32;
      boolean numbers =
          switch (scales.type()) {
            case F16, BF16, F32 -> true;
            default -> false;
          };
      if (!known || !matrices || !words || !numbers || scales.elements() == 0) {
        return Optional.empty();
      }
      long outputs = scales.shape().get(1);
      long groups = scales.shape().get(0);
      long inputs = awq ? codes.shape().get(0) : codes.shape().get(0) * WORD / bits;
      boolean fits =
          awq
              ? codes.shape().get(1) * WORD == outputs * bits
              : codes.shape().get(1) == outputs && inputs * bits == codes.shape().get(0) * WORD;
      fits &= zeros.shape().get(0) == groups && zeros.shape().get(1) * WORD == outputs * bits;
      fits &= inputs > 0 && inputs <= Integer.MAX_VALUE && groups <= inputs;
      if (!fits) {
        return Optional.empty();
      }
      int[] groupOf = new int[(int) inputs];
      if (order.isPresent()) {
        Tensor own = order.get();
        if (own.type() != TensorType.I32 || own.elements() != inputs) {
          return Optional.empty();
        }
        groupOf = own.file().buffer().getInts(own.offset(), inputs);
        if (Arrays.stream(groupOf).anyMatch(group -> group < 0 || group >= groups)) {
          return Optional.empty();
        }
      } else {
        long size = Shapes.quotient(inputs, groups);
        for (int i = 0; i < groupOf.length; i++) {
          groupOf[i] = (int) (i / size);
        }
      }
      boolean oneLess = !awq && !version.equals("gptq_v2");
      return Optional.of(new Groups(codes, inputs, bits, awq, oneLess, groupOf, scales, zeros));
    }

    @Override
    public void decode(long first, int count, float[] out) {
      float[] scale = scales(first, count);
      int[] zero = zeros(first, count);
      int width = (int) inputs;
      if (awq) {
        for (int input = 0; input < width; input++) {
          int[] words = across(buffer, offset, outputs * bits / WORD, input, first, count);
          set(input, count, out, scale, zero, i -> code(words, first, i));
        }
        return;
      }
      int[] words = new int[0];
      int[] next = new int[0];
      long loaded = -1;
      long rows = inputs * bits / WORD;
      for (int input = 0; input < width; input++) {
        long bit = (long) input * bits;
        long row = bit / WORD;
        if (row != loaded) {
          words = buffer.getInts(offset + (row * outputs + first) * Integer.BYTES, count);
          next =
              WORD % bits == 0 || row + 1 == rows
                  ? words
                  : buffer.getInts(offset + ((row + 1) * outputs + first) * Integer.BYTES, count);
          loaded = row;
        }
        int shift = (int) (bit % WORD);
        int[] low = words;
        int[] high = next;
        set(input, count, out, scale, zero, i -> bits(low[i], high[i], shift));
      }
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      if (bits != 4) {
        return Optional.empty();
      }
      long phase = awq ? first % AWQ_4.length : 0;
      long begin = first - phase; // the first output of a word
      int outputsRead = Math.toIntExact(count + phase);
      return Optional.of(
          QuantizedRows.builder(
                  buffer,
                  offset + begin * (awq ? bits : WORD) / Byte.SIZE,
                  awq ? QuantizedRows.Order.AWQ : QuantizedRows.Order.DOWN)
              .stride(outputs * (awq ? bits : WORD) / Byte.SIZE)
              .firstRow(phase)
              .table(integers(bits, 0))
              .scales(scales(begin, outputsRead), outputsRead)
              .zeros(floats(zeros(begin, outputsRead)))
              .shape(count, inputs)
              .groups(groups, groupOf)
              .build());
    }

    /** Returns the scales of some outputs, group by group. */
    private float[] scales(long first, int count) {
      float[] scale = new float[groups * count];
      for (int group = 0; group < groups; group++) {
        float[] own = Numbers.floats(scales, group * outputs + first, count);
        System.arraycopy(own, 0, scale, group * count, count);
      }
      return scale;
    }

    /** Returns the zero points of some outputs, group by group. */
    private int[] zeros(long first, int count) {
      int[] zero = new int[groups * count];
      for (int group = 0; group < groups; group++) {
        int[] words = across(zeros, group, first, count);
        for (int i = 0; i < count; i++) {
          int stored = code(words, first, i);
          zero[group * count + i] = oneLess ? stored + 1 & mask() : stored;
        }
      }
      return zero;
    }

    /** Writes the entries of one input, for all outputs of the block. */
    private void set(
        int input,
        int count,
        float[] out,
        float[] scale,
        int[] zero,
        java.util.function.IntUnaryOperator code) {
      int at = groupOf[input] * count;
      for (int i = 0; i < count; i++) {
        out[i * (int) inputs + input] = (code.applyAsInt(i) - zero[at + i]) * scale[at + i];
      }
    }

    private int mask() {
      return (1 << bits) - 1;
    }

    private int bits(int low, int high, int shift) {
      int value = low >>> shift;
      if (shift + bits > WORD) {
        value |= high << WORD - shift;
      }
      return value & mask();
    }

    /** Reads the words of one row that hold the codes of some outputs. */
    private int[] across(Tensor tensor, long row, long first, int count) {
      return across(
          tensor.file().buffer(), tensor.offset(), tensor.shape().get(1), row, first, count);
    }

    private int[] across(
        NativeBuffer from, long start, long wordsARow, long row, long first, int count) {
      long begin = first * bits / WORD;
      long end = Shapes.quotient((first + count) * bits, WORD);
      return from.getInts(start + (row * wordsARow + begin) * Integer.BYTES, end - begin);
    }

    /** Returns a code of words that begin with the word of the first output. */
    private int code(int[] words, long first, int i) {
      if (awq) {
        int[] order = bits == 4 ? AWQ_4 : AWQ_8;
        long output = first + i;
        int word = (int) (output / order.length - first / order.length);
        return words[word] >>> order[(int) (output % order.length)] * bits & mask();
      }
      long bit = (first + i) * bits;
      int word = (int) (bit / WORD - first * bits / WORD);
      return bits(words[word], words[Math.min(word + 1, words.length - 1)], (int) (bit % WORD));
    }
  }

  /** Returns the number of each code: the code less an offset. */
  private static float[] integers(int bits, int less) {
    float[] numbers = new float[1 << bits];
    for (int code = 0; code < numbers.length; code++) {
      numbers[code] = code - less;
    }
    return numbers;
  }

  private static float[] floats(int[] integers) {
    float[] values = new float[integers.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = integers[i];
    }
    return values;
  }

  /** Takes a weight of compressed-tensors. */
  private static void takePacked(Inventory inventory, Tensor codes) {
    String stem = codes.name().substring(0, codes.name().length() - "_packed".length());
    Optional<Tensor> scale = inventory.find(stem + "_scale");
    Optional<Tensor> shape = inventory.find(stem + "_shape");
    Optional<Tensor> zero = inventory.find(stem + "_zero_point");
    Optional<Tensor> order = inventory.find(stem + "_g_idx");
    List<Tensor> sources = new ArrayList<>(List.of(codes));
    scale.ifPresent(sources::add);
    shape.ifPresent(sources::add);
    zero.ifPresent(sources::add);
    order.ifPresent(sources::add);
    OptionalInt bits = inventory.quantization().bits();
    Optional<Packed> packed =
        scale.isPresent() && bits.isPresent()
            ? Packed.of(codes, bits.getAsInt(), scale.get(), shape, zero, order)
            : Optional.empty();
    if (packed.isEmpty()) {
      String reason =
          scale.isEmpty()
              ? "packed codes without " + stem + "_scale"
              : bits.isEmpty()
                  ? "packed codes, and the configuration states no num_bits"
                  : "packed codes of "
                      + bits.getAsInt()
                      + " bits in a layout that does not fit: codes "
                      + codes.shape()
                      + ", scales "
                      + scale.get().shape();
      inventory.refuse(sources, reason);
      return;
    }
    inventory.add(
        new Weight(
            stem,
            List.of(packed.get().rows(), packed.get().columns()),
            "packed integers of " + bits.getAsInt() + " bits",
            new Values.Computed(packed.get().rows(), packed.get().columns(), packed.get()),
            sources));
  }

  /**
   * Decodes codes that are packed along the inputs. A code is a signed number plus half of its
   * range.
   */
  private record Packed(
      Tensor codes,
      int bits,
      long rows,
      long columns,
      Tensor scale,
      Optional<Tensor> zero,
      int[] groupOf)
      implements RowDecoder {
    static Optional<Packed> of(
        Tensor codes,
        int bits,
        Tensor scale,
        Optional<Tensor> shape,
        Optional<Tensor> zero,
        Optional<Tensor> order) {
      if (codes.shape().size() != 2 || scale.shape().size() != 2 || bits > 8 || bits < 1) {
        return Optional.empty();
      }
      int perWord = WORD / bits;
      long rows = codes.shape().get(0);
      long columns = shape.map(Packed::stated).orElse(codes.shape().get(1) * perWord);
      long groups = scale.shape().get(1);
      boolean fits =
          columns > 0
              && columns <= Integer.MAX_VALUE
              && Shapes.quotient(columns, perWord) == codes.shape().get(1)
              && scale.shape().get(0) == rows
              && groups > 0
              && groups <= columns;
      fits &=
          switch (scale.type()) {
            case F32, F16, BF16 -> true;
            default -> false;
          };
      boolean zerosFit =
          zero.isEmpty()
              || zero.get().shape().size() == 2
                  && zero.get().shape().get(1) == groups
                  && (zero.get().type() == TensorType.I8 && zero.get().shape().get(0) == rows
                      || zero.get().type() == TensorType.I32
                          && zero.get().shape().get(0) == Shapes.quotient(rows, perWord));
      if (!fits || !zerosFit) {
        return Optional.empty();
      }
      int[] groupOf = new int[(int) columns];
      long size = Shapes.quotient(columns, groups);
      for (int i = 0; i < groupOf.length; i++) {
        groupOf[i] = (int) (i / size);
      }
      if (order.isPresent()) {
        Tensor own = order.get();
        if (own.type() != TensorType.I32 || own.elements() != columns) {
          return Optional.empty();
        }
        int[] stored = own.file().buffer().getInts(own.offset(), columns);
        if (stored[0] >= 0) {
          groupOf = stored;
        }
        if (Arrays.stream(groupOf).anyMatch(group -> group < 0 || group >= groups)) {
          return Optional.empty();
        }
      }
      return Optional.of(new Packed(codes, bits, rows, columns, scale, zero, groupOf));
    }

    /** Returns the stated number of columns, or 0 if the tensor states no matrix. */
    private static Long stated(Tensor shape) {
      NativeBuffer buffer = shape.file().buffer();
      if (shape.elements() != 2) {
        return 0L;
      }
      return switch (shape.type()) {
        case I64 -> buffer.getLongs(shape.offset(), 2)[1];
        case I32 -> (long) buffer.getInts(shape.offset(), 2)[1];
        default -> 0L;
      };
    }

    @Override
    public void decode(long first, int count, float[] out) {
      int perWord = WORD / bits;
      int half = 1 << bits - 1;
      int mask = (1 << bits) - 1;
      int width = (int) columns;
      int groups = Math.toIntExact(scale.shape().get(1));
      int wordsARow = Math.toIntExact(codes.shape().get(1));
      for (int i = 0; i < count; i++) {
        long row = first + i;
        int[] words =
            codes
                .file()
                .buffer()
                .getInts(codes.offset() + row * wordsARow * Integer.BYTES, wordsARow);
        float[] scales = Numbers.floats(scale, row * groups, groups);
        int[] zeros = zeros(row, groups, perWord, half, mask);
        for (int j = 0; j < width; j++) {
          int code = (words[j / perWord] >>> j % perWord * bits & mask) - half;
          out[i * width + j] = (code - zeros[groupOf[j]]) * scales[groupOf[j]];
        }
      }
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      if (bits != 4 && bits != 8) {
        return Optional.empty();
      }
      int perWord = WORD / bits;
      int half = 1 << bits - 1;
      int groups = Math.toIntExact(scale.shape().get(1));
      long stride = codes.shape().get(1) * Integer.BYTES;
      QuantizedRows.Builder builder =
          QuantizedRows.builder(
                  codes.file().buffer(),
                  codes.offset() + first * stride,
                  QuantizedRows.Order.LOW_FIRST)
              .stride(stride)
              .table(integers(bits, half))
              .scales(
                  Numbers.floats(scale, first * groups, Math.toIntExact(groups * count)), groups);
      if (zero.isPresent()) {
        float[] zeros = new float[Math.toIntExact(groups * count)];
        for (int i = 0; i < count; i++) {
          int[] own = zeros(first + i, groups, perWord, half, (1 << bits) - 1);
          System.arraycopy(floats(own), 0, zeros, i * groups, groups);
        }
        builder.zeros(zeros);
      }
      long size = Shapes.quotient(columns, groups);
      boolean inOrder = IntStream.range(0, groupOf.length).allMatch(j -> groupOf[j] == j / size);
      if (inOrder) {
        builder.groups(groups, size);
      } else {
        builder.groups(groups, groupOf);
      }
      return Optional.of(builder.shape(count, columns).build());
    }

    private int[] zeros(long row, int groups, int perWord, int half, int mask) {
      int[] zeros = new int[groups];
      if (zero.isPresent()) {
        Tensor own = zero.get();
        NativeBuffer buffer = own.file().buffer();
        if (own.type() == TensorType.I8) {
          byte[] bytes = buffer.getBytes(own.offset() + row * groups, groups);
          Arrays.setAll(zeros, group -> bytes[group]);
        } else {
          int[] words =
              buffer.getInts(own.offset() + row / perWord * groups * Integer.BYTES, groups);
          int shift = (int) (row % perWord) * bits;
          Arrays.setAll(zeros, group -> (words[group] >>> shift & mask) - half);
        }
      }
      return zeros;
    }
  }
}
