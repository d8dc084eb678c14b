package org.threegate.patch;

import java.util.concurrent.CompletableFuture;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * What a tensor's change comes to.
 *
 * @param changed elements
 * @param last changed element; −1 without one
 * @param widestGap between changed elements, the first one's from the beginning among them
 * @param before checksum of all bytes before
 * @param after and after
 */
record Survey(long changed, long last, long widestGap, String before, String after) {
  static Survey of(Context context, Change change, ChecksumFormat checksum) {
    int width = Change.width(change.after());
    ChecksumFormat.Checksum before = checksum.begin();
    ChecksumFormat.Checksum after = checksum.begin();
    long[] sums = {0, -1, 0};
    change.<RuntimeException>forEachChunk(
        context,
        width,
        ChangedElements.Form.OVERWRITE,
        (begin, count, found) -> {
          int bytes = Math.toIntExact(width * count);
          // While the chunk is in the caches; checksums take longer than all the rest.
          CompletableFuture<Void> other =
              CompletableFuture.runAsync(
                  () -> before.update(PatchWriter.slice(change.before(), begin * width, bytes)));
          after.update(PatchWriter.slice(change.after(), begin * width, bytes));
          other.join();
          for (long i = 0; i < found.count(); i++) {
            long position = begin + found.positions().getInt(4 * i);
            sums[2] = Math.max(sums[2], position - sums[1] - 1);
            sums[1] = position;
          }
          sums[0] += found.count();
        });
    return new Survey(sums[0], sums[1], sums[2], before.hex(), after.hex());
  }
}
