package org.threegate.checkpoint.torch;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/** Writes zip archives by hand, so that tests can make each field wrong. */
final class Archives {
  /** Version 2 of the language of pickles. */
  static final String PROTOCOL = "\u0080\u0002";

  private record Entry(int offset, byte[] central) {}

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final List<Entry> entries = new ArrayList<>();

  /** Returns a file in memory. */
  static ByteSource source(byte[] file) {
    return new ByteSource() {
      @Override
      public String name() {
        return "x.pt";
      }

      @Override
      public long bytes() {
        return file.length;
      }

      @Override
      public byte[] read(long offset, int count) {
        byte[] part = new byte[count];
        System.arraycopy(file, Math.toIntExact(offset), part, 0, count);
        return part;
      }
    };
  }

  /** Returns an archive of torch with a pickle and the elements of one storage. */
  static byte[] of(String pickle, byte... elements) {
    return new Archives()
        .with("x/data.pkl", latin(pickle))
        .with("x/byteorder", latin("little"))
        .with("x/data/0", elements)
        .end();
  }

  /** Returns the pickle of a dictionary with one tensor of four bytes. */
  static String tensor(String name, String arguments) {
    return PROTOCOL
        + "}"
        + text(name)
        + "ctorch._utils\n_rebuild_tensor_v2\n("
        + storage("ByteStorage", "0", 4)
        + arguments
        + "tRs.";
  }

  /** Returns the code of a storage. */
  static String storage(String type, String key, int elements) {
    return "("
        + text("storage")
        + "ctorch\n"
        + type
        + "\n"
        + text(key)
        + text("cpu")
        + number(elements)
        + "tQ";
  }

  /** Returns the code of a text. */
  static String text(String text) {
    return "X" + (char) text.length() + "\0\0\0" + text;
  }

  /** Returns the code of an integer. */
  static String number(int value) {
    byte[] bytes = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
    return "J" + new String(bytes, StandardCharsets.ISO_8859_1);
  }

  static byte[] latin(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  Archives with(String name, byte[] data) {
    byte[] raw = name.getBytes(StandardCharsets.UTF_8);
    CRC32 crc = new CRC32();
    crc.update(data);
    int offset = out.size();
    ByteBuffer local =
        little(30).putInt(ZipDirectory.LOCAL).putShort((short) 20).putShort((short) 0);
    local.putShort((short) 0).putInt(0).putInt((int) crc.getValue());
    local.putInt(data.length).putInt(data.length).putShort((short) raw.length).putShort((short) 0);
    out.writeBytes(local.array());
    out.writeBytes(raw);
    out.writeBytes(data);
    ByteBuffer central = little(46 + raw.length).putInt(0x02014b50).putInt(0x00140014);
    central.putShort((short) 0).putShort((short) 0).putInt(0).putInt((int) crc.getValue());
    central.putInt(data.length).putInt(data.length).putShort((short) raw.length);
    central.putShort((short) 0).putShort((short) 0).putShort((short) 0).putShort((short) 0);
    central.putInt(0).putInt(offset).put(raw);
    entries.add(new Entry(offset, central.array()));
    return this;
  }

  /** Changes a field of the last entry in the directory. */
  Archives central(int at, int bytes, long value) {
    ByteBuffer last = ByteBuffer.wrap(entries.get(entries.size() - 1).central());
    last.order(ByteOrder.LITTLE_ENDIAN);
    if (bytes == 2) {
      last.putShort(at, (short) value);
    } else {
      last.putInt(at, (int) value);
    }
    return this;
  }

  byte[] end() {
    int offset = out.size();
    entries.forEach(entry -> out.writeBytes(entry.central()));
    int bytes = out.size() - offset;
    ByteBuffer end = little(22).putInt(0x06054b50).putInt(0);
    end.putShort((short) entries.size()).putShort((short) entries.size());
    end.putInt(bytes).putInt(offset).putShort((short) 0);
    out.writeBytes(end.array());
    return out.toByteArray();
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
