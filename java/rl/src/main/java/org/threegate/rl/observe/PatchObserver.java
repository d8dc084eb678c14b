package org.threegate.rl.observe;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.patch.PatchPublisher;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;

/**
 * Publishes the policy in bf16 as patches, which samplers in other processes follow with a {@code
 * PatchSubscriber}. Only steps that changed the parameters are published.
 *
 * <pre>{@code
 * try (PatchObserver patches =
 *     PatchObserver.of(
 *         context, decoder, Path.of("versions"), List.of(), PatchPublisher.Options.DEFAULT, 1, lines)) {
 *   trainer.run(TrainingObserver.all(List.of(lines, patches)));
 * }
 * }</pre>
 */
public final class PatchObserver implements TrainingObserver, AutoCloseable {
  private final PatchPublisher publisher;
  private final Path directory;
  private final Path scratch;
  private final long every;
  private final TrainingObserver told;

  private PatchObserver(
      PatchPublisher publisher, Path directory, Path scratch, long every, TrainingObserver told) {
    this.publisher = publisher;
    this.directory = directory;
    this.scratch = scratch;
    this.every = every;
    this.told = told;
  }

  /**
   * Creates the observer. It begins with the current model, or appends to the versions that the
   * directory already has.
   *
   * @param context the context of the kernels
   * @param model the policy
   * @param directory the directory of the versions
   * @param description files that are copied beside whole versions: configuration and tokenizer
   * @param options the options of the publisher
   * @param every the number of steps between two versions
   * @param told receives the number of the version, its bytes, and their share of the whole model
   * @return the observer
   * @throws IOException when the directory cannot be read or written
   */
  public static PatchObserver of(
      Context context,
      Decoder model,
      Path directory,
      List<Path> description,
      PatchPublisher.Options options,
      long every,
      TrainingObserver told)
      throws IOException {
    if (every < 1) {
      throw new IllegalArgumentException("every must be 1 or more");
    }
    Files.createDirectories(directory);
    Path scratch = directory.resolve(".policy");
    AtomicFiles.deleteDirectory(scratch); // left by a killed run
    Files.createDirectories(scratch);
    for (Path file : description) {
      Files.copy(file, scratch.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
    }
    model.write(scratch, TensorType.BF16);
    PatchPublisher publisher = PatchPublisher.open(context, directory, scratch, options);
    return new PatchObserver(publisher, directory, scratch, every, told);
  }

  @Override
  public void on(TrainingEvent event) {
    if (event instanceof TrainingEvent.StepTaken taken && taken.step() % every == 0) {
      try {
        taken.policy().write(scratch, TensorType.BF16);
        long version = publisher.publish(scratch);
        long bytes = bytes(directory.resolve(String.format("weight_v%06d", version)));
        long whole = Files.size(scratch.resolve("model.safetensors"));
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("patch/version", (double) version);
        metrics.put("patch/bytes", (double) bytes);
        metrics.put("patch/share_of_model", bytes / (double) whole);
        told.on(new TrainingEvent.Measured(taken.step(), "patch", metrics));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private static long bytes(Path version) throws IOException {
    long sum = 0;
    for (Path file : AtomicFiles.list(version)) {
      sum += Files.size(file);
    }
    return sum;
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
