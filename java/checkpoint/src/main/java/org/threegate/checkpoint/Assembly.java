package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;

/**
 * Copies entries of a tensor from its pieces into the order of the indexes. Runs of entries that
 * lie together are copied at once. A piece whose last dimension has gaps, such as a transposed one,
 * is copied in tiles, so that each line of the cache is read once.
 */
final class Assembly {
  /** Receives runs of entries that lie together in a file, wherever the receiver wants them. */
  @FunctionalInterface
  interface Runs {
    /**
     * Takes a run, or leaves it to be copied through the mapping.
     *
     * @param file position of the first byte in the file
     * @param to position of the first byte of the destination
     * @param bytes number of bytes
     * @return whether the run was taken
     */
    boolean take(long file, long to, long bytes);
  }

  private static final int TILE = 64;
  private static final int COPIED_BYTES = 1 << 24;

  private final TensorPiece piece;
  private final int bytes;
  private final long begin;
  private final long end;
  private final TensorPiece.Destination to;
  private final Runs direct;
  private final List<Long> begins;
  private final List<Long> sizes;
  private final List<Long> strides;
  private final List<Long> targets;
  private NativeBuffer.Lease lease;

  /** Keeps the dimensions of a piece that are not copied at once, and clips the first one. */
  private Assembly(
      TensorPiece piece,
      List<Long> space,
      long begin,
      long end,
      TensorPiece.Destination to,
      Runs direct) {
    this.piece = piece;
    this.bytes = piece.tensor().type().bits() / Byte.SIZE;
    this.begin = begin;
    this.end = end;
    this.to = to;
    this.direct = direct;
    this.begins = new ArrayList<>(piece.begin());
    this.sizes = new ArrayList<>(piece.size());
    this.strides = new ArrayList<>(piece.strides());
    this.targets = new ArrayList<>();
    long target = 1;
    for (int i = space.size() - 1; i >= 0; i--) {
      targets.add(0, target);
      target *= space.get(i);
    }
  }

  /**
   * Copies the entries of a piece that lie in a range.
   *
   * @param space dimensions that the piece lies in
   * @param begin index of the first entry, in the order of the indexes
   * @param end index after the last entry
   * @param to receives the entries; offset 0 is that of the first one of the range
   */
  static void copy(
      TensorPiece piece, List<Long> space, long begin, long end, TensorPiece.Destination to) {
    new Assembly(piece, space, begin, end, to, (file, at, bytes) -> false).copy();
  }

  /** Copies the entries of a piece that lie in a range, and offers each run of them first. */
  static void copy(
      TensorPiece piece,
      List<Long> space,
      long begin,
      long end,
      TensorPiece.Destination to,
      Runs direct) {
    new Assembly(piece, space, begin, end, to, direct).copy();
  }

  private void copy() {
    long from = 0; // stored entry of the first index that is copied
    long target = 0; // entry of the whole at that index
    for (int i = 0; i < sizes.size(); i++) {
      target += begins.get(i) * targets.get(i);
    }
    if (!sizes.isEmpty()) {
      long row = targets.get(0);
      long low = Math.max(begins.get(0), begin / row);
      long high = Math.min(begins.get(0) + sizes.get(0), (end + row - 1) / row);
      if (low >= high) {
        return;
      }
      from = (low - begins.get(0)) * strides.get(0);
      target += (low - begins.get(0)) * row;
      sizes.set(0, high - low);
    }
    long run = 1;
    for (int i = sizes.size() - 1; i >= 0; i--) {
      if (sizes.get(i) == 1) {
        remove(i);
      } else if (i == sizes.size() - 1 && strides.get(i) == run && targets.get(i) == run) {
        run *= sizes.get(i);
        remove(i);
      }
    }
    try (NativeBuffer.Lease own = piece.tensor().file().buffer().lease()) {
      lease = own;
      if (run == 1 && !sizes.isEmpty() && targets.get(targets.size() - 1) == 1) {
        int inner = sizes.size() - 1;
        tiles(0, inner, strides.subList(0, inner).indexOf(1L), from, target);
      } else {
        runs(0, run, from, target);
      }
    }
  }

  private void remove(int dimension) {
    begins.remove(dimension);
    sizes.remove(dimension);
    strides.remove(dimension);
    targets.remove(dimension);
  }

  /** Copies runs of entries for all indexes of the dimensions from one on. */
  private void runs(int dimension, long run, long from, long target) {
    if (dimension == sizes.size()) {
      long low = Math.max(begin, target);
      long high = Math.min(end, target + run);
      long stored = piece.tensor().offset() + (from + low - target) * bytes;
      if (low < high && direct.take(stored, (low - begin) * bytes, (high - low) * bytes)) {
        return;
      }
      for (long at = low; at < high; at += COPIED_BYTES / bytes) {
        int count = (int) Math.min(COPIED_BYTES / bytes, high - at) * bytes;
        to.put((at - begin) * bytes, view(from + at - target, count));
      }
      return;
    }
    for (long i = 0; i < sizes.get(dimension); i++) {
      runs(
          dimension + 1,
          run,
          from + i * strides.get(dimension),
          target + i * targets.get(dimension));
    }
  }

  /**
   * Copies entries in tiles over the inner dimension and the one whose entries lie together.
   *
   * @param close index of that dimension; -1 if there is none
   */
  private void tiles(int dimension, int inner, int close, long from, long target) {
    if (dimension == close) {
      tiles(dimension + 1, inner, close, from, target);
    } else if (dimension < inner) {
      for (long i = 0; i < sizes.get(dimension); i++) {
        tiles(
            dimension + 1,
            inner,
            close,
            from + i * strides.get(dimension),
            target + i * targets.get(dimension));
      }
    } else {
      long rows = close < 0 ? 1 : sizes.get(close);
      long row = close < 0 ? 0 : targets.get(close);
      for (long i = 0; i < rows; i += TILE) {
        for (long j = 0; j < sizes.get(inner); j += TILE) {
          int height = (int) Math.min(TILE, rows - i);
          int width = (int) Math.min(TILE, sizes.get(inner) - j);
          tile(height, width, row, from + i + j * strides.get(inner), target + i * row + j);
        }
      }
    }
  }

  /** Copies a tile whose columns lie together. */
  private void tile(int height, int width, long row, long from, long target) {
    long step = strides.get(strides.size() - 1);
    ByteBuffer turned = ByteBuffer.allocate(height * width * bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int j = 0; j < width; j++) {
      ByteBuffer column = view(from + j * step, height * bytes).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < height; i++) {
        int at = (i * width + j) * bytes;
        switch (bytes) {
          case 1 -> turned.put(at, column.get(i));
          case 2 -> turned.putShort(at, column.getShort(2 * i));
          case 4 -> turned.putInt(at, column.getInt(4 * i));
          default -> turned.putLong(at, column.getLong(8 * i));
        }
      }
    }
    for (int i = 0; i < height; i++) {
      long first = target + i * row;
      int low = (int) Math.max(0, begin - first);
      int high = (int) Math.min(width, end - first);
      if (low < high) {
        to.put(
            (first + low - begin) * bytes,
            turned.slice((i * width + low) * bytes, (high - low) * bytes));
      }
    }
  }

  private ByteBuffer view(long entry, int count) {
    return lease.view(piece.tensor().offset() + entry * bytes, count);
  }
}
