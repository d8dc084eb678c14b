package org.threegate.checkpoint.torch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.file.InputFiles;
import org.threegate.run.PrintableText;

/**
 * The entries of a zip archive as torch writes it. Only what torch writes is valid: entries are
 * stored without compression, names are unique, no entry overlaps another one, and nothing follows
 * the directory. An entry can therefore be read where it lies, and an archive is never larger than
 * its file.
 *
 * @param entries entries by name, in the order of the directory
 */
record ZipDirectory(Map<String, Range> entries) {
  /**
   * The data of an entry.
   *
   * @param begin position of the first byte in the file
   * @param bytes number of bytes
   */
  record Range(long begin, long bytes) {
    long end() {
      return begin + bytes;
    }
  }

  /** First bytes of a zip archive that has an entry. */
  static final int LOCAL = 0x04034b50;

  private static final ByteOrder LITTLE = ByteOrder.LITTLE_ENDIAN;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int END_64 = 0x06064b50;
  private static final int LOCATOR_64 = 0x07064b50;
  private static final int LOCAL_BYTES = 30;
  private static final int CENTRAL_BYTES = 46;
  private static final int END_BYTES = 22;
  private static final int END_64_BYTES = 56;
  private static final int LOCATOR_64_BYTES = 20;
  private static final int LARGEST_DIRECTORY = 64 << 20;
  private static final int ENCRYPTED = 1;
  private static final int EXTRA_64 = 1;
  private static final long IN_EXTRA = 0xFFFFFFFFL;

  /** Where the directory lies, as the end of the archive states it. */
  private record Place(long entries, long bytes, long offset, long end) {}

  /** An entry of the directory, and where its own header begins. */
  private record Found(String name, long header, Range data) {}

  static ZipDirectory read(ByteSource source) {
    Place place = place(source);
    if (place.bytes() < 0
        || place.bytes() > LARGEST_DIRECTORY
        || place.offset() < 0
        || place.offset() > place.end()
        || place.offset() + place.bytes() != place.end()
        || place.entries() < 0
        || place.entries() > place.bytes() / CENTRAL_BYTES) {
      throw source.damaged("its zip directory does not lie before its end");
    }
    ByteBuffer directory = little(source.read(place.offset(), (int) place.bytes()));
    List<Found> found = new ArrayList<>();
    for (long i = 0; i < place.entries(); i++) {
      found.add(entry(source, directory, place.offset()));
    }
    if (directory.hasRemaining()) {
      throw source.damaged("its zip directory has more bytes than entries");
    }
    found.sort(Comparator.comparingLong(Found::header));
    long covered = 0;
    Map<String, Range> entries = new LinkedHashMap<>();
    for (Found one : found) {
      if (one.header() < covered) {
        throw source.damaged("zip entry " + shown(one.name()) + " overlaps another one");
      }
      covered = one.data().end();
      if (entries.put(one.name(), one.data()) != null) {
        throw source.damaged("has two zip entries " + shown(one.name()));
      }
    }
    return new ZipDirectory(entries);
  }

  /** Returns the data of an entry. */
  Optional<Range> find(String name) {
    return Optional.ofNullable(entries.get(name));
  }

  private static Place place(ByteSource source) {
    long at = source.bytes() - END_BYTES;
    if (at < 0) {
      throw source.damaged("is too short for a zip archive");
    }
    ByteBuffer end = little(source.read(at, END_BYTES));
    if (end.getInt(0) != END || end.getShort(20) != 0) {
      throw source.damaged("does not end with the directory of a zip archive");
    }
    if (end.getInt(4) != 0 || end.getShort(8) != end.getShort(10)) {
      throw source.damaged("is a part of a zip archive");
    }
    long entries = end.getShort(10) & 0xFFFFL;
    long bytes = end.getInt(12) & 0xFFFFFFFFL;
    long offset = end.getInt(16) & 0xFFFFFFFFL;
    Optional<Place> large = place64(source, at);
    if (large.isEmpty()) {
      return new Place(entries, bytes, offset, at);
    }
    // Numbers that fit into the short record must be equal in both.
    if ((entries != 0xFFFFL && entries != large.get().entries())
        || (bytes != IN_EXTRA && bytes != large.get().bytes())
        || (offset != IN_EXTRA && offset != large.get().offset())) {
      throw source.damaged("its two zip directories differ");
    }
    return large.get();
  }

