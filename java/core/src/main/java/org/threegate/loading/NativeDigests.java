package org.threegate.loading;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Computes SHA-256 digests of files with the kernel library. This happens before there is a {@code
 * Context}, so the structs of {@code threegate.h} are written to a direct buffer.
 */
final class NativeDigests {
  private static final int THREADS = 4;
  private static final int OUT = 64; // pointers that functions return
  private static final int FILE = OUT;
  private static final int DATA = OUT + 8;
  private static final int BYTES = OUT + 16;
  private static final int ERROR = 128;
  private static final int ERROR_BYTES = 1024;
  private static final int REST = ERROR + ERROR_BYTES;
  private static final int DIGEST = 32;

  /** Size of a part in bytes. The build (ci/native) writes digests of parts of this size. */
  static final int PART = 4 << 20;

  private NativeDigests() {}

  /**
   * Returns the digests of the parts of each file, in order, one per line. Files that the library
   * cannot read are left out.
   */
  static Map<Path, String> of(KernelBinding binding, List<Path> files) {
    ByteBuffer block = ByteBuffer.allocateDirect(REST).order(ByteOrder.LITTLE_ENDIAN);
    long address = binding.addressOf(block);
    block
        .putLong(Structs.CONTEXT_OPTIONS_SIZE, Structs.CONTEXT_OPTIONS_SIZEOF)
        .putInt(Structs.CONTEXT_OPTIONS_THREADS, THREADS);
    if (binding.contextCreate(address, address + OUT, address + ERROR, ERROR_BYTES) != 0) {
      return new LinkedHashMap<>();
    }
    long context = block.getLong(OUT);
    List<Long> mapped = new ArrayList<>();
    List<Part> parts = new ArrayList<>();
    try {
      for (Path file : files) {
        if (map(binding, context, file, block, address)) {
          mapped.add(block.getLong(FILE));
          long bytes = block.getLong(BYTES);
          for (long at = 0; at < bytes; at += PART) {
            parts.add(new Part(file, block.getLong(DATA) + at, Math.min(PART, bytes - at)));
          }
        }
      }
      return digests(binding, context, parts);
    } finally {
      mapped.forEach(binding::mappedFileClose);
      binding.contextDestroy(context);
    }
  }

  private record Part(Path file, long address, long bytes) {}

  private static Map<Path, String> digests(KernelBinding binding, long context, List<Part> parts) {
    int count = parts.size();
    ByteBuffer block =
        ByteBuffer.allocateDirect((Structs.SPAN_SIZEOF + DIGEST) * count)
            .order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      int span = Structs.SPAN_SIZEOF * i;
      block
          .putLong(span + Structs.SPAN_DATA, parts.get(i).address())
          .putLong(span + Structs.SPAN_BYTES, parts.get(i).bytes());
    }
    long address = binding.addressOf(block);
    Map<Path, String> digests = new LinkedHashMap<>();
    if (binding.sha256(context, address, count, 0, address + (long) Structs.SPAN_SIZEOF * count)
        == 0) {
      byte[] digest = new byte[DIGEST];
      block.position(Structs.SPAN_SIZEOF * count);
      for (Part part : parts) {
        block.get(digest);
        digests.merge(part.file(), HexFormat.of().formatHex(digest) + "\n", String::concat);
      }
    }
    return digests;
  }

  private static boolean map(
      KernelBinding binding, long context, Path file, ByteBuffer block, long address) {
    byte[] name =
        file.toString().getBytes(Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8")));
    ByteBuffer zeroTerminated = ByteBuffer.allocateDirect(name.length + 1).put(name).put((byte) 0);
    int status =
        binding.mappedFileOpen(
            context,
            binding.addressOf(zeroTerminated),
            address + FILE,
            address + DATA,
            address + BYTES);
    Reference.reachabilityFence(zeroTerminated);
    return status == 0;
  }
}
