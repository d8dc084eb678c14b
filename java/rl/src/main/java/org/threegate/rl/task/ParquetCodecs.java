package org.threegate.rl.task;

import com.github.luben.zstd.Zstd;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.GZIPInputStream;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;

/**
 * Decompresses pages of Parquet files: Snappy, Zstandard, gzip, and pages without compression. A
 * page never becomes larger than its header says, nor than {@link #LARGEST_PAGE}.
 */
final class ParquetCodecs {
  static final int LARGEST_PAGE = 1 << 28; // bytes

  private ParquetCodecs() {}

  static byte[] decompressed(CompressionCodecName codec, byte[] bytes, int size)
      throws IOException {
    if (size < 0 || size > LARGEST_PAGE) {
      throw new IOException("a page of " + size + " bytes; at most " + LARGEST_PAGE + " are read");
    }
    byte[] out =
        switch (codec) {
          case UNCOMPRESSED -> bytes;
          case SNAPPY -> snappy(bytes, size);
          case ZSTD -> size == 0 ? new byte[0] : Zstd.decompress(bytes, size);
          case GZIP -> gzip(bytes, size);
          default ->
              throw new IOException(
                  "the compression " + codec + "; write the file with snappy, zstd, gzip or none");
        };
    if (out.length != size) {
      throw new IOException("a page has " + out.length + " bytes, and its header says " + size);
    }
    return out;
  }

  private static byte[] gzip(byte[] bytes, int size) throws IOException {
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
      return in.readNBytes(size + 1);
    }
  }

  /**
   * Decompresses Snappy's raw format (github.com/google/snappy, format_description.txt): a length,
   * then literals and copies of what came before.
   */
  static byte[] snappy(byte[] in, int size) throws IOException {
    byte[] out = new byte[size];
    int from = 0;
    while (from < in.length && in[from] < 0) { // the length, which the caller knows
      from++;
    }
    from++;
    int to = 0;
    try {
      while (from < in.length) {
        int tag = in[from++] & 0xff;
        int length = tag >>> 2;
        if ((tag & 3) == 0) {
          if (length >= 60) {
            int bytes = length - 59;
            length = little(in, from, bytes);
            from += bytes;
          }
          length++;
          System.arraycopy(in, from, out, to, length);
          from += length;
          to += length;
        } else {
          int offset;
          if ((tag & 3) == 1) {
            length = (length & 7) + 4;
            offset = (tag >>> 5) << 8 | in[from++] & 0xff;
          } else {
            int bytes = (tag & 3) == 2 ? 2 : 4;
            length++;
            offset = little(in, from, bytes);
            from += bytes;
          }
          if (offset < 1 || offset > to) {
            throw new IOException("damaged Snappy data");
          }
          // Copies may overlap what they write.
          for (int end = to + length; to < end; to++) {
            out[to] = out[to - offset];
          }
        }
      }
    } catch (IndexOutOfBoundsException e) {
      throw new IOException("damaged Snappy data", e);
    }
    if (to != size) {
      throw new IOException("damaged Snappy data");
    }
    return out;
  }

  private static int little(byte[] in, int from, int bytes) {
    int value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (in[from + i] & 0xff) << 8 * i;
    }
    return value;
  }
}