  /** Returns the place that the 64-bit record before the end states, if there is one. */
  private static Optional<Place> place64(ByteSource source, long end) {
    long at = end - LOCATOR_64_BYTES;
    if (at < END_64_BYTES) {
      return Optional.empty();
    }
    ByteBuffer locator = little(source.read(at, LOCATOR_64_BYTES));
    if (locator.getInt(0) != LOCATOR_64) {
      return Optional.empty();
    }
    long record = locator.getLong(8);
    if (record != at - END_64_BYTES || locator.getInt(4) != 0) {
      throw source.damaged("its 64-bit zip directory is not where it should be");
    }
    ByteBuffer large = little(source.read(record, END_64_BYTES));
    if (large.getInt(0) != END_64
        || large.getLong(4) != END_64_BYTES - 12
        || large.getLong(24) != large.getLong(32)) {
      throw source.damaged("its 64-bit zip directory is not valid");
    }
    return Optional.of(new Place(large.getLong(32), large.getLong(40), large.getLong(48), record));
  }

  /** Reads an entry of the directory and its own header. */
  private static Found entry(ByteSource source, ByteBuffer directory, long end) {
    int at = directory.position();
    if (directory.remaining() < CENTRAL_BYTES || directory.getInt(at) != CENTRAL) {
      throw source.damaged("its zip directory is not valid");
    }
    int flags = directory.getShort(at + 8);
    int method = directory.getShort(at + 10);
    long packed = directory.getInt(at + 20) & 0xFFFFFFFFL;
    long bytes = directory.getInt(at + 24) & 0xFFFFFFFFL;
    int nameBytes = directory.getShort(at + 28) & 0xFFFF;
    int extraBytes = directory.getShort(at + 30) & 0xFFFF;
    int commentBytes = directory.getShort(at + 32) & 0xFFFF;
    long header = directory.getInt(at + 42) & 0xFFFFFFFFL;
    if (directory.remaining() < CENTRAL_BYTES + nameBytes + extraBytes + commentBytes) {
      throw source.damaged("its zip directory is not valid");
    }
    byte[] rawName = new byte[nameBytes];
    directory.get(at + CENTRAL_BYTES, rawName);
    String name = InputFiles.decode(ByteBuffer.wrap(rawName), () -> source.name() + ": zip entry");
    ByteBuffer extra =
        extra64(directory.slice(at + CENTRAL_BYTES + nameBytes, extraBytes).order(LITTLE));
    // In this order, and only those that do not fit.
    bytes = bytes == IN_EXTRA && extra.remaining() >= Long.BYTES ? extra.getLong() : bytes;
    packed = packed == IN_EXTRA && extra.remaining() >= Long.BYTES ? extra.getLong() : packed;
    header = header == IN_EXTRA && extra.remaining() >= Long.BYTES ? extra.getLong() : header;
    directory.position(at + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes);
    if (method != 0 || (flags & ENCRYPTED) != 0 || packed != bytes) {
      throw source.refusal(
          "zip entry "
              + shown(name)
              + " is compressed, which no state dictionary is; if it is a TorchScript program, save"
              + " its tensors: torch.save(torch.jit.load(FILE).state_dict(), NEW)");
    }
    long begin = begin(source, name, rawName, header, end);
    if (bytes < 0 || bytes > end - begin) {
      throw source.damaged("zip entry " + shown(name) + " ends beyond the archive");
    }
    return new Found(name, header, new Range(begin, bytes));
  }

  /** Returns where the data of an entry begin, after its own header. */
  private static long begin(
      ByteSource source, String name, byte[] rawName, long header, long directory) {
    if (header < 0 || header > directory - LOCAL_BYTES - rawName.length) {
      throw source.damaged("zip entry " + shown(name) + " is not before the directory");
    }
    ByteBuffer local = little(source.read(header, LOCAL_BYTES + rawName.length));
    boolean same =
        local.getInt(0) == LOCAL
            && local.getShort(8) == 0
            && (local.getShort(26) & 0xFFFF) == rawName.length
            && local.slice(LOCAL_BYTES, rawName.length).equals(ByteBuffer.wrap(rawName));
    long begin = header + LOCAL_BYTES + rawName.length + (local.getShort(28) & 0xFFFF);
    if (!same || begin > directory) {
      throw source.damaged("zip entry " + shown(name) + " differs from its own header");
    }
    return begin;
  }

  /** Returns the 64-bit numbers in the extra field of an entry; empty if there are none. */
  private static ByteBuffer extra64(ByteBuffer extra) {
    while (extra.remaining() >= 4) {
      int id = extra.getShort() & 0xFFFF;
      int bytes = Math.min(extra.getShort() & 0xFFFF, extra.remaining());
      if (id == EXTRA_64) {
        return extra.slice(extra.position(), bytes).order(LITTLE);
      }
      extra.position(extra.position() + bytes);
    }
    return ByteBuffer.allocate(0);
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(LITTLE);
  }

  private static String shown(String name) {
    return "\"" + PrintableText.name(name) + "\"";
  }
}
