package org.threegate.rl.study;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderConfig;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.train.SupervisedOptions;
import org.threegate.rl.train.SupervisedTrainer;

/**
 * The model that the study begins with: a decoder of 0.75 million parameters that has read the
 * {@link Corpus}. It comes with the library, and {@link #pretrain} makes it: the same bytes on the
 * same kind of processor.
 *
 * <pre>{@code
 * BaseModel.extract(Path.of("base"));
 * BaseModel.pretrain(Path.of("another"), 1300, 2, event -> {});
 * }</pre>
 */
public final class BaseModel {
  /** Steps of pretraining. */
  public static final int STEPS = 1300;

  /** Seed of the model that comes with the library. */
  public static final long SEED = 1;

  private static final List<String> DESCRIPTION = List.of("config.json", "tokenizer.json");
  private static final String WEIGHTS = "model.safetensors";
  private static final double DEVIATION = 0.09; // with less, spectra are unlike those of large ones
  private static final int BATCH = 128;
  private static final int ROWS = 32; // of a part
  private static final int LONGEST = 24;
  private static final double RATE = 3e-3;
  private static final int WARM_UP = 100;
  private static final double FLOOR = 0.1;
  private static final AdamW.Options OPTIMIZER = new AdamW.Options(0.9, 0.95, 1e-8, 0.1, 1);

  private BaseModel() {}

  /** Writes the model that comes with the library, as a Hugging Face directory. */
  public static void extract(Path directory) throws IOException {
    describe(directory);
    copy(WEIGHTS, directory);
  }

  /** Writes what a directory needs beside weights. */
  static void describe(Path directory) throws IOException {
    Files.createDirectories(directory);
    for (String file : DESCRIPTION) {
      copy(file, directory);
    }
  }

  private static void copy(String file, Path directory) throws IOException {
    try (InputStream in = BaseModel.class.getResourceAsStream("base/" + file)) {
      ByteBuffer bytes = ByteBuffer.wrap(in.readAllBytes());
      AtomicFiles.write(
          directory.resolve(file),
          out -> {
            while (bytes.hasRemaining()) {
              out.write(bytes);
            }
          });
    }
  }

  /**
   * Makes a model, rounded to bf16.
   *
   * @param directory where it goes, as a Hugging Face directory
   * @param steps {@link #STEPS}, unless it is not to be learnt to the end
   * @param seed of its beginnings and of the corpus
   */
  public static void pretrain(Path directory, int steps, long seed, TrainingObserver observer)
      throws IOException {
    Path described = Files.createTempDirectory("threegate-pretrain");
    try {
      describe(described);
      pretrain(described, directory, steps, seed, observer);
    } finally {
      for (String file : DESCRIPTION) {
        Files.deleteIfExists(described.resolve(file));
      }
      Files.deleteIfExists(described);
    }
  }

  private static void pretrain(
      Path described, Path directory, int steps, long seed, TrainingObserver observer)
      throws IOException {
    SupervisedOptions options =
        new SupervisedOptions(
            steps,
            BATCH,
            ROWS,
            false,
            LONGEST,
            RATE,
            Schedule.cosine(Math.min(WARM_UP, steps / 2), steps, FLOOR),
            OPTIMIZER,
            seed);
    try (Decoder model = Decoder.random(DecoderConfig.read(described), DEVIATION, seed);
        Tokenizer tokenizer = JsonTokenizer.load(described);
        SupervisedTrainer trainer =
            SupervisedTrainer.of(
                model, tokenizer, place -> Corpus.pretraining(seed, place), options, Map.of())) {
      trainer.run(observer);
      describe(directory);
      model.write(directory, TensorType.BF16);
    }
  }
}
