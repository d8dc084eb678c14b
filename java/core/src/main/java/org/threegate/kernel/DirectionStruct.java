package org.threegate.kernel;

import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/** A {@code tg_direction} and what it points to. */
final class DirectionStruct {
  private DirectionStruct() {}

  /** Bytes of what a struct points to. */
  static long detailBytes(Direction direction) {
    if (direction instanceof Direction.Entries entries) {
      return entries.matrix().structBytes()
          + entries.subtracted().map(Operand::structBytes).orElse(0L);
    }
    return (long) ((Direction.Factors) direction).terms().size() * Structs.LOW_RANK_SIZEOF;
  }

  /** Writes a tg_direction at {@code at}; the first lease is that of the structs. */
  static void write(
      Context context,
      Direction direction,
      NativeBuffer structs,
      long at,
      long detailAt,
      Operand.Leases leases,
      List<NativeBuffer> masks) {
    long address = leases.get(0).address();
    structs.putLong(at + Structs.DIRECTION_SIZE, Structs.DIRECTION_SIZEOF);
    for (int field = Structs.DIRECTION_MATRIX; field < Structs.DIRECTION_SIZEOF; field += 8) {
      structs.putLong(at + field, 0);
    }
    if (direction instanceof Direction.Entries entries) {
      entries.matrix().write(structs, address, detailAt, leases);
      structs.putLong(at + Structs.DIRECTION_MATRIX, address + detailAt);
      long subtractedAt = detailAt + entries.matrix().structBytes();
      entries
          .subtracted()
          .ifPresent(
              other -> {
                other.write(structs, address, subtractedAt, leases);
                structs.putLong(at + Structs.DIRECTION_SUBTRACTED, address + subtractedAt);
              });
      entries
          .mask()
          .ifPresent(
              mask -> {
                NativeBuffer words = mask.copyTo(context);
                masks.add(words);
                structs.putLong(at + Structs.DIRECTION_MASK, leases.take(words));
              });
      return;
    }
    List<Operand.LowRank> terms = ((Direction.Factors) direction).terms();
    Operand.writeTerms(terms, structs, detailAt, leases);
    structs
        .putLong(at + Structs.DIRECTION_LOW_RANK, address + detailAt)
        .putLong(at + Structs.DIRECTION_LOW_RANK_COUNT, terms.size());
  }
}
