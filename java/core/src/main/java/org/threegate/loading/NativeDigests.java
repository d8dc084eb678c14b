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

/**
 * SHA-256 of files by the kernel library itself, before there is a {@code Context}: the structs of
 * {@code threegate.h} in one direct buffer.
 */
final class NativeDigests {
  private static final int OPTIONS = 24; // tg_context_options: the size, threads and zeros
  private static final int THREADS_AT = 8;
  private static final int THREADS = 4;
  private static final int OUT = 64; // pointers that functions return
  private static final int FILE = OUT;
  private static final int DATA = OUT + 8;
  private static final int BYTES = OUT + 16;
  private static final int ERROR = 128;
  private static final int ERROR_BYTES = 1024;
  private static final int REST = ERROR + ERROR_BYTES;
  private static final int SPAN = 16;
  private static final int DIGEST = 32;

  private NativeDigests() {}

  /** By name; without those that the library cannot read. */
  static Map<String, String> of(KernelBinding binding, List<Path> files) {
    int digestsAt = REST + SPAN * files.size();
    ByteBuffer block =
        ByteBuffer.allocateDirect(digestsAt + DIGEST * files.size()).order(ByteOrder.LITTLE_ENDIAN);
    long address = binding.addressOf(block);
    block.putLong(0, OPTIONS).putInt(THREADS_AT, THREADS);
    Map<String, String> digests = new LinkedHashMap<>();
    if (binding.contextCreate(address, address + OUT, address + ERROR, ERROR_BYTES) != 0) {
      return digests;
    }
    long context = block.getLong(OUT);
    List<Long> mapped = new ArrayList<>();
    List<String> names = new ArrayList<>();
    try {
      for (Path file : files) {
        if (map(binding, context, file, block, address)) {
          block.putLong(REST + SPAN * mapped.size(), block.getLong(DATA));
          block.putLong(REST + SPAN * mapped.size() + 8, block.getLong(BYTES));
          mapped.add(block.getLong(FILE));
          names.add(file.getFileName().toString());
        }
      }
      if (binding.sha256(context, address + REST, names.size(), 0, address + digestsAt) == 0) {
        byte[] digest = new byte[DIGEST];
        for (int i = 0; i < names.size(); i++) {
          block.get(digestsAt + DIGEST * i, digest);
          digests.put(names.get(i), HexFormat.of().formatHex(digest));
        }
      }
      return digests;
    } finally {
      mapped.forEach(binding::mappedFileClose);
      binding.contextDestroy(context);
    }
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
