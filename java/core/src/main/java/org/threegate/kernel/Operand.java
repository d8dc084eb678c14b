package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Structs;

/**
 * A matrix as kernels read it ({@code tg_operand}): stored values, optionally times a float32 scale
 * for each block (quantized checkpoints), optionally plus low-rank terms (adapters). Terms are
 * computed in float64, tile by tile, and never stored.
 *
 * @param values stored values
 * @param blockScale a scale for each block
 * @param lowRank low-rank terms to add
 */
public record Operand(Matrix values, Optional<BlockScale> blockScale, List<LowRank> lowRank)
    implements Entries {
  /**
   * A float32 scale for each block of {@code blockRows x blockColumns} values. Blocks at the edges
   * may be smaller.
   *
   * @param scales float32 scales, a row for each row of blocks
   * @param blockRows rows of a block
   * @param blockColumns columns of a block
   */
  public record BlockScale(Matrix scales, long blockRows, long blockColumns) {}

  /**
   * The product {@code scale * left * right}: left is rows x rank, right is rank x columns.
   *
   * @param left left factor
   * @param right right factor
   * @param scale factor of the product
   */
  public record LowRank(Matrix left, Matrix right, double scale) {}

  /** Checks the components. */
  public Operand {
    lowRank = List.copyOf(lowRank);
  }

  /**
   * {@return stored values}
   *
   * @param values stored values
   */
  public static Operand of(Matrix values) {
    return new Operand(values, Optional.empty(), List.of());
  }

  /**
   * {@return the values of a block-scaled checkpoint}
   *
   * @param values stored values
   * @param blockScale a scale for each block
   */
  public static Operand scaled(Matrix values, BlockScale blockScale) {
    return new Operand(values, Optional.of(blockScale), List.of());
  }

  /**
   * {@return values plus low-rank terms}
   *
   * @param values stored values
   * @param lowRank low-rank terms to add
   */
  public static Operand adapted(Matrix values, List<LowRank> lowRank) {
    return new Operand(values, Optional.empty(), lowRank);
  }

  /**
   * {@return whether the operand is its stored values alone, in this dtype}
   *
   * @param dtype dtype of the values
   */
  public boolean isStoredAs(Dtype dtype) {
    return values.dtype() == dtype && blockScale.isEmpty() && lowRank.isEmpty();
  }

  @Override
  public long rows() {
    return values.rows();
  }

  @Override
  public long columns() {
    return values.columns();
  }

  /**
   * {@return rows and columns of stored values from {@code begin} to before {@code end}}
   *
   * @param rowBegin first row
   * @param rowEnd row after the last one
   * @param columnBegin first column
   * @param columnEnd column after the last one
   * @throws IllegalArgumentException if the values are scaled or adapted
   */
  public Operand slice(long rowBegin, long rowEnd, long columnBegin, long columnEnd) {
    if (blockScale.isPresent() || !lowRank.isEmpty()) {
      throw new IllegalArgumentException("only stored values can be sliced");
    }
    Objects.checkFromToIndex(rowBegin, rowEnd, rows());
    Objects.checkFromToIndex(columnBegin, columnEnd, columns());
    return of(
        new Matrix(
            values.buffer(),
            rowBegin == rowEnd || columnBegin == columnEnd
                ? values.offset()
                : values.offset()
                    + (rowBegin * values.rowStride() + columnBegin) * values.dtype().bytes(),
            values.dtype(),
            rowEnd - rowBegin,
            columnEnd - columnBegin,
            values.rowStride()));
  }

  /** Returns whether a call on the processor reads a copy of a part that lies on a device. */
  boolean hasHostCopy() {
    return values.buffer().hasHostCopy()
        || blockScale.filter(own -> own.scales().buffer().hasHostCopy()).isPresent()
        || lowRank.stream()
            .anyMatch(
                own -> own.left().buffer().hasHostCopy() || own.right().buffer().hasHostCopy());
  }

  long structBytes() {
    return Structs.OPERAND_SIZEOF + termBytes();
  }

  /** Bytes of the low-rank terms. */
  long termBytes() {
    return (long) lowRank.size() * Structs.LOW_RANK_SIZEOF;
  }

  /** Writes the struct at {@code at} and its terms after it, and takes leases on all buffers. */
  void write(NativeBuffer struct, long address, long at, Leases leases) {
    write(struct, address, at, at + Structs.OPERAND_SIZEOF, leases);
  }

  /** Writes the struct at {@code at} and its terms at {@code terms}, for arrays of structs. */
  void write(NativeBuffer struct, long address, long at, long terms, Leases leases) {
    struct.putLong(at + Structs.OPERAND_SIZE, Structs.OPERAND_SIZEOF);
    writeMatrix(values, struct, at + Structs.OPERAND_VALUES, leases);
    for (int i = 0; i < Structs.MATRIX_SIZEOF; i += 8) {
      struct.putLong(at + Structs.OPERAND_BLOCK_SCALE + i, 0);
    }
    long blockRows = 0;
    long blockColumns = 0;
    if (blockScale.isPresent()) {
      BlockScale scale = blockScale.get();
      writeMatrix(scale.scales(), struct, at + Structs.OPERAND_BLOCK_SCALE, leases);
      blockRows = scale.blockRows();
      blockColumns = scale.blockColumns();
    }
    struct
        .putLong(at + Structs.OPERAND_BLOCK_ROWS, blockRows)
        .putLong(at + Structs.OPERAND_BLOCK_COLUMNS, blockColumns)
        .putLong(at + Structs.OPERAND_LOW_RANK, lowRank.isEmpty() ? 0 : address + terms)
        .putLong(at + Structs.OPERAND_LOW_RANK_COUNT, lowRank.size());
    writeTerms(lowRank, struct, terms, leases);
  }

  /** Writes an array of {@code tg_low_rank}. */
  static void writeTerms(List<LowRank> terms, NativeBuffer struct, long at, Leases leases) {
    long term = at;
    for (LowRank product : terms) {
      writeMatrix(product.left(), struct, term + Structs.LOW_RANK_LEFT, leases);
      writeMatrix(product.right(), struct, term + Structs.LOW_RANK_RIGHT, leases);
      struct.putDouble(term + Structs.LOW_RANK_SCALE, product.scale());
      term += Structs.LOW_RANK_SIZEOF;
    }
  }

  static void writeMatrix(Matrix matrix, NativeBuffer struct, long at, Leases leases) {
    matrix.write(struct, at, leases.take(matrix.buffer()));
  }

  /**
   * Leases of one call, and memory that is only needed for it. A call of a CUDA context may lease
   * memory of a device. If the call runs on the processor all the same, it gets the copies on the
   * host, and the native library refuses by name what has none.
   */
  static final class Leases extends ArrayList<NativeBuffer.Lease> implements AutoCloseable {
    private static final long serialVersionUID = 1L;

    private final transient List<NativeBuffer> owned = new ArrayList<>();
    private final boolean onDevice;
    private final boolean copies;

    /** Begins without leases, for a call that runs on the processor. */
    Leases() {
      onDevice = false;
      copies = true;
    }

    /** Begins without leases, for a call that runs on the device of a context. */
    Leases(Context context) {
      this(context, false);
    }

    private Leases(Context context, boolean copies) {
      this.onDevice = context.device() == Context.Device.CUDA;
      this.copies = copies;
    }

    /** Returns no leases, for a call that runs on the processor in each context. */
    static Leases onProcessor(Context context) {
      return new Leases(context, true);
    }

    /** Allocates memory for this call. */
    NativeBuffer allocate(Context context, long bytes) {
      NativeBuffer buffer = context.allocate(bytes);
      owned.add(buffer);
      return buffer;
    }

    /** Takes a lease and returns the address. */
    long take(NativeBuffer buffer) {
      boolean copied = copies && buffer.hasHostCopy();
      NativeBuffer.Lease lease = onDevice && !copied ? buffer.leaseOnDevice() : buffer.lease();
      add(lease);
      return lease.address();
    }

    /** Takes a lease for output and returns the address. */
    long takeOutput(NativeBuffer buffer) {
      NativeBuffer.Lease lease =
          onDevice ? buffer.leaseOnDeviceForOutput() : buffer.leaseForOutput();
      add(lease);
      return lease.address();
    }

    @Override
    public void close() {
      for (NativeBuffer.Lease lease : this) {
        lease.close();
      }
      owned.forEach(NativeBuffer::close);
    }
  }
}
