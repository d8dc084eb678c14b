package org.threegate.rl.policy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;

/**
 * Validates the table of SentencePiece's {@code Precompiled} normalizer. The table is a
 * double-array trie followed by the replacement texts, each terminated by a zero byte. The library
 * reads it without bounds checks, so every node that a key can reach is visited here first.
 */
final class NormalizationTable {
  private static final int LARGEST = 4 << 20;
  private static final int LONGEST_REPLACEMENT = 256;
  // The library looks up graphemes of less than six bytes.
  private static final int LONGEST_KEY = 6;
  private static final int BLOCK = 0xFF;

  private final int[] units;
  private final byte[] texts;
  private double growth = 1;

  private NormalizationTable(int[] units, byte[] texts) {
    this.units = units;
    this.texts = texts;
  }

  /**
   * Validates a table, and returns the largest factor by which it can lengthen a text, in bytes.
   *
   * @throws IllegalArgumentException when the table is invalid, with the reason
   */
  static double growth(byte[] table) {
    check(table.length <= LARGEST, "is larger than " + LARGEST + " bytes");
    ByteBuffer buffer = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN);
    check(table.length > Integer.BYTES, "has no trie");
    int size = buffer.getInt();
    check(
        size > 0 && size % Integer.BYTES == 0 && size <= buffer.remaining(),
        "declares a wrong size of the trie");
    int[] units = new int[size / Integer.BYTES];
    buffer.asIntBuffer().get(units);
    byte[] texts = new byte[buffer.remaining() - size];
    buffer.position(buffer.position() + size).get(texts);
    NormalizationTable walk = new NormalizationTable(units, texts);
    walk.all();
    return walk.growth;
  }

  private void all() {
    try {
      CharBuffer ignored = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(texts));
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("has texts that are not UTF-8", e);
    }
    BitSet reached = new BitSet(units.length);
    BitSet level = new BitSet();
    level.set(node(0, units[0]));
    for (int length = 1; length < LONGEST_KEY && !level.isEmpty(); length++) {
      BitSet next = new BitSet();
      for (int node = level.nextSetBit(0); node >= 0; node = level.nextSetBit(node + 1)) {
        if (!reached.get(node)) {
          reached.set(node);
          children(node, length, next);
        }
      }
      level = next;
    }
  }

  private void children(int node, int length, BitSet next) {
    for (int label = 1; label <= BLOCK; label++) {
      int unit = units[node ^ label];
      // The highest bit marks a value, which is not a child.
      if ((unit & (0x80000000 | BLOCK)) == label) {
        int child = node(node ^ label, unit);
        if ((unit >>> 8 & 1) == 1) {
          replacement(units[child] & Integer.MAX_VALUE, length);
        }
        next.set(child);
      }
    }
  }

  /** Returns the offset of a node's children, within a block of 256 units that may all be read. */
  private int node(int position, int unit) {
    long offset = (unit >>> 10 & 0x3FFFFFL) << ((unit & 0x200) >>> 6);
    long node = position ^ offset;
    check((node | BLOCK) < units.length, "has a trie with an offset out of range");
    return (int) node;
  }

  private void replacement(int start, int length) {
    check(start <= texts.length, "has a value beyond the end of its texts");
    check(start == texts.length || (texts[start] & 0xC0) != 0x80, "has a value within a character");
    int end = start;
    while (end < texts.length && texts[end] != 0) {
      end++;
      check(end - start <= LONGEST_REPLACEMENT, "has a text that is too long for a character");
    }
    growth = Math.max(growth, (end - start) / (double) length);
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalArgumentException(otherwise);
    }
  }
}
