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
 * one. Prints name, seconds, processor seconds and ratio. Other programs may use the processors, so
 * what is bound by them is compared in processor seconds.
 */
public final class PatchBench {
  private static final int RUNS = 6; // the first one warms up
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

  /**
   * What a piece of work takes.
   *
   * @param seconds elapsed time
   * @param processor time of all processors, in seconds
   */
  private record Cost(double seconds, double processor) {
    Cost least(Cost other) {
      return new Cost(Math.min(seconds, other.seconds()), Math.min(processor, other.processor()));
    }
  }

  private static double processorSeconds() {
    return ProcessHandle.current()
        .info()
        .totalCpuDuration()
        .map(duration -> duration.toNanos() * 1e-9)
        .orElse(Double.NaN);
  }

  /** Returns the least costs of several runs, each with its own context. */
  private static Cost cost(Work before, Work work) throws IOException {
    Cost least = new Cost(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
    for (int i = 0; i < RUNS; i++) {
      try (Context context = Context.open(Context.Device.CPU, 0)) {
        before.run(context);
        double processor = processorSeconds();
        long begin = System.nanoTime();
        work.run(context);
        double seconds = (System.nanoTime() - begin) * 1e-9;
        Cost own = new Cost(seconds, processorSeconds() - processor);
        least = i == 0 ? least : least.least(own);
      }
    }
    return least;
  }

  private static void print(String name, Cost cost, String ratio) {
    System.out.printf(
        Locale.ROOT, "%s\t%.3f\t%.2f\t%s%n", name, cost.seconds(), cost.processor(), ratio);
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
    Cost read = cost(context -> {}, this::read);
    print("read both", read, "");
    for (PatchFormat format : PatchFormat.values()) {
      Path out = directory.resolve("bench-" + format.label());
      Cost create = cost(context -> delete(out), context -> create(context, format, out));
      read = read.least(cost(context -> {}, this::read));
      print("create " + format.label(), create, ofReading(create, read));
    }
    Path patch = directory.resolve("bench-" + PatchFormat.PLANAR.label());
    Cost verify =
        cost(
            context -> {},
            context -> {
              try (Checkpoint before = Checkpoint.open(context, base());
                  WeightPatch opened = WeightPatch.open(context, patch)) {
                new PatchVerifier(opened).verify(before, Progress.NONE);
              }
            });
    print("verify planar", verify, ofReading(verify, read));
    print("read both, again", read, "");
    Path rewritten = directory.resolve("bench-rewritten");
    Path served = directory.resolve("bench-served");
    Cost rewrite = new Cost(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
    Cost inPlace = rewrite;
    for (int i = 0; i < 2; i++) { // in turns, because other programs may use the disk
      rewrite = rewrite.least(cost(context -> delete(rewritten), context -> rewrite(rewritten)));
      delete(rewritten);
      inPlace =
          inPlace.least(
              cost(
                  context -> copy(served),
                  context -> new PatchInPlace(context, served).apply(patch, Progress.NONE)));
      delete(served);
    }
    print("write the whole checkpoint, synced", rewrite, "");
    print(
        "apply planar in place, synced",
        inPlace,
        times(rewrite.seconds() / inPlace.seconds()) + " times as fast");
    resident(rewrite);
    for (PatchFormat format : PatchFormat.values()) {
      delete(directory.resolve("bench-" + format.label()));
    }
  }

  private static String ofReading(Cost cost, Cost read) {
    return times(cost.processor() / read.processor()) + " of the processor time of reading both";
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
  private void resident(Cost rewrite) throws IOException {
    Cost best = new Cost(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
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
          double processor = processorSeconds();
          long begin = System.nanoTime();
          for (int i = 0; i < all.size(); i++) {
            NativeBuffer own = weights.get(i);
            all.get(i).apply(new ChangedElements.Elements(own, 0, own.bytes() / 2, 2));
          }
          double seconds = (System.nanoTime() - begin) * 1e-9;
          best = best.least(new Cost(seconds, processorSeconds() - processor));
        }
      } finally {
        all.forEach(ChangedElements::close);
        weights.forEach(NativeBuffer::close);
      }
    }
    print(
        "apply to weights in memory",
        best,
        times(rewrite.seconds() / best.seconds()) + " times as fast");
  }

  private static ChangedElements.Elements elements(Tensor tensor) {
    return new ChangedElements.Elements(
        tensor.file().buffer(), tensor.offset(), tensor.bytes() / 2, 2);
  }
}
