package org.threegate.rl.observe;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.patch.PatchCreator;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.WeightPatch;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.run.Progress;

/**
 * Measures the size of the patch that would transfer a step: the planar patch between the bf16
 * weights before and after it, compared with the whole model. It keeps no files.
 *
 * <pre>{@code
 * try (PatchSizeObserver sizes = PatchSizeObserver.of(context, Path.of("scratch"), 10, lines)) {
 *   trainer.run(TrainingObserver.all(List.of(lines, sizes)));
 * }
 * }</pre>
 */
public final class PatchSizeObserver implements TrainingObserver, AutoCloseable {
  private static final String WEIGHTS = "model.safetensors";

  private final Context context;
  private final Path scratch;
  private final long every;
  private final TrainingObserver told;
  private long stored = -1; // step of the weights on disk

  private PatchSizeObserver(Context context, Path scratch, long every, TrainingObserver told) {
    this.context = context;
    this.scratch = scratch;
    this.every = every;
    this.told = told;
  }

  /**
   * Creates the observer.
   *
   * @param context the context of the kernels
   * @param scratch a directory to create. It is deleted when the observer is closed
   * @param every the number of steps between two measurements; the first step is not measured
   * @param told receives {@code patch/changed} (elements), {@code patch/bytes} and {@code
   *     patch/model_bytes}
   * @return the observer
   * @throws IOException when the directory cannot be created
   */
  public static PatchSizeObserver of(
      Context context, Path scratch, long every, TrainingObserver told) throws IOException {
    if (every < 1) {
      throw new IllegalArgumentException("every must be 1 or more");
    }
    AtomicFiles.deleteDirectory(scratch); // left by a killed run
    Files.createDirectories(scratch.resolve("before"));
    Files.createDirectories(scratch.resolve("after"));
    return new PatchSizeObserver(context, scratch, every, told);
  }

  @Override
  public void on(TrainingEvent event) {
    if (event instanceof TrainingEvent.StepTaken taken) {
      try {
        step(taken.step(), taken.policy());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private void step(long step, Decoder policy) throws IOException {
    Path before = scratch.resolve("before");
    Path after = scratch.resolve("after");
    if (step % every == 0 && stored == step - 1) {
      policy.write(after, TensorType.BF16);
      told.on(new TrainingEvent.Measured(step, "patch", measured(before, after)));
    }
    if ((step + 1) % every == 0) {
      policy.write(before, TensorType.BF16);
      stored = step;
    }
  }

  private Map<String, Double> measured(Path from, Path to) throws IOException {
    Path patch = scratch.resolve("patch.safetensors");
    Map<String, Double> metrics = new LinkedHashMap<>();
    try (Checkpoint before = Checkpoint.open(context, from);
        Checkpoint after = Checkpoint.open(context, to)) {
      new PatchCreator(context, PatchOptions.of(PatchFormat.PLANAR))
          .create(before, after, patch, Progress.NONE);
      try (WeightPatch opened = WeightPatch.open(context, patch)) {
        metrics.put("patch/changed", (double) opened.changed(before));
      }
    }
    metrics.put("patch/bytes", (double) Files.size(patch));
    metrics.put("patch/model_bytes", (double) Files.size(to.resolve(WEIGHTS)));
    Files.delete(patch);
    return metrics;
  }

  @Override
  public void close() {
    try {
      AtomicFiles.deleteDirectory(scratch);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
