package org.threegate.checkpoint.weight;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.Quantization;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Matrix;

/**
 * Codes of one byte with scales in a tensor beside them: float8 and int8, with a scale for the
 * tensor, a channel, a group of columns or a block.
 *
 * <p>Names of scales are those of DeepSeek and Qwen ({@code weight_scale_inv}), of
 * compressed-tensors, FBGEMM and ModelOpt ({@code weight_scale}), of DeepSeek's own files ({@code
 * scale}), and of bitsandbytes ({@code SCB}, the largest magnitude of a row).
 */
final class ScaledBytes implements Layout {
  private static final int DEFAULT_BLOCK = 128;
  private static final float LARGEST_INT8 = 127;

  @Override
  public void take(Inventory inventory) {
    for (String name : inventory.names()) {
      inventory.find(name).filter(ScaledBytes::isCodes).ifPresent(codes -> take(inventory, codes));
    }
  }

  private static boolean isCodes(Tensor tensor) {
    return tensor.type().bits() == Byte.SIZE
        && (tensor.type() == TensorType.I8
            || tensor.type().name().startsWith("F8_") && tensor.type() != TensorType.F8_E8M0);
  }

  private static void take(Inventory inventory, Tensor codes) {
    String name = codes.name();
    String stem = name.endsWith(".weight") ? name.substring(0, name.length() - 7) : name;
    Optional<Tensor> largest = inventory.find(stem + ".SCB");
    Optional<Tensor> scale =
        inventory
            .find(name + "_scale_inv")
            .or(() -> inventory.find(name + "_scale"))
            .or(() -> inventory.find(stem + ".scale"))
            .or(() -> largest);
    if (scale.isEmpty()) {
      return; // Refused as codes without a scale.
    }
    Optional<Tensor> zero = inventory.find(name + "_zero_point");
    float factor = largest.isPresent() ? 1 / LARGEST_INT8 : 1;
    Optional<ScaleGrid> grid = grid(codes, scale.get(), inventory.quantization(), factor);
    Optional<ScaleGrid> zeros = zero.flatMap(z -> grid(codes, z, inventory.quantization(), 1));
    if (grid.isEmpty() || zero.isPresent() && zeros.isEmpty()) {
      Tensor unfit = grid.isEmpty() ? scale.get() : zero.get();
      String reason =
          unfit.name()
              + " is "
              + unfit.type()
              + unfit.shape()
              + ", which fits no scale for the tensor, the rows, the groups or the blocks of "
              + codes.shape();
      inventory.refuse(codes, reason);
      inventory.consume(scale.get(), "scale of " + name + ", which is refused");
      zero.ifPresent(z -> inventory.consume(z, "zero point of " + name + ", which is refused"));
      return;
    }
    List<Tensor> sources = new ArrayList<>(List.of(codes, scale.get()));
    zero.ifPresent(sources::add);
    inventory.find(stem + ".weight_format").ifPresent(sources::add);
    inventory.add(
        new Weight(
            name,
            codes.shape(),
            codes.type() + " with " + scale.get().type() + " scales",
            values(codes, grid.get(), zeros),
            sources));
  }

  private static Values values(Tensor codes, ScaleGrid grid, Optional<ScaleGrid> zeros) {
    long rows = Shapes.rows(codes.shape());
    long columns = Shapes.columns(codes.shape());
    if (codes.type().dtype().isPresent() && zeros.isEmpty() && grid.isEven(rows)) {
      Matrix matrix =
          Matrix.of(codes.file().buffer(), codes.type().dtype().get(), rows, columns)
              .at(codes.offset());
      return new Values.Scaled(matrix, grid);
    }
    float[] table = ByteCodes.of(codes.type());
    RowDecoder decoder =
        new ByteRows(
            codes.file().buffer(), codes.offset(), Math.toIntExact(columns), table, grid, zeros);
    return new Values.Computed(rows, columns, decoder);
  }

  /**
   * Returns the blocks that scales belong to. The stated block or group comes first, then one scale
   * for the tensor, an expert or a row, and last blocks of 128 x 128.
   *
   * @return empty if the shapes fit no blocks
   */
  static Optional<ScaleGrid> grid(
      Tensor codes, Tensor scale, Quantization quantization, float factor) {
    boolean numbers =
        switch (scale.type()) {
          case F32, BF16, F16, F8_E8M0, F8_E4M3, I8, U8 -> true;
          default -> false;
        };
    if (!numbers || scale.elements() == 0 || codes.elements() == 0) {
      return Optional.empty();
    }
    long all = Shapes.rows(codes.shape());
    long columns = Shapes.columns(codes.shape());
    boolean stacked = codes.shape().size() == 3;
    long period = stacked ? codes.shape().get(1) : all;
    List<Long> shape = stacked ? withoutStack(codes, scale) : scale.shape();
    if (scale.elements() == 1) {
      return Optional.of(grid(scale, 1, all, columns, all, factor));
    }
    if (shape.isEmpty() && !stacked || shape.size() > 2) {
      return Optional.empty();
    }
    long rows = shape.isEmpty() ? 1 : shape.get(0);
    long across = shape.size() < 2 ? 1 : shape.get(1);
    List<List<Long>> blocks = new ArrayList<>();
    if (!quantization.block().isEmpty()) {
      blocks.add(List.of((long) quantization.block().get(0), (long) quantization.block().get(1)));
    }
    quantization.group().ifPresent(group -> blocks.add(List.of(1L, (long) group)));
    blocks.add(List.of(period, columns));
    blocks.add(List.of(1L, columns));
    blocks.add(List.of(period, 1L));
    blocks.add(List.of((long) DEFAULT_BLOCK, (long) DEFAULT_BLOCK));
    for (List<Long> block : blocks) {
      if (Shapes.quotient(period, block.get(0)) == rows
          && Shapes.quotient(columns, block.get(1)) == across) {
        return Optional.of(grid(scale, across, block.get(0), block.get(1), period, factor));
      }
    }
    return Optional.empty();
  }

  private static ScaleGrid grid(
      Tensor scale, long across, long blockRows, long blockColumns, long period, float factor) {
    return new ScaleGrid(
        scale.file().buffer(),
        scale.offset(),
        scale.type(),
        across,
        blockRows,
        blockColumns,
        period,
        factor);
  }

  /** Returns the shape of the scales of one expert; three dimensions if there is no such shape. */
  private static List<Long> withoutStack(Tensor codes, Tensor scale) {
    boolean fits = !scale.shape().isEmpty() && scale.shape().get(0).equals(codes.shape().get(0));
    return fits ? scale.shape().subList(1, scale.shape().size()) : List.of(1L, 1L, 1L);
  }
}
