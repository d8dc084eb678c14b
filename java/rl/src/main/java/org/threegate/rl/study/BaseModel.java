package org.threegate.rl.study;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderConfig;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.run.Algorithm;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.run.TrainingSession;

/**
 * The initial model of the study: a decoder with 0.75 million parameters that was pretrained on the
 * {@link Corpus}. It comes with the library. {@link #pretrain} reproduces it, with the same bytes
 * on the same kind of processor.
 *
 * <pre>{@code
 * BaseModel.extract(Path.of("base"));
 * BaseModel.pretrain(context, Path.of("another"), 1300, 2, event -> {});
 * }</pre>
 */
public final class BaseModel {
  /** The number of pretraining steps. */
  public static final int STEPS = 1300;

  /** The seed of the model that comes with the library. */
  public static final long SEED = 1;

  private static final double DEVIATION = 0.09; // with less, spectra do not resemble large models

  private BaseModel() {}

  /**
   * Writes the model that comes with the library to a Hugging Face directory.
   *
   * @param directory the directory, which is created when it does not exist
   * @throws IOException when a file cannot be written
   */
  public static void extract(Path directory) throws IOException {
    Base.OWN.extract(directory);
  }

  /**
   * Pretrains a model, and rounds it to bf16.
   *
   * @param context the context of the session that trains it
   * @param directory the Hugging Face directory to write
   * @param steps the number of steps, normally {@link #STEPS}
   * @param seed the seed of the initial weights and of the corpus
   * @param observer receives the events of training
   * @throws IOException when a file cannot be written
   */
  public static void pretrain(
      Context context, Path directory, int steps, long seed, TrainingObserver observer)
      throws IOException {
    Path described = Files.createTempDirectory("threegate-pretrain");
    try {
      Base.OWN.describe(described);
      pretrain(context, described, directory, steps, seed, observer);
    } finally {
      for (String file : Base.DESCRIPTION) {
        Files.deleteIfExists(described.resolve(file));
      }
      Files.deleteIfExists(described);
    }
  }

  private static void pretrain(
      Context context,
      Path described,
      Path directory,
      int steps,
      long seed,
      TrainingObserver observer)
      throws IOException {
    try (Decoder model = Decoder.random(DecoderConfig.read(described), DEVIATION, seed);
        Tokenizer tokenizer = JsonTokenizer.load(described);
        TrainingSession session =
            TrainingSession.builder(context, config(steps, seed))
                .policy(model)
                .demonstrations(place -> Corpus.pretraining(seed, place), tokenizer)
                .open()) {
      session.trainer().run(observer);
      Base.OWN.describe(directory);
      model.write(directory, TensorType.BF16);
    }
  }

  private static TrainingConfig config(int steps, long seed) {
    return TrainingConfigs.of(
        Map.ofEntries(
            Map.entry("algorithm", Algorithm.SFT),
            Map.entry("max_steps", steps),
            Map.entry("seed", seed),
            Map.entry("prompts_per_step", 128),
            Map.entry("micro_batch_size", 32),
            Map.entry("max_prompt_length", 16),
            Map.entry("max_completion_length", 8),
            Map.entry("learning_rate", 3e-3),
            Map.entry("lr_scheduler_type", TrainingConfig.LrScheduler.COSINE),
            Map.entry("warmup_steps", Math.min(100, steps / 2)),
            Map.entry("min_lr_rate", 0.1),
            Map.entry("adam_beta2", 0.95),
            Map.entry("weight_decay", 0.1)));
  }
}
