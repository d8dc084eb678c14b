package org.threegate.checkpoint.weight;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.ScaleGrid.Numbers;
import org.threegate.kernel.QuantizedRows;

/**
 * Codes of four bits of bitsandbytes (NF4 and FP4), two to a byte, the first in the high half. A
 * table has the value of each code. Blocks of entries, counted through the rows, share the largest
 * magnitude, which may be quantized itself.
 */
final class NormalFloats implements Layout {
  static final String STATE = ".quant_state.bitsandbytes__";
  private static final int CODES = 16;
  private static final int MOST_STATE = 1 << 16; // bytes
  private static final int MOST_BLOCK = 1 << 16; // entries
  private static final ObjectMapper JSON = new ObjectMapper();

  @Override
  public void take(Inventory inventory) {
    for (String name : inventory.names()) {
      int at = name.indexOf(STATE);
      if (at > 0) {
        inventory
            .find(name)
            .ifPresent(
                state ->
                    inventory
                        .find(name.substring(0, at))
                        .ifPresent(codes -> take(inventory, codes, state)));
      }
    }
  }

  private static void take(Inventory inventory, Tensor codes, Tensor state) {
    String name = codes.name();
    List<Tensor> sources = new ArrayList<>(List.of(codes, state));
    for (String suffix : List.of(".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")) {
      inventory.find(name + suffix).ifPresent(sources::add);
    }
    Optional<Blocks> blocks = Blocks.of(inventory, codes, state);
    if (blocks.isEmpty()) {
      inventory.refuse(sources, "codes of bitsandbytes whose quant_state does not fit them");
      return;
    }
    Blocks own = blocks.get();
    inventory.add(
        new Weight(
            name,
            List.of(own.rows, own.columns),
            "bitsandbytes " + state.name().substring(state.name().lastIndexOf("__") + 2),
            new Values.Computed(own.rows, own.columns, own),
            sources));
  }

  /** The entries of one weight. */
  private record Blocks(
      Tensor codes, long rows, long columns, int size, float[] table, Nested largest)
      implements RowDecoder {
    static Optional<Blocks> of(Inventory inventory, Tensor codes, Tensor state) {
      Optional<JsonNode> read = read(state);
      Optional<Tensor> map = inventory.find(codes.name() + ".quant_map");
      Optional<Tensor> absmax = inventory.find(codes.name() + ".absmax");
      if (read.isEmpty() || map.isEmpty() || absmax.isEmpty() || codes.type() != TensorType.U8) {
        return Optional.empty();
      }
      JsonNode fields = read.get();
      JsonNode shape = fields.path("shape");
      long rows = shape.size() == 2 ? shape.get(0).asLong() : 0;
      long columns = shape.size() == 2 ? shape.get(1).asLong() : 0;
      int size = fields.path("blocksize").asInt();
      boolean fits =
          rows > 0
              && columns > 0
              && columns <= Integer.MAX_VALUE
              && rows <= Long.MAX_VALUE / columns
              && Shapes.quotient(rows * columns, 2) == codes.elements()
              && size > 0
              && size <= MOST_BLOCK
              && map.get().type() == TensorType.F32
              && map.get().elements() == CODES
              && absmax.get().elements() == Shapes.quotient(rows * columns, size);
      if (!fits) {
        return Optional.empty();
      }
      Optional<Nested> largest = Nested.of(inventory, codes.name(), absmax.get(), fields);
      float[] table = Numbers.floats(map.get(), 0, CODES);
      return largest.map(own -> new Blocks(codes, rows, columns, size, table, own));
    }

    private static Optional<JsonNode> read(Tensor state) {
      if (state.type().bits() != Byte.SIZE || state.elements() > MOST_STATE) {
        return Optional.empty();
      }
      try {
        byte[] text = state.file().buffer().getBytes(state.offset(), state.elements());
        return Optional.ofNullable(JSON.readTree(text)).filter(JsonNode::isObject);
      } catch (JsonProcessingException e) {
        return Optional.empty();
      } catch (java.io.IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      if (columns % 2 != 0 || columns % size != 0) { // bytes or blocks go from row to row
        return Optional.empty();
      }
      long groups = columns / size;
      return Optional.of(
          QuantizedRows.builder(
                  codes.file().buffer(),
                  codes.offset() + first * columns / 2,
                  QuantizedRows.Order.HIGH_FIRST)
              .stride(columns / 2)
              .table(table)
              .scales(largest.of(first * groups, Math.toIntExact(count * groups)), groups)
              .shape(count, columns)
              .groups(groups, size)
              .build());
    }

    @Override
    public void decode(long first, int count, float[] out) {
      long begin = first * columns;
      int entries = Math.toIntExact(count * columns);
      long firstByte = begin / 2;
      long lastByte = (begin + entries + 1) / 2;
      byte[] pairs =
          codes.file().buffer().getBytes(codes.offset() + firstByte, lastByte - firstByte);
      long firstBlock = begin / size;
      float[] magnitudes =
          largest.of(firstBlock, (int) ((begin + entries - 1) / size - firstBlock + 1));
      for (int i = 0; i < entries; i++) {
        long at = begin + i;
        int pair = pairs[(int) (at / 2 - firstByte)];
        int code = (at % 2 == 0 ? pair >> 4 : pair) & 0xF;
        out[i] = table[code] * magnitudes[(int) (at / size - firstBlock)];
      }
    }
  }

  /** The largest magnitudes of blocks, perhaps as codes with a magnitude for each block of them. */
  private record Nested(
      Tensor absmax, Optional<float[]> table, Optional<Tensor> outer, int size, float offset) {
    static Optional<Nested> of(Inventory inventory, String name, Tensor absmax, JsonNode fields) {
      if (absmax.type() == TensorType.F32) {
        return Optional.of(new Nested(absmax, Optional.empty(), Optional.empty(), 1, 0));
      }
      Optional<Tensor> map = inventory.find(name + ".nested_quant_map");
      Optional<Tensor> outer = inventory.find(name + ".nested_absmax");
      int size = fields.path("nested_blocksize").asInt();
      boolean fits =
          absmax.type() == TensorType.U8
              && map.filter(own -> own.type() == TensorType.F32 && own.elements() == 256)
                  .isPresent()
              && size > 0
              && outer
                  .filter(own -> own.type() == TensorType.F32)
                  .filter(own -> own.elements() == Shapes.quotient(absmax.elements(), size))
                  .isPresent();
      if (!fits) {
        return Optional.empty();
      }
      float[] table = Numbers.floats(map.get(), 0, 256);
      float offset = (float) fields.path("nested_offset").asDouble();
      return Optional.of(new Nested(absmax, Optional.of(table), outer, size, offset));
    }

    float[] of(long first, int count) {
      if (table.isEmpty()) {
        return Numbers.floats(absmax, first, count);
      }
      byte[] codes = absmax.file().buffer().getBytes(absmax.offset() + first, count);
      long firstOuter = first / size;
      float[] magnitudes =
          Numbers.floats(
              outer.orElseThrow(), firstOuter, (int) ((first + count - 1) / size - firstOuter + 1));
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        float code = table.get()[codes[i] & 0xFF];
        values[i] = code * magnitudes[(int) ((first + i) / size - firstOuter)] + offset;
      }
      return values;
    }
  }
}
