package org.threegate.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.patch.PatchCreator;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchInPlace;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.PatchVerifier;
import org.threegate.patch.WeightPatch;
import org.threegate.run.Progress;

/**
 * Measures patches of a pair of checkpoints from files to files, after a warm-up, as in a publisher
 * that runs for long. The times are compared with reading both checkpoints and with writing a whole
 * one. Prints name, seconds and ratio.
 */
public final class PatchBench {
  private static final int RUNS = 4; // the first one warms up
  private static final int BLOCK = 1 << 19;

  private final Path directory;

  private PatchBench(Path directory) {
    this.directory = directory;
  }

  public static void main(String[] arguments) throws IOException {
    new PatchBench(Path.of(arguments[0])).run();
  }

  private interface Work {
    void run(Context context) throws IOException;
  }

  /** Returns the best time of several runs, each with its own context. */
  private double seconds(Work before, Work work) throws IOException {
    double best = Double.POSITIVE_INFINITY;
    for (int i = 0; i < RUNS; i++) {
      try (Context context = Context.open(Context.Device.CPU, 0)) {
        before.run(context);
        long begin = System.nanoTime();
        work.run(context);
        best = i == 0 ? best : Math.min(best, (System.nanoTime() - begin) * 1e-9);
      }
    }
    return best;
  }

  private static void print(String name, double seconds, String ratio) {
    System.out.printf(Locale.ROOT, "%s\t%.3f\t%s%n", name, seconds, ratio);
  }

  private static String times(double ratio) {
    return String.format(Locale.ROOT, "%.2f", ratio);
  }

  private Path base() {
    return directory.resolve("base");
  }

  private Path tuned() {
    return directory.resolve("tuned");
  }

  /** Reads all tensors of both checkpoints in blocks, on all threads, and does not use them. */
  private void read(Context context) {
    try (Checkpoint before = Checkpoint.open(context, base());
        Checkpoint after = Checkpoint.open(context, tuned())) {
      List<Tensor> tensors = new ArrayList<>(before.tensors().values());
      tensors.addAll(after.tensors().values());
      AtomicInteger next = new AtomicInteger();
      List<CompletableFuture<Void>> threads = new ArrayList<>();
      for (int i = 0; i < context.threads(); i++) {
        threads.add(CompletableFuture.runAsync(() -> read(tensors, next)));
      }
      threads.forEach(CompletableFuture::join);
    }
  }

  private static void read(List<Tensor> tensors, AtomicInteger next) {
    try (Context own = Context.open(Context.Device.CPU, 1);
        NativeBuffer block = own.allocate(BLOCK)) {
      for (int i = next.getAndIncrement(); i < tensors.size(); i = next.getAndIncrement()) {
        Tensor tensor = tensors.get(i);
        for (long at = 0; at < tensor.bytes(); at += BLOCK) {
          tensor
              .file()
              .read(own, tensor.offset() + at, block, Math.min(BLOCK, tensor.bytes() - at));
        }
      }
    }
  }

  private static void delete(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      AtomicFiles.deleteDirectory(path);
    } else {
      Files.deleteIfExists(path);
    }
  }

  private void create(Context context, PatchFormat format, Path out) throws IOException {
    try (Checkpoint before = Checkpoint.open(context, base());
        Checkpoint after = Checkpoint.open(context, tuned())) {
      new PatchCreator(context, PatchOptions.of(format)).create(before, after, out, Progress.NONE);
    }
  }

  private void run() throws IOException {
    double read = seconds(context -> {}, this::read);
    print("read both", read, "");
    for (PatchFormat format : PatchFormat.values()) {
      Path out = directory.resolve("bench-" + format.label());
      double create = seconds(context -> delete(out), context -> create(context, format, out));
      print("create " + format.label(), create, times(create / read) + " of reading both");
    }
    Path patch = directory.resolve("bench-" + PatchFormat.PLANAR.label());
    double verify =
        seconds(
            context -> {},
            context -> {
              try (Checkpoint before = Checkpoint.open(context, base());
                  WeightPatch opened = WeightPatch.open(context, patch)) {
                new PatchVerifier(opened).verify(before, Progress.NONE);
              }
            });
    print("verify planar", verify, times(verify / read) + " of reading both");
    Path rewritten = directory.resolve("bench-rewritten");
    double rewrite = seconds(context -> delete(rewritten), context -> rewrite(rewritten));
    print("write the whole checkpoint, synced", rewrite, "");
    delete(rewritten);
    Path served = directory.resolve("bench-served");
    double inPlace =
        seconds(
            context -> copy(served),
            context -> new PatchInPlace(context, served).apply(patch, Progress.NONE));
    print("apply planar in place, synced", inPlace, times(rewrite / inPlace) + " times as fast");
    delete(served);
    resident(rewrite);
    for (PatchFormat format : PatchFormat.values()) {
      delete(directory.resolve("bench-" + format.label()));
    }
  }

  private void copy(Path to) throws IOException {
    delete(to);
    Files.createDirectory(to);
    Files.copy(base().resolve("model.safetensors"), to.resolve("model.safetensors"));
    try (FileChannel file =
        FileChannel.open(to.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
      file.force(true);
    }
  }

  private void rewrite(Path to) throws IOException {
    try (FileChannel in =
            FileChannel.open(tuned().resolve("model.safetensors"), StandardOpenOption.READ);
        FileChannel out =
            FileChannel.open(to, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer block = ByteBuffer.allocateDirect(BLOCK);
      while (in.read(block.clear()) >= 0) {
        block.flip();
        while (block.hasRemaining()) {
          out.write(block);
        }
      }
      out.force(true);
    }
  }

  /** Applies the changes to weights that are in memory, like those of a sampler. */
  private void resident(double rewrite) throws IOException {
    double best = Double.POSITIVE_INFINITY;
    try (Context context = Context.open(Context.Device.CPU, 0);
        Checkpoint before = Checkpoint.open(context, base());
        Checkpoint after = Checkpoint.open(context, tuned())) {
      List<ChangedElements> all = new ArrayList<>();
      List<NativeBuffer> weights = new ArrayList<>();
      try {
        for (Tensor tensor : before.tensors().values()) {
          Tensor own = after.tensors().get(tensor.name());
          ChangedElements changed =
              ChangedElements.allocate(
                  context, tensor.bytes() / 2, 2, ChangedElements.Form.OVERWRITE);
          all.add(changed);
          changed.extract(elements(tensor), elements(own));
          NativeBuffer resident = context.allocate(tensor.bytes());
          weights.add(resident);
          tensor.file().read(tensor.offset(), resident);
        }
        for (int run = 0; run < RUNS; run++) {
          long begin = System.nanoTime();
          for (int i = 0; i < all.size(); i++) {
            NativeBuffer own = weights.get(i);
            all.get(i).apply(new ChangedElements.Elements(own, 0, own.bytes() / 2, 2));
          }
          best = Math.min(best, (System.nanoTime() - begin) * 1e-9);
        }
      } finally {
        all.forEach(ChangedElements::close);
        weights.forEach(NativeBuffer::close);
      }
    }
    print("apply to weights in memory", best, times(rewrite / best) + " times as fast");
  }

  private static ChangedElements.Elements elements(Tensor tensor) {
    return new ChangedElements.Elements(
        tensor.file().buffer(), tensor.offset(), tensor.bytes() / 2, 2);
  }
}
